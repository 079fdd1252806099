#include "src/base/checked.h"
#include "src/ops/evaluate.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/packed_weights.h"

namespace lapidary {

namespace {

// y[.., n] = float(sum_k s(x[.., k]) w[n, k]) * scale[n] + bias[n], rounded twice,
// s(x) = x >= 0 ? 1 : -1. x: [.., K], w: bits [N, ceil(K / 8)].

void infer(InferContext& context) {
  context.require_dtype(0, std::array{DType::kF32});
  context.require_rank(0, 1, -1);
  const auto* x = context.shape(0);
  if (x && x->back().known()) {
    require_exact_sums(x->back().value);
    require_packed(context, 1, binary_bytes(x->back().value));
  }
  const Dim columns = require_affine(context, 1, 2, 3);
  if (x == nullptr) return context.set_type(0, DType::kF32);
  std::vector<Dim> y(x->begin(), x->end() - 1);
  y.push_back(columns);
  context.set_type(0, DType::kF32, std::move(y));
}

void evaluate(EvalContext& context) {
  const Tensor& x = context.input(0);
  const int64_t k = x.dim(-1), columns = context.input(1).dim(0);
  const Tensor w = unpack_binary(context.input(1), {columns, k});
  const auto scale = context.input(2).data<float>(), bias = context.input(3).data<float>();
  Shape shape = x.shape();
  shape.back() = columns;
  Tensor y(DType::kF32, shape);
  float* to = y.mutable_data<float>().data();
  const auto in = x.data<float>(), weights = w.data<float>();
  for (int64_t row = 0; row < y.size() / std::max<int64_t>(columns, 1); ++row)
    for (int64_t n = 0; n < columns; ++n) {
      int64_t acc = 0;
      for (int64_t i = 0; i < k; ++i) {
        const bool positive = in[static_cast<size_t>(row * k + i)] >= 0;
        acc += positive == (weights[static_cast<size_t>(n * k + i)] > 0) ? 1 : -1;
      }
      const auto c = static_cast<size_t>(n);
      *to++ = binary_affine(acc, scale[c], bias[c]);
    }
  context.set_output(0, std::move(y));
}

int64_t macs(const AttrView&, std::span<const TensorType> inputs,
             std::span<const TensorType> outputs) {
  return checked_mul(element_count(outputs[0].static_shape()), inputs[0].static_shape().back());
}

void body(BodyBuilder& b) {
  const ValueId x = b.input("X"), w = b.input("W"), scale = b.input("scale");
  const ValueId bias = b.input("bias");
  // K, known as soon as x's last size is; opset 15 can ask for it alone.
  const ValueId sizes =
      b.opset() < 15 ? b.op("Shape", {x}) : b.op("Shape", {x}, {{"start", int64_t{-1}}});
  const ValueId k = b.op("Slice", {sizes, b.ints({-1}), b.ints({INT64_MAX})});
  const ValueId bits = b.op("Reshape", {body_codes(b, w, /*ternary=*/false), b.ints({0, -1})});
  const ValueId rows = b.op("Slice", {bits, b.ints({0}), k, b.ints({1})});
  const ValueId columns = b.op("Transpose", {rows}, {{"perm", std::vector<int64_t>{1, 0}}});
  const ValueId weights = b.op("Cast", {columns}, {{"to", static_cast<int64_t>(DType::kF32)}});
  const ValueId acc = b.op("MatMul", {body_signs(b, x), weights});
  b.output("Y", body_affine(b, acc, scale, bias, {-1}));
}

}  // namespace

const OpDef& op_ai_lapidary_BinaryMatMul() {
  static const OpDef def = without_half_form({.domain = kOwnDomain,
                                              .name = "BinaryMatMul",
                                              .versions = {1},
                                              .inputs = {4, 4},
                                              .outputs = {1, 1},
                                              .infer = infer,
                                              .evaluate = evaluate,
                                              .macs = macs,
                                              .body = body});
  return def;
}

}  // namespace lapidary
