#include "src/ops/movement.h"

namespace lapidary {

namespace {

// Random numbers: types only. No evaluation could be right, since ONNX fixes no generator.

DType dtype_attr(const AttrView& attrs, DType otherwise) {
  if (!attrs.has("dtype")) return otherwise;
  const int64_t code = attrs.get_int("dtype", 0);
  for (DType known : kNumericDTypes)
    if (code == static_cast<int64_t>(known)) return known;
  if (code == static_cast<int64_t>(DType::kBool)) return DType::kBool;
  fail_invalid("dtype {} is no numeric type", code);
}

void infer_shape_attr(InferContext& ctx) {
  const Shape shape = ctx.attrs().get_ints("shape");
  for (int64_t size : shape)
    if (size < 0) fail_invalid("shape {} holds a negative size", shape_text(shape));
  element_count(shape);
  ctx.set_type(0, dtype_attr(ctx.attrs(), DType::kF32), to_dims(shape));
}

void infer_like(InferContext& ctx) {
  ctx.set_type(0, TensorType{dtype_attr(ctx.attrs(), ctx.dtype(0)), ctx.type(0).shape});
}

/// [batch, classes] -> [batch, sample_size]
void infer_multinomial(InferContext& ctx) {
  ctx.require_rank(0, 2, 2);
  const int64_t samples = ctx.attrs().get_int("sample_size", 1);
  if (samples < 1) fail_invalid("sample_size is {}, expected 1 or more", samples);
  const Dim batch = ctx.shape(0) ? (*ctx.shape(0))[0] : Dim{};
  ctx.set_type(0, dtype_attr(ctx.attrs(), DType::kI32), {batch, samples});
}

OpDef random_op(std::string_view name, std::vector<int> versions, int inputs,
                void (*infer)(InferContext&), std::vector<AttrSpec> attrs) {
  attrs.push_back({"dtype", AttrKind::kInt});
  attrs.push_back({"seed", AttrKind::kFloat});
  return {.name = name,
          .versions = std::move(versions),
          .inputs = {inputs, inputs},
          .outputs = {1, 1},
          .attrs = std::move(attrs),
          .infer = infer,
          .foldable = false,
          .half_since = kNoHalfForm};
}

const AttrSpec kMean{"mean", AttrKind::kFloat}, kScale{"scale", AttrKind::kFloat};
const AttrSpec kLow{"low", AttrKind::kFloat}, kHigh{"high", AttrKind::kFloat};
const AttrSpec kShape{"shape", AttrKind::kInts, true};

}  // namespace

const OpDef& op_Bernoulli() {
  static const OpDef def = random_op("Bernoulli", {15, 22}, 1, infer_like, {});
  return def;
}

const OpDef& op_Multinomial() {
  static const OpDef def =
      random_op("Multinomial", {7, 22}, 1, infer_multinomial, {{"sample_size", AttrKind::kInt}});
  return def;
}

const OpDef& op_RandomNormal() {
  static const OpDef def =
      random_op("RandomNormal", {1, 22}, 0, infer_shape_attr, {kMean, kScale, kShape});
  return def;
}

const OpDef& op_RandomNormalLike() {
  static const OpDef def = random_op("RandomNormalLike", {1, 22}, 1, infer_like, {kMean, kScale});
  return def;
}

const OpDef& op_RandomUniform() {
  static const OpDef def =
      random_op("RandomUniform", {1, 22}, 0, infer_shape_attr, {kLow, kHigh, kShape});
  return def;
}

const OpDef& op_RandomUniformLike() {
  static const OpDef def = random_op("RandomUniformLike", {1, 22}, 1, infer_like, {kLow, kHigh});
  return def;
}

}  // namespace lapidary
