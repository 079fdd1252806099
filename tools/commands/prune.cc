#include <fmt/format.h>
#include <fmt/ranges.h>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/pipeline/report/prune_json.h"
#include "tools/verb.h"

namespace lapidary::cli {

namespace {

std::string_view role_name(UnitRole role) {
  switch (role) {
    case UnitRole::kWeightOut:
      return "computes";
    case UnitRole::kWeightIn:
      return "reads";
    case UnitRole::kBias:
      return "bias";
    case UnitRole::kGain:
      return "gain";
    case UnitRole::kRead:
      return "value";
    case UnitRole::kOther:
      break;
  }
  return "goes along";
}

/// Elements of a member that one unit takes, where all take as many.
size_t elements_per_unit(const PruneMember& member) {
  return member.elements.empty() ? 0 : member.elements[0].size();
}

nlohmann::ordered_json groups_json(const std::string& model, const PruningGraph& graph) {
  nlohmann::ordered_json out = {
      {"model", model},
      {"cost", cost_json(graph.cost(RemovedUnits(graph.groups().size())))},
      {"groups", nlohmann::ordered_json::array()},
      {"frozen_axes", nlohmann::ordered_json::array()}};
  for (const PruneGroup& group : graph.groups()) {
    nlohmann::ordered_json members = nlohmann::ordered_json::array();
    for (const PruneMember& m : group.members)
      members.push_back({{"tensor", m.tensor},
                         {"node", m.node},
                         {"axis", m.axis},
                         {"role", role_name(m.role)},
                         {"elements_per_unit", elements_per_unit(m)}});
    out["groups"].push_back({{"name", group.name},
                             {"units", group.units},
                             {"lossy", group.lossy},
                             {"members", std::move(members)}});
  }
  for (const FrozenAxis& f : graph.frozen()) out["frozen_axes"].push_back(frozen_axis_json(f));
  return out;
}

std::string groups_text(const PruningGraph& graph) {
  std::string out;
  for (const PruneGroup& group : graph.groups()) {
    out += fmt::format("{}: {} units{}\n", printable(group.name, 80), group.units,
                       group.lossy.empty() ? "" : ", lossy: " + printable(group.lossy, 200));
    for (const PruneMember& m : group.members)
      out += fmt::format(
          "  {:<10} {} axis {}{}{}\n", role_name(m.role), printable(m.tensor, 80), m.axis,
          elements_per_unit(m) > 1 ? fmt::format(", {} elements a unit", elements_per_unit(m)) : "",
          m.node == group.name ? "" : " (" + printable(m.node, 80) + ")");
  }
  if (!graph.frozen().empty()) out += "\nFrozen axes of weights:\n";
  for (const FrozenAxis& f : graph.frozen())
    out += fmt::format("  {} axis {} of {}: {}\n", printable(f.tensor, 80), f.axis, f.size,
                       printable(f.reason, 200));
  const PruneCost cost = graph.cost(RemovedUnits(graph.groups().size()));
  return out + fmt::format("\n{} groups, {} frozen axes; {} MACs a sample, {} parameters\n",
                           graph.groups().size(), graph.frozen().size(), cost.macs,
                           cost.parameters);
}

}  // namespace

void add_prune(CLI::App& app, Common& common, Action& action) {
  struct Options : Verb {
    bool groups = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub =
      add_verb(app, "prune", "Removes channels, heads and features that matter least", common, *o);
  sub->add_flag("--groups", o->groups,
                "Print what can be removed together, and the frozen axes with the reasons; nothing "
                "else is done");
  add_data(*sub, *o, "calib", "Data for criteria that look at activations, and to re-estimate");
  add_data(*sub, *o, "train", "Data for criteria that look at gradients");
  add_data(*sub, *o, "valid", "Data for --sensitivity and --budget; else --calib");
  sub->add_flag("--resume", o->resume, "Go on with the search of --budget from OUT's checkpoint");
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      if (o->resume && !o->params.contains("budget"))
        fail_usage("--resume goes on with a search; there is none without --budget");
      if (!o->groups) return run_verb(*o, common);
      const PruningGraph graph(load_onnx(o->model));
      emit(common, groups_json(o->model, graph), groups_text(graph));
      return 0;
    };
  });
}

}  // namespace lapidary::cli
