#include "quantize/ptq/skip_means.h"

#include "src/base/fail.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

/// The Q -> DQ pair's float result behind `made`, or `made` itself where there is none.
ValueId behind_pair(const Graph& graph, ValueId made) {
  const NodeId q = only_user(graph, made);
  if (!q.valid() || !graph.node(q).is("QuantizeLinear")) return made;
  const NodeId dq = only_user(graph, graph.node(q).outputs[0]);
  return dq.valid() ? graph.node(dq).outputs[0] : made;
}

QuantParams read_params(const Graph& graph, const Node& dq) {
  QuantParams params;
  const Tensor* scale = graph.constant(dq.inputs[1]);
  const Tensor* zero = graph.constant(dq.inputs[2]);
  LAPIDARY_CHECK(scale && zero && scale->size() == 1);
  params.storage = zero->dtype();
  params.scale = {scale->data<float>()[0]};
  params.zero_point = {zero->dtype() == DType::kU8 ? zero->data<uint8_t>()[0]
                                                   : zero->data<int8_t>()[0]};
  return params;
}

/// The first `rows` of axis 0.
template <class T>
void add_channels(const Tensor& batch, int64_t rows, int64_t channels, int64_t inner,
                  std::vector<double>& sums) {
  const auto x = batch.data<T>().first(static_cast<size_t>(rows * channels * inner));
  for (size_t at = 0, c = 0; at < x.size(); at += static_cast<size_t>(inner), ++c) {
    int64_t sum = 0;
    for (int64_t i = 0; i < inner; ++i) sum += x[at + static_cast<size_t>(i)];
    sums[c % static_cast<size_t>(channels)] += static_cast<double>(sum);
  }
}

}  // namespace

std::optional<SkipInput> skip_input(const Graph& graph, const QdqLayer& layer) {
  const ValueId branch = behind_pair(graph, layer.made);
  const NodeId add = only_user(graph, branch);
  if (!add.valid() || !graph.node(add).is("Add")) return std::nullopt;
  const auto& inputs = graph.node(add).inputs;
  const ValueId other = inputs[0] == branch ? inputs[1] : inputs[0];
  const NodeId dq = graph.value(other).producer;
  if (other == branch || !dq.valid() || !graph.node(dq).is("DequantizeLinear")) return std::nullopt;
  const ValueId integers = graph.node(dq).inputs[0];
  const NodeId q = graph.value(integers).producer;
  if (!q.valid() || !graph.node(q).is("QuantizeLinear")) return std::nullopt;
  return SkipInput{integers, read_params(graph, graph.node(dq)),
                   graph.value(graph.node(q).inputs[0]).name};
}

std::vector<double> skip_mean_error(const SkipInput& skip, const TensorStats& stats,
                                    const Lockstep::Batches& held) {
  const auto& batches = held.tensors;
  if (batches.empty() || batches[0].rank() < 3 || stats.channel_axis != 1 ||
      static_cast<int64_t>(stats.channel_sums.size()) != batches[0].dim(1))
    return {};
  const int64_t channels = batches[0].dim(1);
  std::vector<double> sums(static_cast<size_t>(channels));
  int64_t elements = 0;
  for (size_t b = 0; b < batches.size(); ++b) {
    const Tensor& batch = batches[b];
    const auto rows = counted_rows(batch.dim(0), held.rows[b].ran, held.rows[b].counted);
    if (!rows) return {};
    const int64_t inner = batch.size() / (batch.dim(0) * channels);
    elements += *rows * inner;
    if (batch.dtype() == DType::kU8)
      add_channels<uint8_t>(batch, *rows, channels, inner, sums);
    else
      add_channels<int8_t>(batch, *rows, channels, inner, sums);
  }
  std::vector<double> error;
  for (size_t c = 0; c < sums.size(); ++c) {
    const double mean = sums[c] / static_cast<double>(elements) - skip.params.zero_point[0];
    error.push_back(stats.channel_mean(c) - mean * static_cast<double>(skip.params.scale[0]));
  }
  return error;
}

}  // namespace lapidary
