#include "src/ops/pool.h"
#include "src/ops/quant.h"

// QLinearAveragePool and QLinearGlobalAveragePool of com.microsoft, inputs x, sx, zx, sy, zy:
// y = saturate(round(float(sum (q - zx)) * (sx / (n sy))) + zy), n the number of elements averaged

namespace lapidary {

namespace {

void infer_params(const InferContext& context) {
  context.require_dtype(0, kByteDTypes);
  for (size_t scale : {1u, 3u}) {
    infer_scalar_scale(context, scale);
    infer_zero_point(context, scale + 1, scale);
    if (context.has_input(scale + 1)) context.require_same_dtype(0, scale + 1);
  }
}

/// What turns the sum of n elements into y.
struct Average {
  explicit Average(const EvalContext& context)
      : x_scale(read_scale(context, 1)),
        y_scale(read_scale(context, 3)),
        y_zero(read_zero_point(context, 4)),
        range(quant_range(context.input(0).dtype())) {}

  int32_t operator()(int64_t sum, int64_t n) const {
    const float multiplier = x_scale / (static_cast<float>(n) * y_scale);
    return saturate(static_cast<float>(sum) * multiplier, y_zero, range);
  }

  float x_scale, y_scale;
  int32_t y_zero;
  QuantRange range;
};

void infer_average_pool(InferContext& context) {
  infer_params(context);
  if (context.attrs().get_int("channels_last", 0) != 0)
    fail_unsupported("channels_last = 1 is not computed");
  context.set_type(0, TensorType{context.dtype(0), pool_output_shape(context, 0)});
}

void evaluate_average_pool(EvalContext& context) {
  const Tensor& x = context.input(0);
  const PoolGeometry g = pool_geometry(context.attrs(), x.shape());
  const bool with_padding = context.attrs().get_int("count_include_pad", 0) != 0;
  const Average average(context);
  const std::vector<int32_t> in = read_centered(context, 0, 2);
  std::vector<int32_t> out(static_cast<size_t>(element_count(g.output)));
  for_each_window(
      g, [&](int64_t plane, int64_t o, const auto& at, std::span<const int64_t> window) {
        const int32_t* from = in.data() + plane * g.in_area();
        int64_t sum = 0;
        for (int64_t i : window) sum += from[i];
        const int64_t n = with_padding ? padded_count(g, at) : static_cast<int64_t>(window.size());
        out[static_cast<size_t>(plane * g.out_area() + o)] = average(sum, n);
      });
  context.set_output(0, make_quantized(x.dtype(), g.output, out));
}

/// [N, C, ...], or [N, ..., C] with channels_last: everything between is averaged.
void infer_global_average_pool(InferContext& context) {
  infer_params(context);
  if (context.attrs().get_int("channels_last", 0) == 0)
    return infer_global_pool(context, 0, context.dtype(0));
  context.require_rank(0, 3, -1);
  TensorType out = context.type(0);
  if (out.shape) std::fill(out.shape->begin() + 1, out.shape->end() - 1, Dim(1));
  context.set_type(0, std::move(out));
}

void evaluate_global_average_pool(EvalContext& context) {
  const Tensor& x = context.input(0);
  const bool last = context.attrs().get_int("channels_last", 0) != 0;
  const int64_t batch = x.dim(0), channels = x.dim(last ? -1 : 1);
  if (x.size() == 0) fail_invalid("a pool over no elements: {}", tensor_type(x).text());
  const int64_t area = x.size() / (batch * channels);
  const Average average(context);
  const std::vector<int32_t> in = read_centered(context, 0, 2);
  std::vector<int32_t> out;
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t c = 0; c < channels; ++c) {
      int64_t sum = 0;
      for (int64_t i = 0; i < area; ++i)
        sum += in[static_cast<size_t>(last ? (n * area + i) * channels + c
                                           : (n * channels + c) * area + i)];
      out.push_back(average(sum, area));
    }
  Shape shape(x.shape().size(), 1);
  shape.front() = batch;
  shape[last ? shape.size() - 1 : 1] = channels;
  context.set_output(0, make_quantized(x.dtype(), std::move(shape), out));
}

constexpr AttrSpec kChannelsLast{"channels_last", AttrKind::kInt};

}  // namespace

const OpDef& op_com_microsoft_QLinearAveragePool() {
  static const OpDef def{.domain = "com.microsoft",
                         .name = "QLinearAveragePool",
                         .versions = {1},
                         .inputs = {4, 5},
                         .outputs = {1, 1},
                         .attrs = {kAutoPadSpec,
                                   kPadsSpec,
                                   kStridesSpec,
                                   kChannelsLast,
                                   {"kernel_shape", AttrKind::kInts, true},
                                   {"ceil_mode", AttrKind::kInt},
                                   {"count_include_pad", AttrKind::kInt}},
                         .infer = infer_average_pool,
                         .evaluate = evaluate_average_pool,
                         .role = QuantRole::kInteger,
                         .output_scale = 3};
  return def;
}

const OpDef& op_com_microsoft_QLinearGlobalAveragePool() {
  static const OpDef def{.domain = "com.microsoft",
                         .name = "QLinearGlobalAveragePool",
                         .versions = {1},
                         .inputs = {4, 5},
                         .outputs = {1, 1},
                         .attrs = {kChannelsLast},
                         .infer = infer_global_average_pool,
                         .evaluate = evaluate_global_average_pool,
                         .role = QuantRole::kInteger,
                         .output_scale = 3};
  return def;
}

}  // namespace lapidary
