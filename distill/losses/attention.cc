#include <algorithm>

#include "distill/loss.h"

namespace lapidary {

namespace {

/// Q = vec(mean_c |A_c|^p) of [N, C, ...] or [N, T, C]:
///   L = mean (Q_s / |Q_s| - Q_t / |Q_t|)^2            (Zagoruyko, Komodakis 2017, and their code)
/// Numbers of channels may differ. Of two resolutions the finer map is brought to the coarser one
/// by means where one is a multiple of the other (the paper interpolates).
struct Attention {
  double power = 2;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "attention",
        {field("power", &Attention::power, "p of |A|^p that is averaged over channels")
             .range(1, 8)}};
    return kTable;
  }

  ValueId operator()(DistillFragment& f, const LayerPair& pair) const {
    const int64_t rank = f.rank(pair.student), axis = channel_axis(rank);
    if (rank < 3) fail_usage("attention wants maps, [N,C,H,W] or [N,T,C]: {}", f.text(pair));
    ValueId s = map(f, pair.student, axis), t = map(f, pair.teacher, axis);
    if (rank == 3 || f.rank(pair.teacher) != rank) {
      require_same_shape(f, pair, axis);
    } else {
      const std::vector<int64_t> down = ratio(f, pair, pair.student, pair.teacher),
                                 up = ratio(f, pair, pair.teacher, pair.student);
      s = pooled(f, s, down);
      t = pooled(f, t, up);
    }
    return f.mean_of_all(f.square(f.sub(f.unit(f.rows(s), 1), f.unit(f.rows(t), 1))));
  }

 private:
  ValueId map(DistillFragment& f, ValueId x, int64_t axis) const {
    const ValueId powers =
        power == 2 ? f.square(x)
                   : f.op("Pow", {f.op("Abs", {x}), f.number(static_cast<float>(power))});
    return f.mean(powers, axis);
  }
  /// How many times finer `x` is than `y` on each axis of space; 1 where it is not finer.
  static std::vector<int64_t> ratio(DistillFragment& f, const LayerPair& pair, ValueId x,
                                    ValueId y) {
    std::vector<int64_t> out;
    for (size_t i = 2; i < f.dims(x).size(); ++i) {
      const int64_t a = f.dims(x)[i].value, b = f.dims(y)[i].value;
      const bool known = a > 0 && b > 0;
      if (known && a % b != 0 && b % a != 0)
        fail_usage("neither of the maps' sizes is a multiple of the other: {}", f.text(pair));
      out.push_back(known && a > b ? a / b : 1);
    }
    return out;
  }
  static ValueId pooled(DistillFragment& f, ValueId x, const std::vector<int64_t>& by) {
    if (std::ranges::count(by, 1) == std::ssize(by)) return x;
    return f.op("AveragePool", {x}, {{"kernel_shape", by}, {"strides", by}});
  }
};

}  // namespace

const DistillDef& distill_attention() {
  static constexpr DistillDef kDef = distill_row<Attention>(
      "attention", "where features are strong (attention transfer, Zagoruyko, Komodakis 2017)",
      {.compared = Compared::kFeatures});
  return kDef;
}

}  // namespace lapidary
