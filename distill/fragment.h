#pragma once

#include <string>
#include <vector>

#include "lapidary/trainer.h"
#include "src/base/rng.h"
#include "src/ir/loss_fragment.h"

namespace lapidary {

/// Where a loss compares: a student's value and the graph input that brings the teacher's. Types
/// are known but for single sizes.
struct LayerPair {
  ValueId student, teacher;
};

/// Appends the nodes of one term of distillation.
class DistillFragment : public LossFragment {
 public:
  DistillFragment(Graph& graph, Rng rng) : LossFragment(graph), rng_(rng) {}

  ValueId add(ValueId a, ValueId b) { return op("Add", {a, b}); }
  ValueId sub(ValueId a, ValueId b) { return op("Sub", {a, b}); }
  ValueId mul(ValueId a, ValueId b) { return op("Mul", {a, b}); }
  ValueId div(ValueId a, ValueId b) { return op("Div", {a, b}); }
  ValueId square(ValueId x) { return mul(x, x); }
  ValueId scaled(ValueId x, double by) { return mul(x, number(static_cast<float>(by))); }
  /// Sums over one axis, which stays with size 1.
  ValueId sum(ValueId x, int64_t axis);
  /// x / |x|, the 2-norm over one axis; x where that is 0.
  ValueId unit(ValueId x, int64_t axis);
  /// <x, y> / (|x| |y| + 1e-8) over one axis, which stays with size 1; <x, y> / |y| where |x| is 0.
  ValueId cosine(ValueId x, ValueId y, int64_t axis);
  /// [N, ...] -> [N, F]
  ValueId rows(ValueId x) { return op("Reshape", {x, integers({0, -1})}); }
  /// [b, F] -> [b, b], the products of every two rows.
  ValueId products_of_rows(ValueId x);
  /// With `axis` last, all others one: [M, C].
  ValueId rows_along(ValueId x, int64_t axis);

  /// The sizes of a layer's value.
  const std::vector<Dim>& dims(ValueId layer) { return *graph().value(layer).type.shape; }
  int64_t rank(ValueId layer) { return std::ssize(dims(layer)); }
  /// "student 'a' is float32[N,8], teacher 'b' float32[N,4]"
  std::string text(const LayerPair& pair);

  /// A constant to be trained along; the rest of its name is unique.
  ValueId parameter(const std::string& name, Tensor elements, bool decay);
  /// Uniform in [-bound, bound].
  Tensor uniform(Shape shape, double bound);
  const std::vector<TrainedParameter>& parameters() const { return parameters_; }

 private:
  /// The 2-norm; 1 where its square is not above `least`: neither a root's derivative there nor a
  /// quotient is large.
  ValueId norm(ValueId x, int64_t axis, float least);

  Rng rng_;
  std::vector<TrainedParameter> parameters_;
};

/// False where both are known and differ.
inline bool may_equal(const Dim& a, const Dim& b) {
  return !a.known() || !b.known() || a.value == b.value;
}
/// Throws Error{kUsage} with both types unless rank and known sizes agree on all axes but `except`.
void require_same_shape(DistillFragment& f, const LayerPair& pair, int64_t except = -1);
/// Axis of channels: 1 of [N, C, ...], the last of [N, C] and [N, T, C].
inline int64_t channel_axis(int64_t rank) { return rank >= 4 ? 1 : rank - 1; }

}  // namespace lapidary
