#include "src/base/checked.h"
#include "src/ops/conv.h"
#include "src/ops/evaluate.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/packed_weights.h"

namespace lapidary {

namespace {

// acc[n,c,o] = sum_{i,k} s(x[n, i, o stride + k dilation - pad]) w[c,i,k],  s(x) = x >= 0 ? 1 : -1
// y[n,c,o] = float(acc) * scale[c] + bias[c], rounded twice; outside the image s(x) is pad_value.
// x: [N, IC, H, W], w: bits [OC, KH * KW * ceil(IC / 8)]: channel i of tap (ky, kx) is bit i % 8 of
// byte (ky * KW + kx) * ceil(IC / 8) + i / 8.

struct Filter {
  int64_t in_c, kernel_h, kernel_w;
  Shape shape(int64_t out_c) const { return {out_c, in_c, kernel_h, kernel_w}; }
};

Filter read_filter(const AttrView& attrs) {
  const std::vector<int64_t> kernel = attrs.get_ints("kernel_shape");
  const int64_t in_c = attrs.get_int("in_channels", 0);
  if (kernel.size() != 2) fail_invalid("kernel_shape is {}, expected 2", shape_text(kernel));
  if (in_c < 1) fail_invalid("in_channels is {}, expected 1 or more", in_c);
  return {in_c, kernel[0], kernel[1]};
}

void check_window(const AttrView& attrs) {
  const float value = attrs.get_float("pad_value", 0);
  if (value != 0 && value != 1) fail_invalid("pad_value is {}, expected 0 or 1", value);
  for (const char* name : {"strides", "dilations", "pads"}) {
    const std::vector<int64_t> values = attrs.get_ints(name);
    const size_t wanted = name == std::string_view("pads") ? 4 : 2;  // a body takes them as written
    if (values.size() != wanted)
      fail_invalid("{} is {}, expected {} elements", name, shape_text(values), wanted);
  }
  for (const int64_t pad : attrs.get_ints("pads"))
    if (pad < 0) fail_invalid("pads of {}, expected 0 or more", pad);
}

void infer(InferContext& context) {
  const AttrView& attrs = context.attrs();
  const Filter filter = read_filter(attrs);
  check_window(attrs);
  const WindowAttrs window = read_window(attrs, {filter.kernel_h, filter.kernel_w});
  const int64_t area = checked_mul(filter.kernel_h, filter.kernel_w);
  require_exact_sums(checked_mul(area, filter.in_c));
  context.require_dtype(0, std::array{DType::kF32});
  context.require_rank(0, 4, 4);
  require_packed(context, 1, area * binary_bytes(filter.in_c));
  const Dim channels = require_affine(context, 1, 2, 3);
  const auto* x = context.shape(0);
  if (x == nullptr) return context.set_type(0, DType::kF32);
  if ((*x)[1].known() && (*x)[1].value != filter.in_c)
    fail_invalid("in_channels is {}, the input is {}", filter.in_c, context.type(0).text());
  context.set_type(
      0, DType::kF32,
      {(*x)[0], channels, window_output(window, 0, (*x)[2]), window_output(window, 1, (*x)[3])});
}

/// s(x) with the padding around it.
Tensor padded_signs(const Tensor& x, const std::vector<int64_t>& pads, float value) {
  const int64_t planes = x.dim(0) * x.dim(1), h = x.dim(2), w = x.dim(3);
  const int64_t all_h = h + pads[0] + pads[2], all_w = w + pads[1] + pads[3];
  Tensor out(DType::kF32, {x.dim(0), x.dim(1), all_h, all_w});
  const auto to = out.mutable_data<float>();
  std::ranges::fill(to, value);
  const float* from = x.data<float>().data();
  for (int64_t plane = 0; plane < planes; ++plane)
    for (int64_t iy = 0; iy < h; ++iy)
      for (int64_t ix = 0; ix < w; ++ix)
        to[static_cast<size_t>((plane * all_h + iy + pads[0]) * all_w + ix + pads[1])] =
            *from++ >= 0 ? 1.0f : -1.0f;
  return out;
}

void evaluate(EvalContext& context) {
  const AttrView& attrs = context.attrs();
  const Tensor w =
      unpack_binary_conv(context.input(1), read_filter(attrs).shape(context.input(1).dim(0)));
  const Tensor x =
      padded_signs(context.input(0), attrs.get_ints("pads"), attrs.get_float("pad_value", 0));
  Node valid = attrs.node();
  std::erase_if(valid.attrs, [](const auto& attr) { return attr.first == "pads"; });
  const ConvGeometry g = conv_geometry({valid, attrs.version()}, x.shape(), w.shape());
  const auto scale = context.input(2).data<float>(), bias = context.input(3).data<float>();
  Tensor y(DType::kF32, g.output);
  const auto out = y.mutable_data<float>();
  convolve<int64_t, float>(g, x.data<float>(), w.data<float>(),
                           [&](int64_t n, int64_t m, std::span<const int64_t> acc) {
                             const auto c = static_cast<size_t>(m);
                             float* to = out.data() + (n * g.out_channels + m) * g.out_area();
                             for (size_t i = 0; i < acc.size(); ++i)
                               to[i] = binary_affine(acc[i], scale[c], bias[c]);
                           });
  context.set_output(0, std::move(y));
}

int64_t macs(const AttrView& attrs, std::span<const TensorType>,
             std::span<const TensorType> outputs) {
  const Filter f = read_filter(attrs);
  return checked_mul(element_count(outputs[0].static_shape()), f.in_c * f.kernel_h * f.kernel_w);
}

void body(BodyBuilder& b) {
  const ValueId x = b.input("X"), w = b.input("W"), scale = b.input("scale");
  const ValueId bias = b.input("bias"), kernel = b.attr("kernel_shape");
  // [OC, KH, KW, 8 * ceil(IC / 8)], without the bits past IC, as [OC, IC, KH, KW]
  const ValueId shape = b.op("Concat", {b.ints({0}), kernel, b.ints({-1})}, {{"axis", int64_t{0}}});
  const ValueId bits = b.op("Reshape", {body_codes(b, w, /*ternary=*/false), shape});
  const ValueId in_c = b.op("Reshape", {b.attr("in_channels"), b.ints({1})});
  const ValueId taps = b.op("Slice", {bits, b.ints({0}), in_c, b.ints({3})});
  const ValueId oihw = b.op("Transpose", {taps}, {{"perm", std::vector<int64_t>{0, 3, 1, 2}}});
  const ValueId weights = b.op("Cast", {oihw}, {{"to", static_cast<int64_t>(DType::kF32)}});
  // Padded by a node of its own: Conv pads with 0 only.
  const ValueId pads = b.attr("pads"), none = b.ints({0, 0});
  const auto part = [&](int64_t begin) {
    return b.op("Slice", {pads, b.ints({begin}), b.ints({begin + 2})});
  };
  const ValueId all = b.op("Concat", {none, part(0), none, part(2)}, {{"axis", int64_t{0}}});
  const ValueId signs = b.op("Pad", {body_signs(b, x), all, b.attr("pad_value")});
  const ValueId acc = b.op("Conv", {signs, weights},
                           {{"kernel_shape", b.call_attr("kernel_shape")},
                            {"strides", b.call_attr("strides")},
                            {"dilations", b.call_attr("dilations")}});
  b.output("Y", body_affine(b, acc, scale, bias, {1, -1, 1, 1}));
}

}  // namespace

const OpDef& op_ai_lapidary_BinaryConv() {
  static const OpDef def = without_half_form({.domain = kOwnDomain,
                                              .name = "BinaryConv",
                                              .versions = {1},
                                              .inputs = {4, 4},
                                              .outputs = {1, 1},
                                              .attrs = {{"kernel_shape", AttrKind::kInts, true},
                                                        {"strides", AttrKind::kInts, true},
                                                        {"dilations", AttrKind::kInts, true},
                                                        {"pads", AttrKind::kInts, true},
                                                        {"in_channels", AttrKind::kInt, true},
                                                        {"pad_value", AttrKind::kFloat, true}},
                                              .infer = infer,
                                              .evaluate = evaluate,
                                              .macs = macs,
                                              .body = body});
  return def;
}

}  // namespace lapidary
