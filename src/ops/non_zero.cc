#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// [rank, number of elements that are not zero], known by the elements only.
void infer(InferContext& ctx) {
  const auto* shape = ctx.shape(0);
  ctx.set_type(0, DType::kI64, {shape ? Dim(std::ssize(*shape)) : Dim{}, Dim{}});
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  std::vector<std::vector<int64_t>> found;
  dispatch<AnyTypes>(x.dtype(), [&]<class T>() {
    std::vector<int64_t> index(x.shape().size(), 0);
    for (const T& element : x.data<T>()) {
      bool zero = false;
      if constexpr (std::is_same_v<T, std::string>)
        zero = element.empty();
      else
        zero = load(element) == 0;
      if (!zero) found.push_back(index);
      next_index(index, x.shape());
    }
  });
  Tensor out(DType::kI64, {x.rank(), std::ssize(found)});
  auto to = out.mutable_data<int64_t>();
  for (size_t axis = 0; axis < x.shape().size(); ++axis)
    for (size_t i = 0; i < found.size(); ++i) to[axis * found.size() + i] = found[i][axis];
  ctx.set_output(0, std::move(out));
}

}  // namespace

const OpDef& op_NonZero() {
  static const OpDef def{
      .name = "NonZero",
      .versions = {9, 13},
      .inputs = {1, 1},
      .outputs = {1, 1},
      .infer = infer,
      .evaluate = evaluate,
  };
  return def;
}

}  // namespace lapidary
