#include "src/pipeline/latency_table.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lapidary/evaluate.h"
#include "lapidary/runtime.h"
#include "src/base/fail.h"
#include "src/base/file.h"
#include "src/base/isa.h"
#include "src/ops/infer.h"

namespace lapidary {

namespace {

constexpr const char* kSchema = "lapidary.latency/1";
/// Seconds of one model's timing, however many of its steps are new.
constexpr double kSeconds = 0.15;

/// Types of what nodes read and make, by node_key.
std::map<std::string, std::string> types_by_node(const Graph& model) {
  Graph typed = model;
  infer_types(typed);
  std::map<std::string, std::string> out;
  for (const NodeId id : typed.nodes()) {
    std::vector<std::string> types;
    const Node& node = typed.node(id);
    for (const auto* values : {&node.inputs, &node.outputs})
      for (const ValueId v : *values) types.push_back(v ? typed.value(v).type.text() : "-");
    out[node_key(typed, id)] = fmt::format("{}", fmt::join(types, " "));
  }
  return out;
}

/// Steps of a model's plan, by what they run and on which sizes.
class Keys {
 public:
  explicit Keys(const Graph& model) : types_(types_by_node(model)) {}
  /// Two steps of one key run the same code on tensors of the same sizes.
  std::string of(const StepInfo& step) const {
    std::string key = fmt::format("{} {} {} macs={} parameters={} bytes={}", step.op, step.kernel,
                                  step.precision, step.macs, step.parameters, step.bytes_moved);
    for (const std::string& node : step.nodes)
      if (const auto at = types_.find(node); at != types_.end()) key += "; " + at->second;
    return key;
  }

 private:
  std::map<std::string, std::string> types_;
};

}  // namespace

LatencyTable::LatencyTable(int threads, std::filesystem::path file,
                           std::map<std::string, Shape> input_shapes)
    : threads_(threads), file_(std::move(file)), input_shapes_(std::move(input_shapes)) {
  if (file_.empty() || !std::filesystem::exists(file_)) return;
  const auto json = nlohmann::json::parse(read_file(file_), nullptr, false);
  if (!json.is_object() || json.value("schema", "") != kSchema || !json.contains("steps"))
    fail_invalid("{}: no latency table ('schema': '{}')", file_.string(), kSchema);
  const std::string isa(isa_name(isa_cap()));
  if (json.value("isa", "") != isa || json.value("threads", 0) != threads_)
    fail_usage("{} was measured with {} on {} threads, wanted are {} on {}: give another file",
               file_.string(), json.value("isa", ""), json.value("threads", 0), isa, threads_);
  for (const auto& [key, ms] : json["steps"].items()) {
    if (!ms.is_number()) fail_invalid("{}: '{}' is no number", file_.string(), key);
    steps_[key] = ms.get<double>();
  }
}

double LatencyTable::milliseconds(const Graph& model) {
  const Keys keys(model);
  const auto sum = [&](const std::vector<StepInfo>& steps) {
    double ms = 0;
    for (const StepInfo& step : steps) ms += steps_.at(keys.of(step));
    return ms;
  };
  const std::vector<StepInfo> plan =
      plan_execution(model, input_shapes_, {.threads = threads_}).steps;
  if (plan.empty())
    fail_unsupported(
        "sizes of the model are open: for a target of latency give them, as `--shape N=8`");
  const auto known = [&](const StepInfo& step) { return steps_.contains(keys.of(step)); };
  if (!std::ranges::all_of(plan, known)) {
    const auto timed = bench_layers(
        model, {.threads = {threads_}, .seconds = kSeconds, .input_shapes = input_shapes_});
    for (const StepInfo& step : timed) steps_.try_emplace(keys.of(step), step.milliseconds);
    return sum(timed);
  }
  return sum(plan);
}

void LatencyTable::save() const {
  if (file_.empty()) return;
  nlohmann::ordered_json json = {{"schema", kSchema},
                                 {"isa", std::string(isa_name(isa_cap()))},
                                 {"threads", threads_},
                                 {"steps", nlohmann::ordered_json::object()}};
  for (const auto& [key, ms] : steps_) json["steps"][key] = ms;
  write_file_atomically(file_, json.dump(1) + "\n");
}

}  // namespace lapidary
