#include "distill/fragment.h"

#include <numeric>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

/// Vectors with smaller squared norms count as 0: of features, and of what is compared by cosine,
/// where differences from a mean leave some 1e-7 of rounding.
constexpr float kLeastSquare = 1e-16f, kLeastOfCosine = 1e-12f;
constexpr float kEpsilon = 1e-8f;  // of cosine, as DIST's code has it

}  // namespace

ValueId DistillFragment::sum(ValueId x, int64_t axis) {
  return op("ReduceSum", {x, integers({axis})}, {{"keepdims", int64_t{1}}});
}

ValueId DistillFragment::norm(ValueId x, int64_t axis, float least) {
  const ValueId squares = sum(square(x), axis);
  const ValueId some = op("Greater", {squares, number(least)});
  return op("Sqrt", {op("Where", {some, squares, number(1)})});
}

ValueId DistillFragment::unit(ValueId x, int64_t axis) {
  return div(x, norm(x, axis, kLeastSquare));
}

ValueId DistillFragment::cosine(ValueId x, ValueId y, int64_t axis) {
  const ValueId norms = mul(norm(x, axis, kLeastOfCosine), norm(y, axis, kLeastOfCosine));
  return div(sum(mul(x, y), axis), add(norms, number(kEpsilon)));
}

ValueId DistillFragment::products_of_rows(ValueId x) {
  return op("MatMul", {x, op("Transpose", {x}, {{"perm", std::vector<int64_t>{1, 0}}})});
}

ValueId DistillFragment::rows_along(ValueId x, int64_t axis) {
  const int64_t last = rank(x) - 1;
  std::vector<int64_t> perm(static_cast<size_t>(last + 1));
  std::iota(perm.begin(), perm.end(), int64_t{0});
  perm.erase(perm.begin() + axis);
  perm.push_back(axis);
  if (axis != last) x = op("Transpose", {x}, {{"perm", std::move(perm)}});
  return last == 1 ? x : op("Flatten", {x}, {{"axis", last}});
}

std::string DistillFragment::text(const LayerPair& pair) {
  const auto of = [&](ValueId id) {
    const Value& value = graph().value(id);
    return fmt::format("'{}' is {}", printable(value.name, 200), value.type.text());
  };
  return fmt::format("student {}, {}", of(pair.student), of(pair.teacher));
}

ValueId DistillFragment::parameter(const std::string& name, Tensor elements, bool decay) {
  const std::string unique = graph().unique_name(name);
  parameters_.push_back({.name = unique, .decay = decay});
  return graph().add_constant(unique, std::move(elements));
}

Tensor DistillFragment::uniform(Shape shape, double bound) {
  Tensor out(DType::kF32, std::move(shape));
  for (float& v : out.mutable_data<float>())
    v = static_cast<float>((2 * rng_.uniform() - 1) * bound);
  return out;
}

void require_same_shape(DistillFragment& f, const LayerPair& pair, int64_t except) {
  bool same = f.rank(pair.student) == f.rank(pair.teacher);
  for (int64_t axis = 0; same && axis < f.rank(pair.student); ++axis) {
    const auto at = static_cast<size_t>(axis);
    if (axis != except) same = may_equal(f.dims(pair.student)[at], f.dims(pair.teacher)[at]);
  }
  if (!same) fail_usage("shapes do not fit: {}", f.text(pair));
}

}  // namespace lapidary
