#include <cmath>

#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/before_7.h"
#include "src/ops/norm.h"

// y = scale (x - mean) / sqrt(var + epsilon) + bias per channel (axis 1). With training_mode (14+)
// mean and variance are those of the batch, and the running ones move: running = momentum running +
// (1 - momentum) batch.

namespace lapidary {

namespace {

void infer_batch_norm(InferContext& context) {
  context.require_dtype(0, kFloatDTypes);
  const int version = context.version();
  if (version < 9 && context.attrs().get_int("spatial", 1) != 1)
    fail_unsupported("spatial = 0: statistics for every position");
  const Dim channels = version >= 14 ? channels_of(context, 1) : channels_of(context, 2);
  for (size_t i = 1; i < 5; ++i) check_per_channel(context, i, channels);
  context.set_type(0, context.type(0));
  const bool training = context.attrs().get_int("training_mode", 0) != 0;
  if (version >= 14 && !training && context.output_count() > 1)
    fail_invalid("{} outputs without training_mode, expected 1", context.output_count());
  // The standard is silent on mean and variance of nothing but asks for two outputs when training.
  for (size_t i = 1; i < context.output_count(); ++i) {
    TensorType type = context.type(3);
    context.set_type(i, std::move(type));
  }
}

void evaluate_batch_norm(EvalContext& context) {
  const Tensor& x = context.input(0);
  const int version = context.version();
  const bool training = context.attrs().get_int("training_mode", 0) != 0;
  if (version < 14 && context.output_count() > 1)
    fail_unsupported("the training form of version {} (several outputs)", version);
  const double epsilon = context.attrs().get_float("epsilon", 1e-5f);
  const double momentum = context.attrs().get_float("momentum", 0.9f);
  const std::vector<double> scale = read_as<double>(context.input(1));
  const std::vector<double> bias = read_as<double>(context.input(2));
  std::vector<double> mean = read_as<double>(context.input(3));
  std::vector<double> variance = read_as<double>(context.input(4));
  std::vector<double> running_mean = mean, running_variance = variance;
  const int64_t channels = x.rank() > 1 ? x.dim(1) : 1, batch = x.rank() > 0 ? x.dim(0) : 1;
  const int64_t area = x.size() / std::max<int64_t>(1, batch * channels);
  std::vector<double> values = read_as<double>(x);
  const auto at = [&](int64_t n, int64_t c) { return values.data() + (n * channels + c) * area; };
  for (int64_t c = 0; c < channels; ++c) {
    const auto ch = static_cast<size_t>(c);
    if (training) {
      std::vector<double> slice;
      for (int64_t n = 0; n < batch; ++n) slice.insert(slice.end(), at(n, c), at(n, c) + area);
      const Moments m = moments(slice);
      mean[ch] = m.mean;
      variance[ch] = m.variance;
      running_mean[ch] = momentum * running_mean[ch] + (1 - momentum) * m.mean;
      running_variance[ch] = momentum * running_variance[ch] + (1 - momentum) * m.variance;
    }
    if (!(variance[ch] + epsilon > 0))
      fail_invalid("variance of channel {} is {}, with epsilon {}", c, variance[ch], epsilon);
    const double factor = scale[ch] / std::sqrt(variance[ch] + epsilon);
    for (int64_t n = 0; n < batch; ++n)
      for (double& v : std::span(at(n, c), static_cast<size_t>(area)))
        v = (v - mean[ch]) * factor + bias[ch];
  }
  context.set_output(0, make_from(x.dtype(), x.shape(), values));
  const Tensor& running = context.input(3);
  context.set_output(1, make_from(running.dtype(), running.shape(), running_mean));
  context.set_output(2, make_from(running.dtype(), running.shape(), running_variance));
}

/// x and y [N, C, ...], parameters and what training gives of them [C].
void batch_norm_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  if (flow.input_rank(0) < 2) return;
  for (size_t i = 1; i < 5; ++i) tie_parameter(flow, i, flow.input(0, 1));
  for (size_t i = 1; i < flow.output_count(); ++i)
    if (flow.has_output(i)) tie_or_freeze(flow, flow.output(i, 0), flow.input(0, 1));
  if (flow.attrs().get_int("training_mode", 0) == 0 && flow.output_count() == 1) return;
  for (int64_t i = 0; i < flow.input_rank(0); ++i)
    if (i != 1) flow.lossy(flow.input(0, i), "statistics of the batch");
}

void refuse_training(Graph& graph, NodeId id) {
  if (graph.node(id).outputs.size() > 1)
    fail_unsupported("{}: its training form (several outputs) has no counterpart in version 14",
                     node_label(graph, id));
}

/// `spatial` went; 1 is what stayed.
void upgrade_to_9(Graph& graph, NodeId id) {
  if (AttrView(graph.node(id), 7).get_int("spatial", 1) != 1)
    fail_unsupported("{}: spatial = 0 has no counterpart in version 9", node_label(graph, id));
  graph.erase_attr(id, "spatial");
}

}  // namespace

const OpDef& op_BatchNormalization() {
  static const OpDef def{
      .name = "BatchNormalization",
      .versions = {7, 9, 14, 15},
      .inputs = {5, 5},
      .outputs = {1, 5},
      .attrs = {{"epsilon", AttrKind::kFloat},
                {"momentum", AttrKind::kFloat},
                {.name = "spatial", .kind = AttrKind::kInt, .until = 8},
                {.name = "training_mode", .kind = AttrKind::kInt, .since = 14}},
      .infer = infer_batch_norm,
      .evaluate = evaluate_batch_norm,
      .axes = batch_norm_axes,
      .upgrades = {{7, drop_old_attributes}, {9, upgrade_to_9}, {14, refuse_training}}};
  return def;
}

}  // namespace lapidary
