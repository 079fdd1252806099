#include "prune/read_statistics.h"

#include <algorithm>
#include <cmath>

#include "calibrate/feeder.h"
#include "calibrate/scan.h"
#include "calibrate/windows.h"
#include "lapidary/exec.h"
#include "prune/map_rank.h"
#include "src/base/float_types.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/data/batches.h"

namespace lapidary::prune {

namespace {

/// A read value's elements of some samples, [samples, outer, places, inner].
struct Block {
  const float* x = nullptr;
  int64_t samples = 0, outer = 1, places = 0, inner = 1;
  int64_t columns = 1;  ///< of a place's map, outer * inner elements

  const float* at(int64_t sample, int64_t o, int64_t place) const {
    return x + ((sample * outer + o) * places + place) * inner;
  }
};

Block block_of(const float* x, std::span<const int64_t> shape, int64_t axis, int64_t samples) {
  Block out{.x = x, .samples = samples, .places = shape[static_cast<size_t>(axis)]};
  for (int64_t d = 1; d < std::ssize(shape); ++d) {
    if (d == axis) continue;
    const int64_t size = shape[static_cast<size_t>(d)];
    (d < axis ? out.outer : out.inner) *= size;
    out.columns = size;
  }
  return out;
}

void add_squares(const Block& block, int64_t begin, int64_t end, std::vector<double>& squares) {
  for (int64_t n = 0; n < block.samples; ++n)
    for (int64_t o = 0; o < block.outer; ++o)
      for (int64_t p = begin; p < end; ++p) {
        const float* x = block.at(n, o, p);
        double sum = 0;
        for (int64_t i = 0; i < block.inner; ++i)
          sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
        squares[static_cast<size_t>(p)] += sum;
      }
}

/// Ranks, summed over samples.
void add_ranks(const Block& block, int64_t begin, int64_t end, std::vector<double>& ranks) {
  std::vector<float> map(static_cast<size_t>(block.outer * block.inner));
  if (map.empty()) return;
  for (int64_t p = begin; p < end; ++p)
    for (int64_t n = 0; n < block.samples; ++n) {
      for (int64_t o = 0; o < block.outer; ++o)
        std::copy_n(block.at(n, o, p), block.inner, map.data() + o * block.inner);
      if (!std::ranges::all_of(map, [](float x) { return std::isfinite(x); }))
        fail_invalid("element {} is not finite", p);
      ranks[static_cast<size_t>(p)] +=
          static_cast<double>(map_rank(map, std::ssize(map) / block.columns, block.columns));
    }
}

class Collector {
 public:
  Collector(const PruningGraph& graph, int threads, ScoreNeeds wanted)
      : threads_(threads), wanted_(wanted) {
    for (const PruneGroup& group : graph.groups())
      for (const PruneMember& read : group.read) values_.try_emplace({read.tensor, read.axis});
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [key, statistics] : values_)
      if (out.empty() || out.back() != key.first) out.push_back(key.first);
    return out;
  }
  void begin(const BatchRows& rows) { rows_ = rows; }

  void see(const TapView& view) {
    const std::string name(view.value);
    with_context([&] { return fmt::format("value '{}'", printable(name)); },
                 [&] {
                   std::vector<float> buffer;
                   const Tensor converted = as_float(view);
                   const float* x =
                       converted.empty() ? row_major(view, buffer) : converted.data<float>().data();
                   for (auto at = values_.lower_bound({name, 0});
                        at != values_.end() && at->first.first == name; ++at)
                     see(x, view.tensor.shape, at->first.second, at->second);
                 });
  }

  ReadValues take() && {
    for (auto& [key, statistics] : values_) {
      if (statistics.samples == 0)
        fail_usage("value '{}': no sample could be used", printable(key.first));
      for (double& rank : statistics.rank) rank /= static_cast<double>(statistics.samples);
    }
    return std::move(values_);
  }

 private:
  /// Of another float type: its elements in row-major order; empty: they are float32.
  static Tensor as_float(const TapView& view) {
    const TensorView& tensor = view.tensor;
    if (tensor.dtype == DType::kF32) return {};
    if (!is_float(tensor.dtype) || view.channels_last)
      fail_unsupported("its elements are {}: scores by data want a float graph",
                       dtype_name(tensor.dtype));
    return to_float_type(
        Tensor::borrow(tensor.dtype, Shape(tensor.shape.begin(), tensor.shape.end()), tensor.data,
                       nullptr),
        DType::kF32);
  }

  void see(const float* x, std::span<const int64_t> shape, int64_t axis, ReadStatistics& out) {
    const auto samples = axis > 0 ? counted_rows(shape[0], rows_.ran, rows_.counted) : std::nullopt;
    if (!samples) fail_unsupported("its samples cannot be told apart on its first axis");
    const Block block = block_of(x, shape, axis, *samples);
    std::vector<double>& sums = wanted_ == ScoreNeeds::kRanks ? out.rank : out.squares;
    sums.resize(static_cast<size_t>(block.places));
    parallel_for(
        block.places, 1,
        [&](int64_t begin, int64_t end, int) {
          (wanted_ == ScoreNeeds::kRanks ? add_ranks : add_squares)(block, begin, end, sums);
        },
        threads_);
    out.samples += *samples;
  }

  int threads_;
  ScoreNeeds wanted_;
  BatchRows rows_;
  ReadValues values_;
};

}  // namespace

ReadValues collect_reads(const PruningGraph& graph, const Dataset& data, int64_t samples,
                         int threads, ScoreNeeds wanted) {
  if (data.size() == 0 || samples < 1) fail_usage("no samples to score units by");
  samples = std::min(samples, data.size());
  const int64_t batch = std::min(suitable_batch(graph.graph(), data), samples);
  const Feeder feeder(graph.graph(), data);
  Collector collector(graph, threads, wanted);
  Executor executor(graph.graph(), {.threads = threads});
  executor.tap(collector.names(), [&](const TapView& view) { collector.see(view); });
  const auto run = [&](const Batch& some) {
    collector.begin(feeder.rows(some));
    executor.run(feeder.inputs(some));
  };
  if (samples == data.size())
    for_batches(data, 0, samples, batch, [&](const Batch& some, int64_t) { run(some); });
  else
    for_spread_batches(data, samples, batch, run);
  return std::move(collector).take();
}

}  // namespace lapidary::prune
