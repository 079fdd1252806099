#include "lapidary/exec.h"

#include <algorithm>
#include <set>

#include "lapidary/passes.h"
#include "src/base/fail.h"
#include "src/base/isa.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/exec/inputs.h"
#include "src/exec/parts.h"
#include "src/exec/plan.h"
#include "src/exec/planner.h"
#include "src/exec/prepare.h"
#include "src/exec/samples.h"
#include "src/exec/support.h"
#include "src/ops/inline_functions.h"

namespace lapidary {

using exec::Plan;

namespace {

/// A plan with the graph that its reference steps read, and where its runs are: of the whole batch
/// or of its parts.
struct Bound {
  Graph graph;
  Plan plan;
  std::optional<exec::StepRun> run;
  std::optional<exec::BatchParts> parts;

  std::vector<StepInfo> infos() const {
    std::vector<StepInfo> out = plan.infos();
    for (StepInfo& info : out) {
      info.macs *= parts ? parts->parts() : 1;
      info.bytes_moved *= parts ? parts->parts() : 1;
    }
    return out;
  }
  int64_t arena_bytes() const { return parts ? parts->arena_bytes() : plan.arena_bytes; }
};

/// Plans kept, the most recently used last: every length of a sequence is another plan.
constexpr size_t kMostPlans = 16;

exec::InputShapes shapes_of(const Executor::Values& inputs) {
  exec::InputShapes shapes;
  for (const auto& [name, tensor] : inputs) shapes.emplace(name, tensor.shape());
  return shapes;
}

}  // namespace

class Executor::Impl {
 public:
  Impl(Graph graph, ExecOptions options) : graph_(std::move(graph)), options_(options) {
    runnable_ = graph_;
    inline_functions(runnable_);
    exec::check_executable(runnable_);
    if (options_.threads < 0) fail_usage("threads: {} is negative", options_.threads);
    if (std::ranges::count(kWinogradTiles, options_.winograd) == 0)
      fail_usage("winograd is {}; it is one of {}", options_.winograd,
                 fmt::join(kWinogradTiles, ", "));
    const FloatArithmetic floats = options_.float_arithmetic;
    if (reference() && floats != FloatArithmetic::kF32 && floats != FloatArithmetic::kF16)
      fail_usage("the reference executor does not compute {}; use the fast one",
                 float_arithmetic_name(floats));
    if (reference() && options_.winograd != 0)
      fail_usage("the reference executor does not know Winograd's algorithm; use the fast one");
    if (reference() && options_.integer_arithmetic != IntegerArithmetic::kExact)
      fail_usage("the reference executor's integers are exact; '{}' needs the fast one",
                 execution_profile(options_.integer_arithmetic));
  }

  Values run(const Values& inputs) {
    const ThreadScope scope(options_.threads);
    if (current_ == nullptr || !ran_with_types_of(inputs)) {
      exec::check_inputs(graph_, inputs);
      current_ = nullptr;  // may be the plan that makes room
      types_ran_.clear();
      current_ = &bound(shapes_of(inputs));
      for (const auto& [name, tensor] : inputs)
        types_ran_.push_back({name, tensor.dtype(), tensor.shape()});
    }
    infos_.reset();
    if (current_->parts) return current_->parts->run(inputs);
    return exec::run_plan(current_->plan, *current_->run, inputs, arena_, tap_, options_.profile);
  }

  void tap(std::vector<std::string> values, TapFn fn) {
    for (const std::string& name : values)
      if (!graph_.find_value(name))
        fail_usage("the model has no value '{}' to tap", printable(name, 200));
    if (values != taps_) {
      auto prepared =
          exec::prepare(runnable_, prepare_options({}, values));  // throws before anything changes
      forget_plans();
      prepared_.emplace(std::set<std::string>(), std::move(prepared));
    }
    taps_ = std::move(values);
    tap_ = std::move(fn);
  }

  const std::vector<StepInfo>& steps() {
    plan();
    if (!infos_) infos_ = current_ ? current_->infos() : std::vector<StepInfo>();
    return *infos_;
  }
  /// The most recent plan, or that of the graph's own shapes; null where those are not known.
  const Bound* plan() {
    const ThreadScope scope(options_.threads);
    if (current_ == nullptr)
      if (const auto shapes = own_shapes()) current_ = &bound(*shapes);
    return current_;
  }
  const Graph& graph() const { return graph_; }
  std::vector<LayerSaturation> saturation() const { return saturation_.all(); }

 private:
  bool reference() const { return options_.executor == ExecutorKind::kReference; }

  struct InputType {
    std::string name;
    DType dtype;
    Shape shape;
  };
  /// True where current_ is the plan for such inputs, and they were found good.
  bool ran_with_types_of(const Values& inputs) const {
    return std::equal(inputs.begin(), inputs.end(), types_ran_.begin(), types_ran_.end(),
                      [](const auto& given, const InputType& ran) {
                        return given.second.dtype() == ran.dtype &&
                               given.second.shape() == ran.shape && given.first == ran.name;
                      });
  }

  /// The shapes that the graph states, an unknown leading axis as 1.
  std::optional<exec::InputShapes> own_shapes() const {
    exec::InputShapes shapes;
    for (const ValueId id : graph_.inputs()) {
      const Value& value = graph_.value(id);
      if (value.constant) continue;
      if (!value.type.shape) return std::nullopt;
      Shape shape;
      for (const Dim& dim : *value.type.shape) {
        if (!dim.known() && !shape.empty()) return std::nullopt;
        shape.push_back(dim.known() ? dim.value : 1);
      }
      shapes.emplace(value.name, std::move(shape));
    }
    return shapes;
  }

  exec::PrepareOptions prepare_options(const std::set<std::string>& overridden,
                                       const std::vector<std::string>& taps) const {
    return {overridden, taps, options_.keep_all_values, /*as_written=*/reference(),
            options_.float_arithmetic};
  }
  void forget_plans() {
    prepared_.clear();
    plans_.clear();
    current_ = nullptr;
    types_ran_.clear();
    infos_.reset();
  }

  /// The graph that is planned, where the caller gives those of the initializers' inputs.
  const exec::Prepared& prepared(const std::set<std::string>& overridden) {
    const auto found = prepared_.find(overridden);
    if (found != prepared_.end()) return found->second;
    return prepared_
        .emplace(overridden, exec::prepare(runnable_, prepare_options(overridden, taps_)))
        .first->second;
  }

  Bound& bound(const exec::InputShapes& shapes) {
    std::set<std::string> overridden;
    for (const auto& [name, shape] : shapes)
      if (graph_.value(graph_.find_value(name)).constant) overridden.insert(name);
    PlanKey key{reference() ? exec::InputShapes() : shapes, overridden};
    const auto found = std::find_if(plans_.begin(), plans_.end(),
                                    [&](const auto& plan) { return plan.first == key; });
    if (found != plans_.end()) {
      std::rotate(found, found + 1, plans_.end());
    } else {
      if (plans_.size() >= kMostPlans) plans_.erase(plans_.begin());
      plans_.emplace_back(std::move(key), make_plan(shapes, overridden));
    }
    return *plans_.back().second;
  }

  std::unique_ptr<Bound> make_plan(const exec::InputShapes& shapes,
                                   const std::set<std::string>& overridden) {
    const exec::Prepared& source = prepared(overridden);
    auto made = std::make_unique<Bound>();
    made->graph = source.graph;
    if (!reference()) exec::bind_shapes(made->graph, shapes);
    exec::PlanOptions options;
    options.threads = options_.threads > 0 ? options_.threads : thread_count();
    options.winograd = options_.winograd;
    options.reference_only = reference();
    options.float_arithmetic = options_.float_arithmetic;
    options.integer_arithmetic = options_.integer_arithmetic;
    options.saturation = &saturation_;
    options.taps = taps_;
    options.outputs = source.outputs;
    const int64_t parts = part_of_batch(*made, options.threads);
    made->plan = exec::build_plan(made->graph, std::move(options));
    if (parts > 1)
      made->parts.emplace(made->plan, parts);
    else
      made->run.emplace(made->plan);
    return made;
  }

  /// The number of parts that a bound graph's batch is run in; binds the graph to one of them.
  int64_t part_of_batch(Bound& made, int threads) const {
    // Who looks at steps or values sees those of the whole batch.
    if (reference() || !taps_.empty() || options_.keep_all_values || options_.profile) return 1;
    const int64_t samples = exec::sample_count(made.graph);
    const int64_t part = samples > 1 ? exec::part_size(samples, threads) : samples;
    if (part == samples) return 1;
    auto fewer = exec::with_fewer_samples(made.graph, samples, part);
    if (!fewer) return 1;
    made.graph = std::move(*fewer);
    return samples / part;
  }

  using PlanKey = std::pair<exec::InputShapes, std::set<std::string>>;

  Graph graph_, runnable_;
  ExecOptions options_;
  std::vector<std::string> taps_;
  TapFn tap_;
  exec::SaturationCounts saturation_;
  std::map<std::set<std::string>, exec::Prepared> prepared_;
  std::vector<std::pair<PlanKey, std::unique_ptr<Bound>>> plans_;
  Bound* current_ = nullptr;
  std::vector<InputType> types_ran_;
  std::optional<std::vector<StepInfo>> infos_;
  Tensor arena_;
};

std::string_view float_arithmetic_name(FloatArithmetic arithmetic) {
  switch (arithmetic) {
    case FloatArithmetic::kF32:
      return "float32";
    case FloatArithmetic::kBf16:
      return "bfloat16";
    case FloatArithmetic::kF16:
      return "float16";
    case FloatArithmetic::kF16Storage:
      return "float16 storage";
  }
  return "";
}

namespace {

struct Profile {
  IntegerArithmetic arithmetic;
  std::string_view name, semantics;
};
constexpr Profile kProfiles[] = {
    {IntegerArithmetic::kExact, "onnxruntime-1.31/vnni", "exact"},
    {IntegerArithmetic::kAvx2Saturating, "onnxruntime-1.31/avx2", "avx2-saturating"},
};

}  // namespace

std::string_view execution_profile(IntegerArithmetic arithmetic) {
  for (const Profile& p : kProfiles)
    if (p.arithmetic == arithmetic) return p.name;
  return "";
}

std::vector<std::string> integer_arithmetic_names() {
  std::vector<std::string> names;
  for (const Profile& p : kProfiles)
    names.insert(names.end(), {std::string(p.semantics), std::string(p.name)});
  return names;
}

IntegerArithmetic integer_arithmetic(std::string_view name) {
  for (const Profile& p : kProfiles)
    if (name == p.name || name == p.semantics) return p.arithmetic;
  fail_usage("no integer arithmetic is called '{}'{}", printable(name),
             did_you_mean(name, integer_arithmetic_names()));
}

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
  const Bound* bound = impl_->plan();
  return bound ? bound->arena_bytes() : 0;
}
int64_t Executor::packed_bytes() const {
  const Bound* bound = impl_->plan();
  return bound ? bound->plan.packed_bytes : 0;
}
std::vector<LayerSaturation> Executor::saturation() const { return impl_->saturation(); }
const Graph& Executor::graph() const { return impl_->graph(); }

}  // namespace lapidary
