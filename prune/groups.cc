#include "prune/groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "src/ops/opdef.h"
#include "src/passes/edit.h"

namespace lapidary::prune {

namespace {

/// A constant as a node sees it that reads it, or its transpose.
struct Reading {
  NodeId node;
  size_t slot = 0;
  size_t order = 0;                   ///< of the node, topological
  std::vector<int64_t> transposed{};  ///< the constant's axis by the axis that is read; empty: same
  bool weight = false;                ///< it is what the node multiplies by
};

bool reads_weight(const Graph& graph, NodeId node, size_t slot) {
  const ResolvedOp op = resolve_op(graph, node);
  return op && op.def->weight.input == static_cast<int>(slot);
}

/// The constant that a node transposes.
ValueId transposed_constant(const Graph& graph, ValueId value) {
  const NodeId producer = producer_of(graph, value, "Transpose");
  if (!producer) return {};
  const ValueId from = graph.node(producer).inputs[0];
  return graph.constant(from) != nullptr ? from : ValueId{};
}

/// Of each constant the first reading as a weight, else the first.
std::map<ValueId, Reading> readings_of(const Graph& graph) {
  std::map<ValueId, Reading> found;
  size_t order = 0;
  const auto add = [&](ValueId constant, Reading reading) {
    const auto [at, added] = found.try_emplace(constant, reading);
    if (!added && reading.weight && !at->second.weight) at->second = std::move(reading);
  };
  for (NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    for (size_t slot = 0; slot < node.inputs.size(); ++slot) {
      const ValueId value = node.inputs[slot];
      if (!value) continue;
      const bool weight = reads_weight(graph, id, slot);
      if (graph.constant(value) != nullptr)
        add(value, {id, slot, order, {}, weight});
      else if (const ValueId from = transposed_constant(graph, value))
        add(from, {id, slot, order, transposed_axes(graph, graph.value(value).producer), weight});
    }
    ++order;
  }
  return found;
}

UnitRole role_of(const Graph& graph, const Reading& reading, int64_t axis, int64_t rank) {
  const ResolvedOp op = resolve_op(graph, reading.node);
  if (!op) return UnitRole::kOther;
  const Node& node = graph.node(reading.node);
  const auto slot = static_cast<int>(reading.slot);
  if (!reading.transposed.empty())
    axis = std::ranges::find(reading.transposed, axis) - reading.transposed.begin();
  if (op.def->weight.input == slot) {
    const int64_t out = op.def->weight.channel_axis(AttrView(node, op.version), rank);
    return axis == out ? UnitRole::kWeightOut : UnitRole::kWeightIn;
  }
  if (op.def->weight.bias_input == slot) return UnitRole::kBias;
  if (slot == 1 && (node.op.ends_with("Normalization"))) return UnitRole::kGain;
  return UnitRole::kOther;
}

/// Whether a weight's axis is of channels, not a kernel window: its rule names it, or, where it did
/// not run, it is one of the first two of a convolution.
bool is_channels(const Graph& graph, const AxisSystem& system, ValueId value,
                 const Reading& reading, size_t axis) {
  const auto axes = system.axes(value);
  for (size_t a = 0; a < axes.size(); ++a)
    if (system.named(value, static_cast<int64_t>(a)))
      return system.named(value, static_cast<int64_t>(axis));
  return axis < 2 || !graph.node(reading.node).op.starts_with("Conv");
}

/// What a unit occupies: elements of each axis, locals included. Units with equal ones are alike.
using Signature = std::vector<std::pair<uint32_t, uint32_t>>;  // axis, elements

struct Unit {
  Element root = 0;
  Signature signature;
  int64_t place = 0;  ///< of its first element
};

/// All units in order of their roots.
std::vector<Unit> units_of(const AxisSystem& system) {
  std::map<Element, Unit> units;
  const auto visit = [&](uint32_t axis_id) {
    const AxisSystem::Axis& axis = system.axis({axis_id});
    for (int64_t i = 0; i < axis.elements(); ++i)
      for (Element u : system.elements().units(axis.first + static_cast<Element>(i))) {
        auto [at, added] = units.try_emplace(u);
        Unit& unit = at->second;
        if (added) {
          unit.root = u;
          unit.place = i;
        }
        if (unit.signature.empty() || unit.signature.back().first != axis_id)
          unit.signature.emplace_back(axis_id, 0);
        ++unit.signature.back().second;
      }
  };
  for (uint32_t id = 0; id < system.axis_count(); ++id) visit(id);
  std::vector<Unit> list;
  for (auto& [root, unit] : units) list.push_back(std::move(unit));
  return list;
}

/// Elements of each unit of a group on one axis.
std::vector<std::vector<int64_t>> places_of(const AxisSystem& system, const AxisSystem::Axis& axis,
                                            const std::map<Element, size_t>& unit_index,
                                            size_t units) {
  std::vector<std::vector<int64_t>> places(units);
  for (int64_t i = 0; i < axis.elements(); ++i)
    for (Element u : system.elements().units(axis.first + static_cast<Element>(i)))
      if (const auto at = unit_index.find(u); at != unit_index.end())
        places[at->second].push_back(i);
  return places;
}

/// The axes of computed values that nodes sum over, where the units have elements on them.
void add_reads(const AxisSystem& system, const Signature& signature,
               const std::map<Element, size_t>& unit_index, PruneGroup& group) {
  const Graph& graph = system.graph();
  for (const SummedAxis& sum : system.sums()) {
    const ValueId value = graph.node(sum.node).inputs[sum.slot];
    const uint32_t id = system.axis_id(value, sum.axis);
    if (graph.constant(value) != nullptr ||
        std::ranges::count(signature, id, &Signature::value_type::first) == 0)
      continue;
    group.read.push_back({graph.value(value).name, sum.axis, UnitRole::kRead,
                          node_key(graph, sum.node),
                          places_of(system, system.axis({id}), unit_index, unit_index.size())});
  }
}

}  // namespace

Groups find_groups(const AxisSystem& system) {
  const Graph& graph = system.graph();
  const auto readings = readings_of(graph);
  std::map<Signature, std::vector<Unit>> alike;
  for (Unit& unit : units_of(system)) {
    const Signature key = unit.signature;
    alike[key].push_back(std::move(unit));
  }

  // Constants by axis.
  struct Place {
    ValueId value;
    int64_t axis;
    const Reading* reading;
  };
  std::map<uint32_t, Place> constants;
  for (const auto& [value, reading] : readings) {
    const auto axes = system.axes(value);
    for (size_t a = 0; a < axes.size(); ++a)
      constants[system.axis_id(value, static_cast<int64_t>(a))] = {value, static_cast<int64_t>(a),
                                                                   &reading};
  }

  struct Found {
    std::tuple<size_t, uint32_t> order;  // node that computes them, first axis
    PruneGroup group;
    std::vector<Element> roots;
  };
  std::vector<Found> found;
  for (auto& [signature, units] : alike) {
    std::ranges::sort(units, {}, [](const Unit& u) { return std::pair(u.place, u.root); });
    Found f;
    std::map<Element, size_t> index;
    for (const Unit& unit : units) {
      index[unit.root] = f.roots.size();
      f.roots.push_back(unit.root);
    }
    f.group.units = static_cast<int64_t>(units.size());
    bool weights = false;
    size_t order = ~size_t{0};
    for (const auto& [axis_id, count] : signature) {
      const auto at = constants.find(axis_id);
      if (at == constants.end()) continue;
      const Place& place = at->second;
      PruneMember member;
      member.tensor = graph.value(place.value).name;
      member.axis = place.axis;
      member.role = role_of(graph, *place.reading, place.axis,
                            static_cast<int64_t>(system.axes(place.value).size()));
      member.node = node_key(graph, place.reading->node);
      member.elements = places_of(system, system.axis({axis_id}), index, units.size());
      weights |= member.role == UnitRole::kWeightOut || member.role == UnitRole::kWeightIn;
      if (member.role == UnitRole::kWeightOut && place.reading->order < order) {
        order = place.reading->order;
        f.group.name = member.node;
      }
      f.group.members.push_back(std::move(member));
    }
    // The last unit of a group stays.
    if (!weights || units.size() == 1) continue;
    add_reads(system, signature, index, f.group);
    if (f.group.name.empty()) f.group.name = f.group.members.front().node;
    for (Element root : f.roots)
      if (f.group.lossy.empty()) f.group.lossy = system.elements().why_lossy(root);
    f.order = {order, signature.front().first};
    found.push_back(std::move(f));
  }
  std::ranges::sort(found, {}, &Found::order);

  Groups out;
  std::map<std::string, int64_t> named;
  for (Found& f : found) {
    if (const int64_t count = ++named[f.group.name]; count > 1)
      f.group.name += fmt::format(" #{}", count);
    out.groups.push_back(std::move(f.group));
    out.roots.push_back(std::move(f.roots));
  }
  for (const auto& [value, reading] : readings) {
    const auto axes = system.axes(value);
    for (size_t a = 0; reading.weight && a < axes.size(); ++a) {
      if (axes[a].size <= 1 || !is_channels(graph, system, value, reading, a)) continue;
      const auto stays = [&](int64_t i) {
        return system.elements().units(axes[a].first + static_cast<Element>(i)).empty();
      };
      int64_t staying = 0;
      for (int64_t i = 0; i < axes[a].size; ++i) staying += stays(i);
      if (staying == axes[a].size)
        out.frozen.push_back({graph.value(value).name, node_key(graph, reading.node),
                              static_cast<int64_t>(a), axes[a].size,
                              system.elements().frozen(axes[a].first)});
    }
  }
  return out;
}

}  // namespace lapidary::prune
