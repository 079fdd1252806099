#include <algorithm>

#include "src/base/fail.h"
#include "src/ops/evaluate.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/packed_weights.h"

namespace lapidary {

namespace {

// UnpackBinary: float32 +1 and -1, UnpackTernary: int8 -1, 0 and 1, of rows of codes
// (packed_weights.h) in `shape`; a row is one slice of the first axis in C order.

Shape read_shape(const AttrView& attrs) {
  const Shape shape = attrs.get_ints("shape");
  if (shape.size() < 2 || std::ranges::any_of(shape, [](int64_t d) { return d < 1; }))
    fail_invalid("shape is {}, expected at least two positive sizes", shape_text(shape));
  element_count(shape);
  return shape;
}

void infer(InferContext& context, DType type, int64_t (*bytes)(int64_t)) {
  const Shape shape = read_shape(context.attrs());
  require_packed(context, 0, bytes(slice_size(shape)));
  const auto* w = context.shape(0);
  if (w && (*w)[0].known() && (*w)[0].value != shape[0])
    fail_invalid("shape is {}, the packed weights are {}", shape_text(shape),
                 context.type(0).text());
  context.set_type(0, tensor_type(type, shape));
}
void infer_binary(InferContext& context) { infer(context, DType::kF32, binary_bytes); }
void infer_ternary(InferContext& context) { infer(context, DType::kI8, ternary_bytes); }

void evaluate_binary(EvalContext& context) {
  context.set_output(0, unpack_binary(context.input(0), read_shape(context.attrs())));
}
void evaluate_ternary(EvalContext& context) {
  context.set_output(0, unpack_ternary(context.input(0), read_shape(context.attrs())));
}

ValueId body_rows(BodyBuilder& b, bool ternary) {
  const ValueId w = b.input("W"), shape = b.attr("shape");
  const ValueId codes = b.op("Reshape", {body_codes(b, w, ternary), b.ints({0, -1})});
  const ValueId sizes = b.op("Slice", {shape, b.ints({1}), b.ints({INT64_MAX})});
  const ValueId count = b.op("ReduceProd", {sizes}, {{"keepdims", int64_t{1}}});
  const ValueId rows = b.op("Slice", {codes, b.ints({0}), count, b.ints({1})});
  return b.op("Reshape", {rows, shape});
}
void body_binary(BodyBuilder& b) {
  b.output("Y", b.op("Cast", {body_rows(b, /*ternary=*/false)},
                     {{"to", static_cast<int64_t>(DType::kF32)}}));
}
void body_ternary(BodyBuilder& b) { b.output("Y", body_rows(b, /*ternary=*/true)); }

OpDef row(std::string_view name, void (*infer)(InferContext&), void (*evaluate)(EvalContext&),
          void (*body)(BodyBuilder&)) {
  return without_half_form({.domain = kOwnDomain,
                            .name = name,
                            .versions = {1},
                            .inputs = {1, 1},
                            .outputs = {1, 1},
                            .attrs = {{"shape", AttrKind::kInts, true}},
                            .infer = infer,
                            .evaluate = evaluate,
                            .body = body});
}

}  // namespace

const OpDef& op_ai_lapidary_UnpackBinary() {
  static const OpDef def = row("UnpackBinary", infer_binary, evaluate_binary, body_binary);
  return def;
}

const OpDef& op_ai_lapidary_UnpackTernary() {
  static const OpDef def = row("UnpackTernary", infer_ternary, evaluate_ternary, body_ternary);
  return def;
}

}  // namespace lapidary
