#include "src/fit/loss.h"

#include <cmath>
#include <numeric>

#include "lapidary/ops.h"
#include "src/base/text.h"
#include "src/ops/infer.h"
#include "src/ops/quantized_values.h"

namespace lapidary {

#define LAPIDARY_LOSS(name) const LossDef& loss_##name();
#include "src/fit/losses/losses.def"
#undef LAPIDARY_LOSS

std::span<const LossDef* const> all_losses() {
  static const std::vector<const LossDef*> kAll = {
#define LAPIDARY_LOSS(name) &loss_##name(),
#include "src/fit/losses/losses.def"
#undef LAPIDARY_LOSS
  };
  return kAll;
}

const LossDef& find_loss(std::string_view name) {
  std::vector<std::string> names;
  for (const LossDef* def : all_losses()) {
    if (def->name == name) return *def;
    names.emplace_back(def->name);
  }
  fail_usage("no loss is called '{}'{}", printable(name), did_you_mean(name, names));
}

std::vector<NamedHelp> list_losses() {
  std::vector<NamedHelp> out;
  for (const LossDef* def : all_losses())
    out.push_back({std::string(def->name), std::string(def->help)});
  return out;
}

namespace {

/// The output's type where one is known, without its `axis`.
std::optional<std::vector<Dim>> without_axis(const TensorType& type, int64_t axis) {
  if (!type.shape) return std::nullopt;
  std::vector<Dim> dims = *type.shape;
  const int64_t at = axis < 0 ? axis + std::ssize(dims) : axis;
  if (at < 0 || at >= std::ssize(dims))
    fail_usage("axis {} of classes in an output of type {}", axis, type.text());
  dims.erase(dims.begin() + at);
  return dims;
}

int64_t class_axis(const LossSpec& spec) {
  const auto found = spec.params.find("axis");
  return found == spec.params.end() ? -1 : static_cast<int64_t>(found->second.at(0));
}

/// Class numbers as float32 of the output's shape: one-hot rows, or the number itself where the
/// output has one element for each sample.
ValueId as_output(LossFragment& f, ValueId labels, const TensorType& type) {
  const auto as_float = [&](ValueId x) {
    return f.op("Cast", {x}, {{"to", static_cast<int64_t>(DType::kF32)}});
  };
  if (type.shape && type.shape->size() == 1) return as_float(labels);
  if (!type.shape || type.shape->empty() || !type.shape->back().known())
    fail_usage("the output's number of classes is not known ({}); name the loss's 'target'",
               type.text());
  const ValueId column = f.op("Unsqueeze", {labels, f.integers({-1})});
  std::vector<int64_t> classes(static_cast<size_t>(type.shape->back().value));
  if (classes.size() == 1) return as_float(column);
  std::iota(classes.begin(), classes.end(), int64_t{0});
  return as_float(f.op("Equal", {column, f.integers(std::move(classes))}));
}

/// One term, unweighted: a scalar.
ValueId build_term(LossFragment& f, const LossSpec& spec, bool mixup) {
  Graph& graph = f.graph();
  const LossDef& def = find_loss(spec.kind);
  if (spec.output.empty() && graph.outputs().empty()) fail_usage("the graph has no output");
  const ValueId output = spec.output.empty()
                             ? before_function(graph, graph.outputs()[0], def.behind)
                             : graph.find_value(spec.output);
  if (!output) fail_usage("loss '{}': the graph has no value '{}'", spec.kind, spec.output);
  const TensorType type = graph.value(output).type;
  if (type.dtype != DType::kF32 && type.dtype != DType::kUndefined)
    fail_usage("loss '{}': '{}' is {}, expected float32", spec.kind, graph.value(output).name,
               type.text());
  const Setting params = to_setting(spec.params);
  if (!spec.target.empty() && !def.classes)
    return f.mean_of_all(
        def.build(f, output, f.input(spec.target, {DType::kF32, type.shape}), params));

  const auto labels_type = [&]() -> TensorType {
    if (def.classes) return {DType::kI64, without_axis(type, class_axis(spec))};
    if (type.shape && type.shape->size() == 1) return {DType::kI64, type.shape};
    return {DType::kI64, without_axis(type, -1)};
  }();
  const auto loss_for = [&](const std::string& name) {
    const ValueId labels = f.input(name, labels_type);
    return def.build(f, output, def.classes ? labels : as_output(f, labels, type), params);
  };
  const ValueId first = loss_for(spec.target.empty() ? std::string(kLabelInput) : spec.target);
  if (!mixup || !spec.target.empty()) return f.mean_of_all(first);
  // share L(label) + (1 - share) L(label2)
  const ValueId second = loss_for(std::string(kSecondLabelInput));
  std::vector<Dim> samples = {Dim{}};
  if (type.shape && !type.shape->empty()) samples = {type.shape->front()};
  const ValueId share = f.input(std::string(kShareInput), {DType::kF32, std::move(samples)});
  const ValueId rest = f.op("Sub", {f.number(1), share});
  return f.mean_of_all(f.op("Add", {f.op("Mul", {share, first}), f.op("Mul", {rest, second})}));
}

}  // namespace

std::string add_loss(Graph& graph, const std::vector<LossSpec>& losses, bool mixup) {
  constexpr int64_t kOldestOpset = 13;  // axes of Unsqueeze as an input, softmax of one axis
  if (losses.empty()) fail_usage("no loss is named");
  if (graph.opset() < kOldestOpset) upgrade_opset(graph, kOldestOpset);
  infer_types(graph);
  LossFragment fragment(graph);
  ValueId sum;
  for (const LossSpec& spec : losses) {
    if (!std::isfinite(spec.weight) || spec.weight < 0)
      fail_usage("loss '{}' has weight {}; it must be finite and not negative", spec.kind,
                 spec.weight);
    ValueId term = build_term(fragment, spec, mixup);
    if (spec.weight != 1)
      term = fragment.op("Mul", {term, fragment.number(static_cast<float>(spec.weight))});
    sum = sum ? fragment.op("Add", {sum, term}) : term;
  }
  const std::string name = graph.unique_name("lapidary.loss");
  graph.rename_value(sum, name);
  infer_types(graph);
  return name;
}

LossSpec parse_loss(const Setting& setting) {
  LossSpec out;
  if (setting.kind == Setting::Kind::kScalar) {
    out.kind = setting.text;
  } else if (setting.kind == Setting::Kind::kMap && setting.entries.size() == 1) {
    out.kind = setting.entries[0].first;
  } else {
    fail_setting(setting, "a loss is a name, or {{NAME: {{...}}}} with its parameters");
  }
  const LossDef& def = with_context([&] { return setting.where(); },
                                    [&]() -> const LossDef& { return find_loss(out.kind); });
  if (setting.kind == Setting::Kind::kScalar ||
      setting.entries[0].second.kind == Setting::Kind::kNull)
    return out;
  const Setting& params = setting.entries[0].second;
  if (params.kind != Setting::Kind::kMap)
    fail_setting(params, "'{}' wants a map of settings", out.kind);
  const FieldTable &own = def.fields(), &common = loss_term_fields();
  for (const auto& [name, value] : params.entries) {
    if (const Field* shared = common.find(name)) {
      shared->set(&out, value, *shared);
    } else if (const Field* known = own.find(name)) {
      out.params[name] = {parse_number(value, *known)};
    } else {
      std::vector<std::string> names = own.names();
      for (const std::string& each : common.names()) names.push_back(each);
      fail_key(value, "unknown key '{}' in '{}'{}", name, out.kind, did_you_mean(name, names));
    }
  }
  return out;
}

const FieldTable& loss_term_fields() {
  using S = LossSpec;
  static const FieldTable kTable{
      "loss",
      {field("weight", &S::weight, "What the term is multiplied by in the sum").range(0, 1e9),
       field("output", &S::output,
             "Value of the graph that it judges; empty: the first output, before a Softmax"),
       field("target", &S::target,
             "Value or graph input that it is compared with; empty: the labels")}};
  return kTable;
}

Setting FieldCodec<LossSpec>::format(const LossSpec& v) {
  Setting params = to_setting(v.params);
  params.entries.emplace_back("weight", FieldCodec<double>::format(v.weight));
  if (!v.output.empty())
    params.entries.emplace_back("output", FieldCodec<std::string>::format(v.output));
  if (!v.target.empty())
    params.entries.emplace_back("target", FieldCodec<std::string>::format(v.target));
  return Setting::map({{v.kind, std::move(params)}});
}

}  // namespace lapidary
