#include "calibrate/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "calibrate/feeder.h"
#include "calibrate/scan.h"
#include "calibrate/statistics.h"
#include "calibrate/tensors.h"
#include "lapidary/exec.h"
#include "lapidary/passes.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/data/batches.h"
#include "src/ops/infer.h"

namespace lapidary {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kSaveEvery = std::chrono::seconds(10);

/// Where a batch's samples come from.
struct BatchPlace {
  std::string data_hash;         ///< of the whole data
  int64_t first = 0;             ///< where the dataset begins in them
  std::vector<int64_t> indices;  ///< in the dataset
  std::vector<std::string> sources;
  int64_t rows = 0;  ///< samples that the graph ran, padding included
};

[[noreturn]] void fail_nonfinite(const BatchPlace& place, size_t sample, float value) {
  fail_invalid(
      "{} in sample {} ({}); `allow_nonfinite` (--allow-nonfinite) leaves such samples out",
      std::isnan(value) ? "NaN" : "infinity", place.indices[sample],
      printable(place.sources[sample]));
}

std::string sample_context(const BatchPlace& place, size_t sample) {
  return fmt::format("sample {} ({})", place.indices[sample], printable(place.sources[sample]));
}

/// Axis 1 is where a tap's layout says it is; other channel axes need the elements in order.
TapView in_order(const TapView& view, bool needed, std::vector<float>& buffer) {
  if (!needed || !view.channels_last) return view;
  TapView out = view;
  out.tensor.data = row_major(view, buffer);
  out.channels_last = false;
  return out;
}

/// One tapped tensor of a batch on its way into its statistics: `see` for every sample, from any
/// thread, then `finish`.
class TensorPass {
 public:
  TensorPass(const TapView& tapped, int64_t axis, const BatchPlace& place, bool histograms)
      : place_(place),
        view_(in_order(tapped, axis > 1, buffer_)),
        layout_(sample_layout(view_, place.rows, axis)),
        axis_(axis),
        histograms_(histograms),
        scans_(place.indices.size()) {}

  void see(int64_t sample, Histogram& histogram, int threads) {
    SampleScan& scan = scans_[static_cast<size_t>(sample)];
    const float* x = values(sample);
    scan_sample(x, layout_, scan);
    if (histograms_ && scan.nonfinite < 0)
      histogram.add({x, static_cast<size_t>(layout_.size())}, scan.min, scan.max, threads);
  }

  void finish(const Histogram& histogram, TensorStats& stats) {
    TensorStats fresh;
    fresh.histogram = histogram;
    fresh.channel_axis = layout_.channels > 1 ? axis_ : -1;
    fresh.min = INFINITY;
    fresh.max = -INFINITY;
    for (size_t i = 0; i < scans_.size(); ++i) {
      const SampleScan& scan = scans_[i];
      if (scan.nonfinite >= 0)
        fail_nonfinite(place_, i, values(static_cast<int64_t>(i))[scan.nonfinite]);
      fresh.min = std::min(fresh.min, scan.min);
      fresh.max = std::max(fresh.max, scan.max);
      fresh.chunks[place_.data_hash].add(place_.first + place_.indices[i], scan.min, scan.max);
      if (layout_.channels > 1)
        with_context([&] { return sample_context(place_, i); }, [&] { add_channels(scan, fresh); });
    }
    fresh.count = scans_.size() * static_cast<uint64_t>(layout_.size());
    if (fresh.count > 0) stats.merge(fresh);
  }

 private:
  const float* values(int64_t sample) const {
    return view_.tensor.as<float>() + sample * layout_.size();
  }
  static void add_channels(const SampleScan& scan, TensorStats& fresh) {
    if (fresh.channel_low.empty()) {
      fresh.channel_low = scan.low;
      fresh.channel_high = scan.high;
      fresh.channel_sums.resize(scan.sum.size());
    }
    for (size_t c = 0; c < scan.low.size(); ++c) {
      fresh.channel_sums[c].add(scan.sum[c]);
      fresh.channel_low[c] = std::min(fresh.channel_low[c], scan.low[c]);
      fresh.channel_high[c] = std::max(fresh.channel_high[c], scan.high[c]);
    }
  }

  const BatchPlace& place_;
  std::vector<float> buffer_;
  TapView view_;
  SampleLayout layout_;
  int64_t axis_;
  bool histograms_;
  std::vector<SampleScan> scans_;
};

/// The same for one reader's window sums.
class WindowPass {
 public:
  /// The first `rows` of axis 0 count.
  WindowPass(const TapView& tapped, WindowSpec spec, int64_t rows)
      : view_(in_order(tapped, spec.matrix, buffer_)),
        spec_(spec),
        rows_(rows),
        columns_(static_cast<size_t>(spec.columns())),
        sums_(columns_ * static_cast<size_t>(rows)) {}

  /// Part `part` of `parts` equal ones.
  void see(int64_t part, int64_t parts) {
    const int64_t size = spec_.channels * spec_.input[0] * spec_.input[1];
    for (int64_t row = rows_ * part / parts; row < rows_ * (part + 1) / parts; ++row)
      window_sums(view_.tensor.as<float>() + row * size, view_.channels_last, spec_,
                  sums_.data() + static_cast<size_t>(row) * columns_);
  }

  void finish(const BatchPlace& place, WindowStats& stats) const {
    stats.positions += rows_ * spec_.positions();
    stats.sums.resize(columns_);
    const size_t samples = place.indices.size();
    for (size_t i = 0; i < sums_.size(); ++i)
      with_context([&] { return sample_context(place, i * samples / sums_.size()); },
                   [&] { stats.sums[i % columns_].add(sums_[i]); });
  }

 private:
  std::vector<float> buffer_;
  TapView view_;
  WindowSpec spec_;
  int64_t rows_;
  size_t columns_;
  std::vector<double> sums_;
};

/// What is tapped, and what becomes of it.
class Collector {
 public:
  Collector(const Graph& graph, const CalibrateOptions& options, Collect collect,
            Statistics::Impl& stats)
      : graph_(graph), stats_(stats), threads_(options.threads), collect_(collect) {
    add_tensors(graph, options);
    if (!options.tensors.empty() || !collect.windows) return;
    for (const WatchedNode& node : watched_nodes(graph))
      readers_[graph.value(node.input).name].push_back(node.node);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [name, axis] : axes_) out.push_back(name);
    for (const auto& [name, nodes] : readers_)
      if (!axes_.contains(name)) out.push_back(name);
    std::sort(out.begin(), out.end());
    return out;
  }

  /// Whether sums of a tensor's values are kept, of windows or of channels; `rows` samples ran.
  bool keeps_sums(const TapView& view, int64_t rows) const {
    const std::string name(view.value);
    const auto axis = axes_.find(name);
    return readers_.contains(name) ||
           (axis != axes_.end() && sample_layout(view, rows, axis->second).channels > 1);
  }

  void see(const TapView& view, const BatchPlace& place) {
    const std::string name(view.value);
    with_context([&] { return "tensor '" + name + "'"; }, [&] { see(name, view, place); });
  }

 private:
  /// One parallel region for all that is to be seen of a value, while it is in the caches.
  void see(const std::string& name, const TapView& view, const BatchPlace& place) {
    const auto samples = static_cast<int64_t>(place.indices.size());
    std::unique_ptr<TensorPass> tensor;
    if (const auto axis = axes_.find(name); axis != axes_.end())
      tensor = std::make_unique<TensorPass>(view, axis->second, place, collect_.histograms);
    std::vector<std::pair<NodeId, std::unique_ptr<WindowPass>>> windows;
    if (const auto readers = readers_.find(name); readers != readers_.end())
      for (const NodeId node : readers->second)
        if (const auto spec = window_spec(graph_, node, view.tensor.shape))
          if (const auto rows = counted_rows(view.tensor.shape[0], place.rows, samples))
            windows.emplace_back(node, std::make_unique<WindowPass>(view, *spec, *rows));
    Histogram histogram;
    std::mutex guard;
    parallel_for(
        samples, 1,
        [&](int64_t begin, int64_t end, int) {
          Histogram part;
          for (int64_t i = begin; i < end; ++i) {
            if (tensor) tensor->see(i, part, threads_);
            for (const auto& [node, window] : windows) window->see(i, samples);
          }
          const std::lock_guard lock(guard);
          histogram.merge(part);
        },
        threads_);
    if (tensor) tensor->finish(histogram, stats_.tensors[name]);
    for (const auto& [node, window] : windows)
      window->finish(place, stats_.windows[node_key(graph_, node)]);
  }
  void add_tensors(const Graph& graph, const CalibrateOptions& options) {
    for (const Watched& watched : watched_tensors(graph))
      if (wanted(options.tensors, graph.value(watched.value).name))
        axes_.emplace(graph.value(watched.value).name, watched.channel_axis);
    for (const std::string& name : options.tensors) add_named(name);
  }
  static bool wanted(const std::vector<std::string>& names, const std::string& name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  }
  void add_named(const std::string& name) {
    const ValueId id = graph_.find_value(name);
    if (!id.valid() || graph_.value(id).type.dtype != DType::kF32 || graph_.constant(id)) {
      std::vector<std::string> names;
      for (const ValueId v : graph_.values()) names.push_back(graph_.value(v).name);
      fail_usage("'{}' is no float activation of the graph{}", printable(name),
                 did_you_mean(name, names));
    }
    axes_.emplace(name, -1);
  }

  const Graph& graph_;
  Statistics::Impl& stats_;
  int threads_;
  Collect collect_;
  std::unordered_map<std::string, int64_t> axes_;
  std::unordered_map<std::string, std::vector<NodeId>> readers_;
};

/// The samples of `batch` listed in `keep` (positions).
Batch subset(const Batch& batch, const std::vector<int64_t>& keep) {
  Batch out;
  for (const auto& [name, tensor] : batch.inputs) {
    Shape shape = tensor.shape();
    const size_t one = tensor.size_bytes() / static_cast<size_t>(shape[0]);
    shape[0] = static_cast<int64_t>(keep.size());
    Tensor kept(tensor.dtype(), shape);
    for (size_t i = 0; i < keep.size(); ++i)
      std::copy_n(static_cast<const char*>(tensor.raw()) + one * static_cast<size_t>(keep[i]), one,
                  static_cast<char*>(kept.mutable_raw()) + one * i);
    out.inputs[name] = std::move(kept);
  }
  for (const int64_t i : keep) {
    out.indices.push_back(batch.indices[static_cast<size_t>(i)]);
    out.sources.push_back(batch.sources[static_cast<size_t>(i)]);
  }
  return out;
}

/// One calibration run over one graph and one dataset.
class Run {
 public:
  Run(Graph graph, const Dataset& data, const CalibrateOptions& options, Collect collect,
      Statistics::Impl& stats)
      : options_(options),
        data_(data),
        feeder_(graph, data),
        stats_(stats),
        executor_(std::move(graph), {.threads = options.threads}),
        collector_(executor_.graph(), options, collect, stats),
        names_(collector_.names()) {
    if (names_.empty()) fail_usage("the graph has no float activation to calibrate");
    executor_.tap(names_, [this](const TapView& view) { see(view); });
  }

  /// Samples [begin, end) of the data.
  void go(int64_t begin, int64_t end, int64_t batch) {
    place_.data_hash = data_.whole_sha256();
    place_.first = data_.first_index();
    auto saved = Clock::now();
    const int64_t before = seen_from(begin, end);
    if (before > 0) options_.log.advance("calibrate", before, end - begin);
    for_batches(data_, begin + before, end, batch, [&](Batch read, int64_t next) {
      step(unseen(std::move(read)));
      options_.log.advance("calibrate", next - begin, end - begin);
      if (options_.checkpoint.empty() || Clock::now() - saved < kSaveEvery) return;
      write_checkpoint();
      saved = Clock::now();
    });
  }

  void write_checkpoint() const {
    Statistics copy;
    copy.impl() = stats_;
    copy.impl().refresh_data_hash();
    copy.save(options_.checkpoint);
  }

 private:
  /// How many samples from `begin` on the statistics hold already.
  int64_t seen_from(int64_t begin, int64_t end) const {
    const auto seen = stats_.sources.find(place_.data_hash);
    int64_t at = begin;
    if (seen == stats_.sources.end()) return 0;
    while (at < end && seen->second.contains(place_.first + at)) ++at;
    return at - begin;
  }

  Batch unseen(Batch batch) const {
    const auto seen = stats_.sources.find(place_.data_hash);
    if (seen == stats_.sources.end()) return batch;
    std::vector<int64_t> keep;
    for (size_t i = 0; i < batch.indices.size(); ++i)
      if (!seen->second.contains(place_.first + batch.indices[i]))
        keep.push_back(static_cast<int64_t>(i));
    return keep.size() == batch.indices.size() ? batch : subset(batch, keep);
  }

  void step(Batch batch) {
    if (batch.size() > 0 && options_.allow_nonfinite) batch = finite_part(std::move(batch));
    if (batch.size() == 0) return;
    execute(batch, false);
    SampleSet& seen = stats_.sources[place_.data_hash];
    for (const int64_t index : batch.indices) seen.add(place_.first + index);
  }

  void execute(const Batch& batch, bool only_check) {
    place_.indices = batch.indices;
    place_.sources = batch.sources;
    place_.rows = feeder_.rows(batch).ran;
    only_check_ = only_check;
    executor_.run(feeder_.inputs(batch));
  }

  /// Runs the batch once to find samples that make NaN, infinity or sums too large; the rest.
  Batch finite_part(Batch batch) {
    bad_.assign(batch.indices.size(), false);
    execute(batch, true);
    std::vector<int64_t> keep;
    for (size_t i = 0; i < bad_.size(); ++i) {
      if (!bad_[i]) keep.push_back(static_cast<int64_t>(i));
      if (bad_[i])
        options_.log.warn(
            fmt::format("sample {} ({}) left out: it makes NaN, infinity or sums beyond 2^48",
                        batch.indices[i], printable(batch.sources[i])));
    }
    return keep.size() == bad_.size() ? batch : subset(batch, keep);
  }

  void see(const TapView& view) {
    if (view.tensor.dtype != DType::kF32) return;
    if (!only_check_) return collector_.see(view, place_);
    const SampleLayout layout = sample_layout(view, place_.rows, -1);
    const bool summed = collector_.keeps_sums(view, place_.rows);
    SampleScan scan;
    for (size_t i = 0; i < bad_.size(); ++i) {
      scan_sample(view.tensor.as<float>() + static_cast<int64_t>(i) * layout.size(), layout, scan);
      const double peak = std::max(std::fabs(scan.min), std::fabs(scan.max));
      const bool large = summed && peak * static_cast<double>(layout.size()) >= FixedSum::kLimit;
      bad_[i] = bad_[i] || scan.nonfinite >= 0 || large;
    }
  }

  const CalibrateOptions& options_;
  const Dataset& data_;
  Feeder feeder_;
  Statistics::Impl& stats_;
  Executor executor_;
  Collector collector_;
  std::vector<std::string> names_;
  BatchPlace place_;
  std::vector<bool> bad_;
  bool only_check_ = false;
};

void resume(const CalibrateOptions& options, const Dataset& data, Statistics::Impl& stats) {
  if (options.checkpoint.empty() || !std::filesystem::exists(options.checkpoint)) return;
  Statistics before = Statistics::load(options.checkpoint);
  if (before.graph_hash() != stats.graph_hash)
    fail_invalid("{} belongs to another graph; remove it or name another file",
                 options.checkpoint.string());
  const auto& sources = before.impl().sources;
  if (!sources.empty() && !sources.contains(data.whole_sha256()))
    options.log.warn(
        fmt::format("{} was collected from other data, or by another record of the same: these "
                    "samples are added to those; remove it to start anew",
                    options.checkpoint.string()));
  stats = std::move(before.impl());
  options.log.info(
      fmt::format("continuing {} with {} samples", options.checkpoint.string(), stats.samples()));
}

/// Samples [begin, end) of the first `samples` that this process sees.
std::pair<int64_t, int64_t> own_part(int64_t samples, const Ranks* ranks) {
  return ranks ? ranks->part(samples) : std::pair<int64_t, int64_t>{0, samples};
}

/// What all processes saw, merged in the order of their ranks.
void merge_all(Statistics::Impl& stats, Ranks& ranks) {
  stats.refresh_data_hash();
  const std::vector<std::string> seen = ranks.gather(stats.serialize());
  Statistics::Impl merged = Statistics::Impl::parse(seen[0]);
  for (size_t rank = 1; rank < seen.size(); ++rank)
    with_context([&] { return fmt::format("statistics of rank {}", rank); },
                 [&] { merged.merge(Statistics::Impl::parse(seen[rank])); });
  stats = std::move(merged);
}

}  // namespace

Graph calibrated_form(const Graph& graph) {
  Graph copy = graph;
  optimize(copy);
  infer_types(copy);
  return copy;
}

Statistics collect_means(const Graph& form, const Dataset& data, int64_t samples, int threads) {
  CalibrateOptions options;
  options.threads = threads;
  Statistics out;
  Statistics::Impl& stats = out.impl();
  const int64_t batch = suitable_batch(form, data);
  Run(form, data, options, {.histograms = false}, stats)
      .go(0, std::min(samples, data.size()), batch);
  return out;
}

Statistics collect_tensors(const Graph& form, const Dataset& data, int64_t samples,
                           const std::vector<std::string>& tensors, int threads, Ranks* ranks) {
  CalibrateOptions options;
  options.threads = threads;
  options.tensors = tensors;
  Statistics out;
  const int64_t batch = suitable_batch(form, data);
  const auto [begin, end] = own_part(std::min(samples, data.size()), ranks);
  Run(form, data, options, {}, out.impl()).go(begin, end, batch);
  if (ranks) merge_all(out.impl(), *ranks);
  return out;
}

Statistics calibrate(const Graph& graph, const Dataset& data, const CalibrateOptions& options) {
  return calibrate_partly(graph, data, options, {});
}

Statistics calibrate_partly(const Graph& graph, const Dataset& data,
                            const CalibrateOptions& options, Collect collect, Ranks* ranks) {
  const ThreadScope scope(options.threads);
  if (options.samples < 0) fail_usage("samples: {} is negative", options.samples);
  if (options.batch < 0) fail_usage("batch: {} is negative", options.batch);
  if (data.size() == 0) fail_usage("the calibration data hold no sample");
  // A file says which samples it has seen, not of which tensors.
  if (!options.checkpoint.empty() && !options.tensors.empty())
    fail_usage("tensors: a checkpoint is of all of them; leave one of the two out");
  if (ranks && !options.checkpoint.empty())
    fail_usage("{} processes: a checkpoint is of one; leave one of the two out",
               ranks->rank().world_size);
  LAPIDARY_CHECK(options.checkpoint.empty() || (collect.histograms && collect.windows));
  Graph form = calibrated_form(graph);
  Statistics out;
  Statistics::Impl& stats = out.impl();
  stats.graph_hash = graph_hash(form);
  resume(options, data, stats);
  int64_t samples = data.size();
  if (options.samples > 0) {
    if (options.samples > samples)
      options.log.warn(
          fmt::format("{} calibration samples asked, the data hold {}", options.samples, samples));
    samples = std::min(samples, options.samples);
  }
  if (samples == 1) options.log.warn("calibrating on a single sample: ranges will be too narrow");
  const int64_t batch = suitable_batch(form, data, options.batch);
  Run run(std::move(form), data, options, collect, stats);
  const auto [begin, end] = own_part(samples, ranks);
  run.go(begin, end, batch);
  if (ranks) merge_all(stats, *ranks);
  if (stats.samples() == 0) fail_usage("no calibration sample could be used");
  stats.refresh_data_hash();
  if (!options.checkpoint.empty()) run.write_checkpoint();
  return out;
}

}  // namespace lapidary
