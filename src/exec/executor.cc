#include "lapidary/exec.h"

#include <set>

#include "lapidary/passes.h"
#include "src/base/fail.h"
#include "src/base/isa.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/exec/inputs.h"
#include "src/exec/plan.h"
#include "src/exec/planner.h"
#include "src/exec/prepare.h"
#include "src/exec/support.h"
#include "src/ops/inline_functions.h"

namespace lapidary {

using exec::Plan;

namespace {

/// A plan with the graph that its reference steps read.
struct Bound {
  Graph graph;
  Plan plan;
};

std::string shapes_key(const Executor::Values& inputs) {
  std::string key;
  for (const auto& [name, tensor] : inputs) key += name + shape_text(tensor.shape()) + ";";
  return key;
}

}  // namespace

class Executor::Impl {
 public:
  Impl(Graph graph, ExecOptions options) : graph_(std::move(graph)), options_(options) {
    runnable_ = graph_;
    inline_functions(runnable_);
    exec::check_executable(runnable_);
    if (options_.threads < 0) fail_usage("threads: {} is negative", options_.threads);
  }

  Values run(const Values& inputs) {
    exec::check_inputs(graph_, inputs);
    current_ = &bound(inputs);
    infos_.reset();
    return exec::run_plan(current_->plan, inputs, arena_, tap_, options_.profile);
  }

  void tap(std::vector<std::string> values, TapFn fn) {
    for (const std::string& name : values)
      if (!graph_.find_value(name))
        fail_usage("the model has no value '{}' to tap", printable(name, 200));
    if (values != taps_) {
      prepared_.clear();
      plans_.clear();
      current_ = nullptr;
      infos_.reset();
    }
    taps_ = std::move(values);
    tap_ = std::move(fn);
  }

  const std::vector<StepInfo>& steps() {
    plan();
    if (!infos_) infos_ = current_ ? current_->plan.infos() : std::vector<StepInfo>();
    return *infos_;
  }
  /// The most recent plan, or that of the graph's own shapes; null where those are not known.
  const Plan* plan() {
    if (current_ == nullptr)
      if (const auto inputs = own_shapes()) current_ = &bound(*inputs);
    return current_ ? &current_->plan : nullptr;
  }
  const Graph& graph() const { return graph_; }

 private:
  bool reference() const { return options_.executor == ExecutorKind::kReference; }

  /// Inputs of the shapes that the graph states, an unknown leading axis as 1.
  std::optional<Values> own_shapes() const {
    Values inputs;
    for (const ValueId id : graph_.inputs()) {
      const Value& value = graph_.value(id);
      if (value.constant) continue;
      if (!value.type.shape) return std::nullopt;
      Shape shape;
      for (const Dim& dim : *value.type.shape) {
        if (!dim.known() && !shape.empty()) return std::nullopt;
        shape.push_back(dim.known() ? dim.value : 1);
      }
      inputs.emplace(value.name, Tensor(value.type.dtype, shape));
    }
    return inputs;
  }

  /// The graph that is planned, where the caller gives those of the initializers' inputs.
  const exec::Prepared& prepared(const std::set<std::string>& overridden) {
    const auto found = prepared_.find(overridden);
    if (found != prepared_.end()) return found->second;
    exec::PrepareOptions options;
    options.overridden = overridden;
    options.taps = taps_;
    options.keep_all_values = options_.keep_all_values;
    options.as_written = reference();
    return prepared_.emplace(overridden, exec::prepare(runnable_, options)).first->second;
  }

  Bound& bound(const Values& inputs) {
    std::set<std::string> overridden;
    for (const auto& [name, tensor] : inputs)
      if (graph_.value(graph_.find_value(name)).constant) overridden.insert(name);
    std::string key = reference() ? std::string() : shapes_key(inputs);
    for (const std::string& name : overridden) key += "|" + name;
    const auto found = plans_.find(key);
    if (found != plans_.end()) return *found->second;

    const exec::Prepared& source = prepared(overridden);
    auto made = std::make_unique<Bound>();
    made->graph = source.graph;
    if (!reference()) exec::bind_shapes(made->graph, inputs);
    exec::PlanOptions options;
    options.threads = options_.threads > 0 ? options_.threads : thread_count();
    options.reference_only = reference();
    options.taps = taps_;
    options.outputs = source.outputs;
    made->plan = exec::build_plan(made->graph, std::move(options));
    return *plans_.emplace(std::move(key), std::move(made)).first->second;
  }

  Graph graph_, runnable_;
  ExecOptions options_;
  std::vector<std::string> taps_;
  TapFn tap_;
  std::map<std::set<std::string>, exec::Prepared> prepared_;
  std::map<std::string, std::unique_ptr<Bound>> plans_;
  Bound* current_ = nullptr;
  std::optional<std::vector<StepInfo>> infos_;
  Tensor arena_;
};

Executor::Executor(Graph graph, ExecOptions options)
    : impl_(std::make_unique<Impl>(std::move(graph), options)) {}
Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;

Executor::Values Executor::run(const Values& inputs) { return impl_->run(inputs); }
void Executor::tap(std::vector<std::string> values, TapFn fn) {
  impl_->tap(std::move(values), std::move(fn));
}
const std::vector<StepInfo>& Executor::steps() const { return impl_->steps(); }
int64_t Executor::arena_bytes() const {
  const Plan* plan = impl_->plan();
  return plan ? plan->arena_bytes : 0;
}
int64_t Executor::packed_bytes() const {
  const Plan* plan = impl_->plan();
  return plan ? plan->packed_bytes : 0;
}
const Graph& Executor::graph() const { return impl_->graph(); }

}  // namespace lapidary
