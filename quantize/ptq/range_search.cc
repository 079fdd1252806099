#include "quantize/ptq/range_search.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "calibrate/feeder.h"
#include "calibrate/scan.h"
#include "lapidary/exec.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/data/batches.h"

namespace lapidary {

namespace {

/// Rounds to the grid of `params` and back, as Q -> DQ does; errors of clipped values are amplified
/// by sqrt(kClipWeight), so that in squares they count kClipWeight times.
void round_trip(const float* x, int64_t count, const QuantParams& params, float* out, int threads) {
  const float scale = params.scale[0], inverse = 1 / scale;
  const auto amplify = static_cast<float>(std::sqrt(kClipWeight));
  const auto zero = static_cast<float>(params.zero_point[0]);
  const float least = static_cast<float>(params.qmin) - zero;
  const float most = static_cast<float>(params.qmax) - zero;
  parallel_for(
      count, 1 << 14,
      [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) {
          const float at = x[i] * inverse;
          const float inside = std::min(std::max(at, least), most);
          const float rounded = ((inside + 0x1.8p23f) - 0x1.8p23f) * scale;
          const bool clipped = at < least - 0.5f || at > most + 0.5f;
          out[i] = x[i] + (rounded - x[i]) * (clipped ? amplify : 1.0f);
        }
      },
      threads);
}

double energy(std::span<const float> x) {
  return std::transform_reduce(x.begin(), x.end(), 0.0, std::plus<>(),
                               [](float v) { return static_cast<double>(v) * v; });
}

double distance(std::span<const float> a, std::span<const float> b) {
  return std::transform_reduce(a.begin(), a.end(), b.begin(), 0.0, std::plus<>(),
                               [](float x, float y) {
                                 const double d = static_cast<double>(x) - y;
                                 return d * d;
                               });
}

/// A reader of a tensor, run by itself.
class Reader {
 public:
  Reader(const Graph& graph, NodeId id, uint32_t slot, int threads) {
    Node node = graph.node(id);
    const bool linear = node.is("Conv") || node.is("Gemm") || node.is("MatMul");
    const bool unary = node.inputs.size() == 1;
    if (slot != 0 || !(unary || (linear && graph.constant(node.inputs[1])))) return;
    linear_ = linear;
    Graph alone;
    alone.opsets = graph.opsets;
    const Value& input = graph.value(node.inputs[0]);
    const ValueId x = alone.add_value("x", input.type);
    std::vector<ValueId> inputs = {x};
    if (linear) inputs.push_back(alone.add_constant("w", *graph.constant(node.inputs[1])));
    const ValueId y = alone.add_value("y", graph.value(node.outputs[0]).type);
    node.inputs = inputs;
    node.outputs = {y};
    alone.set_inputs({x});
    alone.add_node(std::move(node));
    alone.set_outputs({y});
    executor_ = std::make_unique<Executor>(std::move(alone), ExecOptions{.threads = threads});
  }

  bool runs() const { return executor_ != nullptr; }
  /// Energy of the output for `x`: what errors are relative to.
  double reference(const Tensor& x) {
    made_ = run(x);
    return energy(made_.data<float>());
  }
  /// Squared error of the output for `rounded` instead of the x of `reference`.
  double error(const Tensor& x, const Tensor& rounded) {
    if (!linear_) return distance(made_.data<float>(), run(rounded).data<float>());
    Tensor difference(DType::kF32, x.shape());
    const auto to = difference.mutable_data<float>();
    const auto a = x.data<float>(), b = rounded.data<float>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = b[i] - a[i];
    return energy(run(difference).data<float>());
  }

 private:
  Tensor run(const Tensor& x) { return executor_->run({{"x", x}}).at("y"); }

  std::unique_ptr<Executor> executor_;
  bool linear_ = false;
  Tensor made_;
};

constexpr std::string_view kUsual = kDefaultCalibrator;
constexpr int64_t kChunk = 4;

struct Candidate {
  ChosenRange range;
  QuantParams params;
  double error = 0;
};

/// One scale group under search.
struct Group {
  ValueId root;
  std::vector<Candidate> candidates;
};

/// The least error, but the usual one unless another one's is below kClearly of its: smaller
/// differences are those of the few samples tried.
const Candidate& pick(const std::vector<Candidate>& candidates) {
  constexpr double kClearly = 0.5;
  const auto least =
      std::min_element(candidates.begin(), candidates.end(),
                       [](const Candidate& a, const Candidate& b) { return a.error < b.error; });
  for (const Candidate& candidate : candidates)
    if (candidate.range.calibrator == kUsual && least->error > kClearly * candidate.error)
      return candidate;
  return *least;
}

/// Errors of all candidates of one tensor in one batch, added up.
class TensorTrial {
 public:
  TensorTrial(const Graph& graph, ValueId id, Group& group, int threads)
      : graph_(graph), id_(id), group_(group), threads_(threads) {}

  /// Readers live for one batch: all of a network's at once hold all its activations.
  void see(const Tensor& x) {
    std::vector<Reader> readers;
    bool plain = graph_.is_output(id_);
    for (const Use& use : graph_.value(id_).uses) {
      if (use.capture) continue;
      Reader reader(graph_, use.node, use.slot, threads_);
      if (reader.runs())
        readers.push_back(std::move(reader));
      else
        plain = true;
    }
    std::vector<double> references;
    for (Reader& reader : readers) references.push_back(reader.reference(x));
    const double own = energy(x.data<float>());
    Tensor rounded(DType::kF32, x.shape());
    for (Candidate& candidate : group_.candidates) {
      round_trip(x.data<float>().data(), x.size(), candidate.params,
                 rounded.mutable_data<float>().data(), threads_);
      for (size_t i = 0; i < readers.size(); ++i)
        candidate.error += ratio(readers[i].error(x, rounded), references[i]);
      if (plain) candidate.error += ratio(distance(x.data<float>(), rounded.data<float>()), own);
    }
  }

 private:
  static double ratio(double error, double reference) {
    return reference > 0 ? error / reference : 0;
  }

  const Graph& graph_;
  ValueId id_;
  Group& group_;
  int threads_;
};

std::vector<Candidate> propose(const TensorStats& seen, const RangeOptions& options) {
  std::vector<Candidate> list;
  // The usual one first: of two that agree it is the one that is named.
  std::vector<const Observer*> observers = {&find_observer(kUsual)};
  for (const Observer& observer : all_observers())
    if (observer.name != kUsual) observers.push_back(&observer);
  for (const Observer* observer : observers) {
    const Range range = observer->range(seen, grid_of(options.scheme), options.params);
    QuantParams params = choose_qparams(range, options.scheme);
    const bool known = std::any_of(list.begin(), list.end(),
                                   [&](const Candidate& c) { return c.params == params; });
    if (known) continue;
    list.push_back({{seen_range(seen), range, std::string(observer->name)}, std::move(params)});
  }
  return list;
}

}  // namespace

RangeMap search_ranges(const Graph& graph, const Placement& placement, const Statistics& stats,
                       const Dataset& data, int64_t samples, const RangeOptions& options,
                       int threads) {
  std::vector<Group> groups;
  const auto members = placement.scales.groups(placement.quantized);
  groups.reserve(members.size());
  std::map<std::string, TensorTrial> trials;
  for (const auto& [root, ids] : members) {
    groups.push_back({root, propose(group_stats(graph, placement, stats, ids), options)});
    if (groups.back().candidates.size() < 2) continue;
    for (const ValueId id : ids)
      if (!graph.constant(id))
        trials.try_emplace(graph.value(id).name, graph, id, groups.back(), threads);
  }
  std::vector<std::string> names;
  for (const auto& [name, trial] : trials) names.push_back(name);
  Executor executor(graph, {.threads = threads});
  executor.tap(names, [&](const TapView& view) {
    std::vector<float> buffer;
    const float* x = row_major(view, buffer);
    const Shape shape(view.tensor.shape.begin(), view.tensor.shape.end());
    const auto count = static_cast<size_t>(element_count(shape));
    trials.at(std::string(view.value)).see(Tensor::of<float>(shape, std::span(x, count)));
  });
  const Feeder feeder(graph, data);
  const int64_t batch = std::min<int64_t>({suitable_batch(graph, data), samples, kChunk});
  if (!names.empty())
    for_spread_batches(data, samples, batch,
                       [&](const Batch& held) { executor.run(feeder.inputs(held)); });
  RangeMap ranges;
  for (const Group& group : groups) ranges.emplace(group.root, pick(group.candidates).range);
  return ranges;
}

}  // namespace lapidary
