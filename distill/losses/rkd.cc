#include "distill/loss.h"

namespace lapidary {

namespace {

/// Features as [b, F]; d_ij = |x_i - x_j|, mu the mean of those that are not 0,
/// c_ijk = <x_j - x_i, x_k - x_i> / (d_ij d_ik), 0 where a distance is; h Huber's loss of delta 1:
///   L = distance mean_ij h(d_ij / mu) + angle mean_ijk h(c_ijk), h of student - teacher
///                                                          (Park et al. 2019, and their code)
/// All from the b x b products of features less the batch's mean, not from b x b x F differences.
struct Rkd {
  double distance = 25, angle = 50;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "rkd",
        {field("distance", &Rkd::distance, "Weight of distances between two samples").range(0, 1e6),
         field("angle", &Rkd::angle, "Weight of angles between three samples").range(0, 1e6)}};
    return kTable;
  }

  ValueId operator()(DistillFragment& f, const LayerPair& pair) const {
    const Relations s = relations(f, pair.student), t = relations(f, pair.teacher);
    const ValueId distances = huber(f, f.sub(scaled_distances(f, s), scaled_distances(f, t)));
    const ValueId angles = huber(f, f.sub(cosines(f, s), cosines(f, t)));
    return f.add(f.scaled(distances, distance), f.scaled(angles, angle));
  }

 private:
  /// Squares of distances below this share of |x_i|^2 + |x_j|^2 are rounding: the two are one.
  static constexpr double kRounding = 1e-5;

  struct Relations {
    ValueId products;   ///< [b, b] <x_i, x_j>
    ValueId norms;      ///< [b, 1] |x_i|^2
    ValueId apart;      ///< [b, b] 1 where d_ij is not 0
    ValueId distances;  ///< [b, b] d_ij, 1 where it is 0: roots and quotients stay finite
  };

  static Relations relations(DistillFragment& f, ValueId features) {
    const ValueId rows = f.rows(features);
    const ValueId x = f.sub(rows, f.mean(rows, 0));
    const ValueId products = f.products_of_rows(x), norms = f.sum(f.square(x), 1);
    const ValueId sums =
        f.add(norms, f.op("Transpose", {norms}, {{"perm", std::vector<int64_t>{1, 0}}}));
    // d_ij^2 = |x_i|^2 + |x_j|^2 - 2 <x_i, x_j>
    const ValueId squares = f.sub(sums, f.scaled(products, 2));
    const ValueId apart = f.op("Greater", {squares, f.scaled(sums, kRounding)});
    const ValueId distances = f.op("Sqrt", {f.op("Where", {apart, squares, f.number(1)})});
    return {products, norms, f.op("Cast", {apart}, {{"to", static_cast<int64_t>(DType::kF32)}}),
            distances};
  }
  /// [b, b] d_ij / mu
  static ValueId scaled_distances(DistillFragment& f, const Relations& r) {
    const ValueId d = f.mul(r.distances, r.apart);
    const ValueId least = f.number(1e-12f);  // of a batch of one sample: 0 / least
    // sum d / count = mean d / mean(apart)
    const ValueId mu = f.div(f.mean_of_all(d), f.op("Max", {f.mean_of_all(r.apart), least}));
    return f.div(d, f.op("Max", {mu, least}));
  }
  /// [b, b, b] c_ijk
  static ValueId cosines(DistillFragment& f, const Relations& r) {
    const auto with_axis = [&](ValueId x, int64_t axis) {
      return f.op("Unsqueeze", {x, f.integers({axis})});
    };
    // <x_j - x_i, x_k - x_i> = <x_j, x_k> - <x_i, x_j> - <x_i, x_k> + |x_i|^2
    const ValueId with_j = with_axis(r.products, 2), with_k = with_axis(r.products, 1);
    const ValueId rest = f.sub(with_axis(r.norms, 2), f.add(with_j, with_k));
    const ValueId product = f.add(with_axis(r.products, 0), rest);
    const ValueId inverse = f.div(r.apart, r.distances);
    return f.mul(f.mul(product, with_axis(inverse, 2)), with_axis(inverse, 1));
  }
  /// h(e) = c (e - c / 2), c = clip(e, -1, 1): e^2 / 2, or |e| - 1 / 2 beyond 1; its mean.
  static ValueId huber(DistillFragment& f, ValueId e) {
    const ValueId c = f.op("Clip", {e, f.number(-1), f.number(1)});
    return f.mean_of_all(f.mul(c, f.sub(e, f.scaled(c, 0.5))));
  }
};

}  // namespace

const DistillDef& distill_rkd() {
  static constexpr DistillDef kDef =
      distill_row<Rkd>("rkd", "distances and angles between samples (Park et al. 2019)",
                       {.compared = Compared::kFeatures, .among_samples = true});
  return kDef;
}

}  // namespace lapidary
