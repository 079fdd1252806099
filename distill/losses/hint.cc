#include <cmath>

#include "distill/loss.h"

namespace lapidary {

namespace {

/// L = mean (r(s) - t)^2                                        (FitNets, Romero et al. 2015)
/// r: where channels differ, a 1x1 convolution of [N, C, ...], a product with a matrix of [N, C]
/// and [N, T, C], with a bias, trained along; it starts uniform with variance 1 / C_student. The
/// paper sums over elements and halves.
struct Hint {
  static const FieldTable& fields() {
    static const FieldTable kTable{"hint", {}};
    return kTable;
  }

  ValueId operator()(DistillFragment& f, const LayerPair& pair) const {
    const int64_t axis = channel_axis(f.rank(pair.student));
    require_same_shape(f, pair, axis);
    const Dim from = f.dims(pair.student)[static_cast<size_t>(axis)],
              to = f.dims(pair.teacher)[static_cast<size_t>(axis)];
    ValueId s = pair.student;
    if (!may_equal(from, to)) s = regressed(f, s, from.value, to.value);
    return f.mean_of_all(f.square(f.sub(s, pair.teacher)));
  }

 private:
  static ValueId regressed(DistillFragment& f, ValueId x, int64_t from, int64_t to) {
    const std::string name = "lapidary.regressor/" + f.graph().value(x).name;
    const double bound = std::sqrt(3.0 / static_cast<double>(from));
    const int64_t rank = f.rank(x);
    const auto bias = [&] {
      return f.parameter(name + ".bias", Tensor(DType::kF32, {to}), /*decay=*/false);
    };
    if (rank < 4) {
      const ValueId w = f.parameter(name + ".weight", f.uniform({from, to}, bound), true);
      return f.add(f.op("MatMul", {x, w}), bias());
    }
    Shape shape(static_cast<size_t>(rank), 1);
    shape[0] = to, shape[1] = from;
    const ValueId w = f.parameter(name + ".weight", f.uniform(std::move(shape), bound), true);
    return f.op("Conv", {x, w, bias()});
  }
};

}  // namespace

const DistillDef& distill_hint() {
  static constexpr DistillDef kDef =
      distill_row<Hint>("hint", "features behind a trained regressor (FitNets, Romero et al. 2015)",
                        {.compared = Compared::kFeatures});
  return kDef;
}

}  // namespace lapidary
