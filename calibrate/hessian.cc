#include "calibrate/hessian.h"

#define EIGEN_DONT_PARALLELIZE  // threads are parallel_for's
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "calibrate/feeder.h"
#include "calibrate/windows.h"
#include "lapidary/exec.h"
#include "lapidary/passes.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/data/batches.h"
#include "src/ops/conv.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

using Columns = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic>;
using Square = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// Positions whose products are summed in float32 before they are added up in float64.
constexpr int64_t kChunk = 256;
constexpr int64_t kTile = 64;
/// Bytes of Hessians that one pass over the data may collect.
constexpr int64_t kPassBytes = 512'000'000;

/// One group's x of positions [begin, begin + out.rows()) of a convolution, position-major; padding
/// is 0.
void gather_windows(const ConvGeometry& g, std::span<const float> x, int64_t group, int64_t begin,
                    Columns& out) {
  const auto& [d, h, v] = g.axes;
  const int64_t channels = g.group_in(), area = g.out_area(), plane = h.out * v.out;
  const auto load = [&](int64_t column) {
    const int64_t tap = column / channels, channel = group * channels + column % channels;
    const int64_t kd = tap / (h.kernel * v.kernel), kh = tap / v.kernel % h.kernel,
                  kw = tap % v.kernel;
    for (int64_t row = 0; row < out.rows(); ++row) {
      const int64_t n = (begin + row) / area, at = (begin + row) % area;
      const int64_t z = at / plane * d.stride + kd * d.dilation - d.pad_begin;
      const int64_t y = at % plane / v.out * h.stride + kh * h.dilation - h.pad_begin;
      const int64_t c = at % v.out * v.stride + kw * v.dilation - v.pad_begin;
      const bool inside = z >= 0 && z < d.in && y >= 0 && y < h.in && c >= 0 && c < v.in;
      const int64_t from = (n * g.in_channels + channel) * g.in_area() + (z * h.in + y) * v.in + c;
      out(row, column) = inside ? x[static_cast<size_t>(from)] : 0;
    }
  };
  parallel_for(out.cols(), 16, [&](int64_t first, int64_t last, int) {
    for (int64_t column = first; column < last; ++column) load(column);
  });
}

/// h += 2 x^T x, the lower triangle in tiles. The order of sums does not depend on threads.
void add_products(const Columns& x, std::vector<double>& h) {
  const Eigen::Index k = x.cols();
  Eigen::Map<Square> sums(h.data(), k, k);
  const int64_t tiles = (k + kTile - 1) / kTile;
  parallel_for(tiles, 1, [&](int64_t first, int64_t last, int) {
    for (int64_t tile = first; tile < last; ++tile) {
      const Eigen::Index at = tile * kTile, width = std::min<Eigen::Index>(kTile, k - at);
      sums.block(at, at, k - at, width) +=
          (2 * (x.rightCols(k - at).transpose() * x.middleCols(at, width))).cast<double>();
    }
  });
}

void add_conv(const ConvGeometry& g, std::span<const float> x, int64_t group,
              std::vector<double>& h) {
  const int64_t positions = g.batch * g.out_area();
  for (int64_t begin = 0; begin < positions; begin += kChunk) {
    Columns part(std::min(kChunk, positions - begin), g.group_in() * g.kernel_area());
    gather_windows(g, x, group, begin, part);
    add_products(part, h);
  }
}

void add_rows(std::span<const float> x, int64_t columns, std::vector<double>& h) {
  using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const int64_t rows = std::ssize(x) / columns;
  for (int64_t begin = 0; begin < rows; begin += kChunk) {
    const Columns part =
        Eigen::Map<const Rows>(x.data() + begin * columns, std::min(kChunk, rows - begin), columns);
    add_products(part, h);
  }
}

/// The other triangle.
void mirror(Hessian& hessian) {
  const auto k = static_cast<size_t>(hessian.columns);
  for (auto& h : hessian.groups)
    for (size_t i = 0; i < k; ++i)
      for (size_t j = i + 1; j < k; ++j) h[i * k + j] = h[j * k + i];
}

/// The graph up to the values that are no inputs.
Graph up_to(const Graph& graph, const std::vector<ValueId>& values) {
  Graph out = graph;
  std::vector<ValueId> made;
  for (const ValueId id : values)
    if (!graph.is_input(id)) made.push_back(id);
  if (made.empty()) return out;
  out.set_outputs(std::move(made));
  run_passes(out, {"remove_dead_code"});
  return out;
}

}  // namespace

std::string hessian_refusal(const Graph& graph, const LayerWeights& layer, int64_t most_columns) {
  if (layer.matrix.columns() > most_columns)
    return fmt::format("each output multiplies {} inputs; {} at most are collected",
                       layer.matrix.columns(), most_columns);
  for (const NodeId id : layer.readers) {
    const Node& node = graph.node(id);
    if (node.is("Conv")) continue;
    if (!node.is("Gemm") && !node.is("MatMul"))
      return fmt::format("what {} multiplies is not collected", node.op);
    if (int_attr(graph, id, "transA", 0) != 0) return "its input is transposed";
    if (layer.matrix.groups != 1) return "its weights are a batch of matrices";
  }
  return {};
}

void add_inputs(const Graph& graph, const LayerWeights& layer, NodeId reader, const Tensor& x,
                int64_t rows, Hessian& hessian) {
  const WeightMatrix& matrix = layer.matrix;
  const auto k = static_cast<size_t>(matrix.columns());
  hessian.columns = matrix.columns();
  hessian.groups.resize(static_cast<size_t>(matrix.groups), std::vector<double>(k * k));
  const auto elements = x.data<float>();
  const size_t each = elements.size() / static_cast<size_t>(x.dim(0));
  const auto counted = elements.first(each * static_cast<size_t>(rows));
  if (!graph.node(reader).is("Conv")) return add_rows(counted, matrix.columns(), hessian.groups[0]);
  Shape shape = x.shape();
  shape[0] = rows;
  const ConvGeometry g = conv_geometry(AttrView(graph.node(reader), 0), shape,
                                       graph.constant(layer.constant)->shape());
  parallel_for(matrix.groups, 1, [&](int64_t first, int64_t last, int) {
    for (int64_t group = first; group < last; ++group)
      add_conv(g, counted, group, hessian.groups[static_cast<size_t>(group)]);
  });
}

std::vector<Hessian> hessians(const Graph& graph, std::span<const LayerWeights* const> layers,
                              const Dataset& data, int64_t samples, int threads) {
  std::vector<ValueId> values;
  for (const LayerWeights* layer : layers)
    for (const NodeId reader : layer->readers) values.push_back(graph.node(reader).inputs[0]);
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  const Feeder feeder(graph, data);
  const bool computed =
      std::any_of(values.begin(), values.end(), [&](ValueId id) { return !graph.is_input(id); });
  Executor executor(up_to(graph, values), {.threads = threads});
  std::vector<Hessian> out(layers.size());
  const int64_t end = samples > 0 ? std::min(samples, data.size()) : data.size();
  for_batches(data, 0, end, suitable_batch(graph, data), [&](const Batch& batch, int64_t) {
    const auto inputs = feeder.inputs(batch);
    const BatchRows ran = feeder.rows(batch);
    const auto made = computed ? executor.run(inputs) : Executor::Values();
    for (size_t i = 0; i < layers.size(); ++i)
      for (const NodeId reader : layers[i]->readers) {
        const ValueId id = graph.node(reader).inputs[0];
        const std::string& name = graph.value(id).name;
        const Tensor& x = graph.is_input(id) ? inputs.at(name) : made.at(name);
        const auto rows = counted_rows(x.dim(0), ran.ran, ran.counted);
        if (!rows)
          fail_unsupported("'{}' does not begin with the samples: padding cannot be told apart",
                           printable(name, 200));
        const auto v = x.data<float>();
        if (!std::all_of(v.begin(), v.end(), [](float f) { return std::isfinite(f); }))
          fail_invalid("'{}' is not finite on the samples from {} on", printable(name, 200),
                       batch.indices[0]);
        add_inputs(graph, *layers[i], reader, x, *rows, out[i]);
      }
  });
  for (Hessian& hessian : out) {
    if (hessian.groups.empty()) fail_usage("no sample of the data can be used");
    mirror(hessian);
  }
  return out;
}

void each_hessian(const Graph& graph, std::span<const LayerWeights* const> layers,
                  const Dataset& data, int64_t samples, int threads,
                  const std::function<void(size_t, const Hessian&)>& take) {
  for (size_t begin = 0; begin < layers.size();) {
    size_t end = begin;
    for (int64_t bytes = 0; end < layers.size(); ++end) {
      const WeightMatrix& m = layers[end]->matrix;
      bytes += m.groups * m.columns() * m.columns() * static_cast<int64_t>(sizeof(double));
      if (end > begin && bytes > kPassBytes) break;
    }
    const auto part = hessians(graph, layers.subspan(begin, end - begin), data, samples, threads);
    for (size_t i = 0; i < part.size(); ++i) take(begin + i, part[i]);
    begin = end;
  }
}

}  // namespace lapidary
