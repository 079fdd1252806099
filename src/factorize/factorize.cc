#include "lapidary/factorize.h"

#include <algorithm>

#include "calibrate/hessian.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/factorize/choice.h"
#include "src/factorize/timing.h"
#include "src/ops/infer.h"

namespace lapidary {

namespace lowrank {

namespace {

std::vector<const Method*> methods_of(const FactorizeOptions& options) {
  std::vector<const Method*> out;
  for (const std::string& name : options.methods) out.push_back(&find_method(name));
  if (options.methods.empty()) out.assign(all_methods().begin(), all_methods().end());
  if (options.data == nullptr) return out;
  std::erase_if(out, [](const Method* m) { return !m->reads_inputs; });
  if (out.empty())
    fail_usage("of outputs on data the error is known of svd only, not of {}",
               fmt::join(options.methods, ", "));
  return out;
}

void check(const FactorizeOptions& options) {
  const RankRule& rule = options.ranks;
  if (std::ranges::count(RankRule::kRules, rule.by) == 0)
    fail_usage("ranks are not chosen by '{}'; expected {}", printable(rule.by),
               fmt::join(RankRule::kRules, ", "));
  if (!(rule.value > 0 && rule.value <= 1))
    fail_usage("ranks by {} are {}, expected more than 0, at most 1", rule.by, rule.value);
  if (options.round_to < 1)
    fail_usage("ranks are rounded to {}, expected 1 at least", options.round_to);
  if (rule.by == "latency" && !options.latency)
    fail_usage("ranks by latency want FactorizeOptions::latency");
  if (rule.by == "vbmf" && options.data != nullptr)
    fail_usage("ranks by vbmf are of weights alone: give no data");
}

/// The layers that a method fits, their weights and, of data, inputs; the others get a reason.
std::vector<Taken> take_layers(const Graph& graph, std::vector<Layer>& layers,
                               const std::vector<const Method*>& methods,
                               const FactorizeOptions& options) {
  std::vector<Taken> out;
  for (Layer& layer : layers) {
    if (layer.reason.empty() &&
        std::ranges::none_of(methods, [&](const Method* m) { return m->refusal(layer).empty(); }))
      layer.reason = fmt::format("{}: {}", methods[0]->name, methods[0]->refusal(layer));
    if (layer.reason.empty() && options.data != nullptr)
      layer.reason = hessian_refusal(graph, layer.weights, kMostSolvedColumns);
    if (layer.reason.empty()) out.push_back({.layer = &layer, .w = weights_of(graph, layer)});
  }
  return out;
}

void collect_inputs(const Graph& graph, std::vector<Taken>& taken, const FactorizeOptions& options,
                    const std::function<void(Taken&)>& then) {
  std::vector<const LayerWeights*> weights;
  for (const Taken& one : taken) weights.push_back(&one.layer->weights);
  each_hessian(graph, weights, *options.data, options.samples, options.threads,
               [&](size_t i, const Hessian& found) {
                 taken[i].inputs =
                     Eigen::Map<const Matrix>(found.groups[0].data(), found.columns, found.columns);
                 then(taken[i]);
                 taken[i].inputs.reset();
               });
}

void take_apart(Taken& one, const std::vector<const Method*>& methods) {
  for (const Method* method : methods)
    if (method->refusal(*one.layer).empty())
      one.parts.emplace_back(
          method, method->take_apart(*one.layer, one.w, one.inputs ? &*one.inputs : nullptr));
}

void take_all_apart(const Graph& graph, std::vector<Taken>& taken,
                    const std::vector<const Method*>& methods, const FactorizeOptions& options) {
  if (options.data != nullptr)
    return collect_inputs(graph, taken, options, [&](Taken& one) { take_apart(one, methods); });
  parallel_for(
      std::ssize(taken), 1,
      [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) take_apart(taken[static_cast<size_t>(i)], methods);
      },
      options.threads);
}

std::string ranks_text(const Choice& choice, const Decomposition& part) {
  return fmt::format("{} of rank {} of {}", choice.method->name, fmt::join(choice.ranks, ", "),
                     fmt::join(part.full(), ", "));
}

/// By a rule for each layer alone. The reason of those that stay goes into the layer.
std::optional<Choice> alone(const Taken& one, const FactorizeOptions& options, Timing& timing) {
  std::optional<Choice> choice = choose_alone(one, options.ranks, options.round_to);
  if (!choice) {
    one.layer->reason = fmt::format("no ranks keep {} of the energy", options.ranks.value);
    return std::nullopt;
  }
  const std::string text = ranks_text(*choice, one.part(choice->method));
  if (choice->cost.macs >= one.layer->macs()) {
    one.layer->reason = fmt::format("{} is no smaller: {} MACs, {} as it is", text,
                                    choice->cost.macs, one.layer->macs());
    return std::nullopt;
  }
  if (!timing.wanted()) return choice;
  const double before = timing.before(one, true), after = timing.after(one, *choice, true);
  if (after < before) return choice;
  one.layer->reason =
      fmt::format("{} is no faster: {:.3f} ms, {:.3f} ms as it is", text, after, before);
  return std::nullopt;
}

double cost_of(const FactorizeCost& cost, const std::string& of) {
  return static_cast<double>(of == "macs" ? cost.macs : cost.parameters);
}

FactorizeCost layer_cost(const Layer& layer) {
  return {layer.macs(), layer.weights.matrix.elements()};
}

/// Each layer's points, the first one the layer as it is.
std::vector<std::vector<Point>> points_of(const std::vector<Taken>& taken,
                                          const FactorizeOptions& options, Timing& timing) {
  const std::string& of = options.ranks.by;
  std::vector<std::vector<Point>> out;
  for (const Taken& one : taken) {
    std::vector<Point>& points = out.emplace_back();
    const std::string by = of == "latency" ? "macs" : of;
    points.push_back({std::nullopt, cost_of(layer_cost(*one.layer), by), 0});
    for (Choice& choice : all_choices(one, options.round_to)) {
      const double cost = cost_of(choice.cost, by), lost = 1 - choice.energy;
      points.push_back({std::move(choice), cost, lost});
    }
    if (of == "latency") points = timing.timed(one, points);
    options.log.advance("ranks", std::ssize(out), std::ssize(taken));
  }
  return out;
}

std::vector<std::optional<Choice>> for_target(const Graph& graph, const std::vector<Taken>& taken,
                                              const FactorizeOptions& options, Timing& timing) {
  const std::string& of = options.ranks.by;
  auto points = points_of(taken, options, timing);
  const double whole = of == "latency" ? timing.model(graph) : cost_of(graph_cost(graph), of);
  double layers = 0;
  for (const auto& one : points) layers += one[0].cost;
  // Of latency, each layer's time alone stands for its part of the model's.
  const double bound = options.ranks.value * whole - (whole - layers);
  std::vector<size_t> chosen;
  for (bool again = true; again;) {
    const auto found = meet_bound(points, bound);
    if (!found) {
      double least = 0;
      for (const auto& one : points) least += one[lower_hull(one).back()].cost;
      fail_usage(
          "{:.1f} % of the {} cannot be met: {:.1f} % are left where every layer has the "
          "ranks of least cost",
          100 * options.ranks.value, of, 100 * (whole - layers + least) / whole);
    }
    chosen = *found;
    again = false;
    if (!timing.wanted()) break;
    // Chosen factors are timed again beside their layers; those that are no faster are none.
    for (size_t i = 0; i < taken.size(); ++i) {
      const Point& point = points[i][chosen[i]];
      if (!point.choice || timing.beats_layer(taken[i], *point.choice)) continue;
      taken[i].layer->reason =
          fmt::format("{} is no faster when timed again",
                      ranks_text(*point.choice, taken[i].part(point.choice->method)));
      points[i].erase(points[i].begin() + static_cast<std::ptrdiff_t>(chosen[i]));
      again = true;
    }
  }
  std::vector<std::optional<Choice>> out;
  for (size_t i = 0; i < taken.size(); ++i) {
    out.push_back(points[i][chosen[i]].choice);
    if (out.back())
      taken[i].layer->reason.clear();
    else if (taken[i].layer->reason.empty())
      taken[i].layer->reason =
          points[i].size() > 1 ? "the target is met without it" : "no ranks make it smaller";
  }
  return out;
}

FactorizedLayer record_of(const Graph& graph, const Layer& layer) {
  FactorizedLayer out{.node = node_key(graph, layer.node),
                      .op = graph.node(layer.node).op,
                      .before = layer_cost(layer),
                      .after = layer_cost(layer),
                      .reason = layer.reason};
  return out;
}

void apply(Graph& graph, const Taken& one, const Choice& choice, bool of_outputs,
           FactorizedLayer& record) {
  const Decomposition& part = one.part(choice.method);
  const std::vector<Factor> factors = part.factors(choice.ranks, true);
  record.method = choice.method->name;
  record.ranks = choice.ranks;
  record.full = part.full();
  record.error = (one.w - part.composed(factors)).norm() / one.w.norm();
  // What is kept is a projection of W; of tucker `choice.energy` is that before alternations.
  record.energy = of_outputs ? choice.energy : 1 - record.error * record.error;
  record.after = {};
  for (const Factor& factor : factors) {
    record.after.macs += factor.macs();
    record.after.parameters += factor.weight.size();
  }
  replace_layer(graph, *one.layer, factors);
}

}  // namespace

FactorizeResult run(const Graph& graph, const FactorizeOptions& options) {
  check(options);
  const auto methods = methods_of(options);
  FactorizeResult out{.graph = graph};
  infer_types(out.graph);
  std::vector<Layer> layers = find_layers(out.graph, options.keep);
  std::vector<Taken> taken = take_layers(out.graph, layers, methods, options);
  take_all_apart(out.graph, taken, methods, options);
  Timing timing(out.graph, options.latency);
  std::vector<std::optional<Choice>> choices;
  if (options.ranks.is_target())
    choices = for_target(out.graph, taken, options, timing);
  else
    for (const Taken& one : taken) choices.push_back(alone(one, options, timing));

  out.before = graph_cost(out.graph);
  for (const Layer& layer : layers) out.layers.push_back(record_of(out.graph, layer));
  double saved = 0;
  for (size_t i = 0; i < taken.size(); ++i) {
    FactorizedLayer& record = out.layers[static_cast<size_t>(taken[i].layer - layers.data())];
    if (timing.knows(taken[i])) record.ms_before = timing.before(taken[i], false);
    if (!choices[i]) continue;
    if (timing.wanted()) record.ms_after = timing.after(taken[i], *choices[i], false);
    if (record.ms_before) saved += *record.ms_before - *record.ms_after;
    apply(out.graph, taken[i], *choices[i], options.data != nullptr, record);
  }
  infer_types(out.graph);
  out.graph.verify();
  out.after = graph_cost(out.graph);
  if (options.ranks.by == "latency") {
    out.ms_before = timing.model(graph);
    out.ms_after = *out.ms_before - saved;
    out.got = *out.ms_after / *out.ms_before;
  } else if (options.ranks.is_target()) {
    out.got = cost_of(out.after, options.ranks.by) / cost_of(out.before, options.ranks.by);
  }
  return out;
}

}  // namespace lowrank

FactorizeResult factorize(const Graph& graph, const FactorizeOptions& options) {
  return lowrank::run(graph, options);
}

}  // namespace lapidary
