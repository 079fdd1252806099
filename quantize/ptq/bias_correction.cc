#include "quantize/ptq/bias_correction.h"

#include "quantize/ptq/linear_view.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"

namespace lapidary {

namespace {

/// Stored integers of a weight tensor, of either signedness.
int32_t stored(const Tensor& tensor, int64_t i) {
  return tensor.dtype() == DType::kU8 ? tensor.data<uint8_t>()[static_cast<size_t>(i)]
                                      : tensor.data<int8_t>()[static_cast<size_t>(i)];
}

}  // namespace

IntegerWindows integer_windows(const Graph& graph, const QdqLayer& layer,
                               const Lockstep::Batches& input, int threads) {
  IntegerWindows out;
  const int32_t zero = layer.input_params.zero_point[0];
  for (size_t b = 0; b < input.tensors.size(); ++b) {
    const Tensor& batch = input.tensors[b];
    const auto spec = window_spec(graph, layer.node, batch.shape());
    if (!spec) return {};
    const auto rows = counted_rows(batch.dim(0), input.rows[b].ran, input.rows[b].counted);
    if (!rows) return {};
    const auto columns = static_cast<size_t>(spec->columns());
    const int64_t size = batch.size() / std::max<int64_t>(batch.dim(0), 1);
    std::vector<int64_t> sums(columns * static_cast<size_t>(*rows));
    parallel_for(
        *rows, 1,
        [&](int64_t begin, int64_t end, int) {
          for (int64_t i = begin; i < end; ++i) {
            int64_t* to = sums.data() + static_cast<size_t>(i) * columns;
            if (batch.dtype() == DType::kU8)
              window_sums(batch.data<uint8_t>().data() + i * size, false, *spec, zero, to);
            else
              window_sums(batch.data<int8_t>().data() + i * size, false, *spec, zero, to);
          }
        },
        threads);
    out.positions += *rows * spec->positions();
    out.sums.resize(columns);
    for (size_t i = 0; i < sums.size(); ++i) out.sums[i % columns] += sums[i];
  }
  return out;
}

std::vector<double> corrected_bias(const Graph& graph, const QdqLayer& layer,
                                   const WindowStats& float_windows,
                                   const IntegerWindows& windows) {
  LAPIDARY_CHECK(float_windows.sums.size() == windows.sums.size() && windows.positions > 0);
  const LinearView view = linear_view(graph, layer);
  const auto weight = layer.float_weight.data<float>();
  const Tensor& integers = *graph.constant(layer.weight);
  const QuantParams& params = layer.weight_params;
  const double float_count = static_cast<double>(float_windows.positions);
  const double count = static_cast<double>(windows.positions);
  const double input_scale = layer.input_params.scale[0];
  std::vector<double> bias(static_cast<size_t>(view.rows));
  for (int64_t c = 0; c < view.rows; ++c) {
    const auto channel = static_cast<size_t>(params.per_tensor() ? 0 : c);
    double wanted = 0, found = 0;
    for (int64_t k = 0; k < view.columns; ++k) {
      const auto column = static_cast<size_t>(view.first_column(c) + k);
      const int64_t at = view.at(c, k);
      wanted +=
          static_cast<double>(weight[static_cast<size_t>(at)]) * float_windows.sums[column].value();
      found += (stored(integers, at) - params.zero_point[channel]) *
               static_cast<double>(windows.sums[column]);
    }
    bias[static_cast<size_t>(c)] =
        wanted / float_count - found / count * input_scale * params.scale[channel];
    if (!layer.float_bias.empty())
      bias[static_cast<size_t>(c)] +=
          static_cast<double>(layer.float_bias.data<float>()[static_cast<size_t>(c)]);
  }
  return bias;
}

}  // namespace lapidary
