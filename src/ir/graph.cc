#include "lapidary/graph.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <queue>
#include <utility>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

int64_t Graph::opset(std::string_view domain) const {
  if (domain == "ai.onnx") domain = "";
  for (const OpsetImport& import : opsets)
    if (import.domain == domain || (domain.empty() && import.domain == "ai.onnx"))
      return import.version;
  return 0;
}

void Graph::set_opset(std::string_view domain, int64_t version) {
  for (OpsetImport& import : opsets)
    if (import.domain == domain || (domain.empty() && import.domain == "ai.onnx")) {
      import.version = version;
      return;
    }
  opsets.push_back({std::string(domain), version});
}

Graph::NodeSlot& Graph::slot(NodeId id) {
  LAPIDARY_CHECK(id.index < nodes_.size());
  return nodes_[id.index];
}
const Graph::NodeSlot& Graph::slot(NodeId id) const {
  LAPIDARY_CHECK(id.index < nodes_.size());
  return nodes_[id.index];
}
Graph::ValueSlot& Graph::slot(ValueId id) {
  LAPIDARY_CHECK(id.index < values_.size());
  return values_[id.index];
}
const Graph::ValueSlot& Graph::slot(ValueId id) const {
  LAPIDARY_CHECK(id.index < values_.size());
  return values_[id.index];
}

namespace {

/// `base`, with a number where `names` has it. Doubling, then halving: a free number after a taken
/// one, in few looks even where a thousand are taken.
template <class Names>
std::string unique_among(const Names& names, const std::string& base) {
  if (!names.contains(base)) return base;
  const auto numbered = [&](uint64_t i) { return fmt::format("{}_{}", base, i); };
  uint64_t taken = 0, free = 1;
  while (names.contains(numbered(free))) taken = std::exchange(free, 2 * free);
  while (free - taken > 1) {
    const uint64_t middle = taken + (free - taken) / 2;
    (names.contains(numbered(middle)) ? taken : free) = middle;
  }
  return numbered(free);
}

}  // namespace

// -- values

std::string Graph::unique_name(std::string_view wanted) const {
  return unique_among(by_name_, wanted.empty() ? "value" : std::string(wanted));
}

ValueId Graph::add_value(std::string value_name, TensorType type) {
  if (value_name.empty()) fail_invalid("a value has an empty name");
  const ValueId id{static_cast<uint32_t>(values_.size())};
  if (!by_name_.emplace(value_name, id).second)
    fail_invalid("two values are called '{}'", printable(value_name, 200));
  ValueSlot added;
  added.value.name = std::move(value_name);
  added.value.type = std::move(type);
  added.alive = true;
  values_.push_back(std::move(added));
  return id;
}

ValueId Graph::add_constant(std::string value_name, Tensor elements) {
  const ValueId id = add_value(std::move(value_name), tensor_type(elements));
  slot(id).value.constant = std::move(elements);
  return id;
}

const Value& Graph::value(ValueId id) const {
  const ValueSlot& s = slot(id);
  LAPIDARY_CHECK(s.alive);
  return s.value;
}

Value& Graph::mutable_value(ValueId id) {
  ValueSlot& s = slot(id);
  LAPIDARY_CHECK(s.alive);
  return s.value;
}

ValueId Graph::find_value(std::string_view value_name) const {
  const auto found = by_name_.find(value_name);
  return found == by_name_.end() ? ValueId{} : found->second;
}

std::vector<ValueId> Graph::values() const {
  std::vector<ValueId> out;
  for (uint32_t i = 0; i < values_.size(); ++i)
    if (values_[i].alive) out.push_back({i});
  return out;
}

void Graph::rename_value(ValueId id, std::string value_name) {
  Value& v = mutable_value(id);
  if (v.name == value_name) return;
  if (value_name.empty() || by_name_.contains(value_name))
    fail_invalid("cannot call a value '{}': the name is empty or taken",
                 printable(value_name, 200));
  by_name_.erase(v.name);
  by_name_.emplace(value_name, id);
  v.name = std::move(value_name);
}

void Graph::remove_value(ValueId id) {
  const Value& v = value(id);
  LAPIDARY_CHECK(!v.producer && v.uses.empty() && !is_output(id) && !is_input(id));
  by_name_.erase(v.name);
  slot(id) = ValueSlot{};
}

bool Graph::is_output(ValueId id) const { return alive(id) && slot(id).as_output > 0; }
bool Graph::is_input(ValueId id) const { return alive(id) && slot(id).is_input; }

void Graph::set_inputs(std::vector<ValueId> ids) {
  for (ValueId id : ids) LAPIDARY_CHECK(alive(id));
  for (ValueId id : inputs_) slot(id).is_input = false;
  inputs_ = std::move(ids);
  for (ValueId id : inputs_) slot(id).is_input = true;
}

void Graph::set_outputs(std::vector<ValueId> ids) {
  for (ValueId id : ids) LAPIDARY_CHECK(alive(id));
  for (ValueId id : outputs_) slot(id).as_output = 0;
  outputs_ = std::move(ids);
  for (ValueId id : outputs_) ++slot(id).as_output;
}

const Tensor* Graph::constant(ValueId id) const {
  if (!id) return nullptr;
  const Value& v = value(id);
  // Before IR 4 every initializer had to be listed as an input as well: it is a constant there.
  if (!v.constant || (model.ir_version >= 4 && is_input(id))) return nullptr;
  return &*v.constant;
}

// -- uses

uint32_t& Graph::use_position(const Use& use) {
  NodeSlot& user = slot(use.node);
  return (use.capture ? user.capture_at : user.input_at)[use.slot];
}

void Graph::add_use(ValueId id, Use use) {
  if (!id) return;
  auto& uses = mutable_value(id).uses;
  use_position(use) = static_cast<uint32_t>(uses.size());
  uses.push_back(use);
}

/// The last use takes the place of the dropped one: constant time for a value that all nodes read.
void Graph::drop_use(ValueId id, Use use) {
  if (!id) return;
  auto& uses = mutable_value(id).uses;
  const uint32_t at = use_position(use);
  LAPIDARY_CHECK(at < uses.size() && uses[at] == use);
  uses[at] = uses.back();
  use_position(uses[at]) = at;
  uses.pop_back();
}

size_t Graph::use_count(ValueId id) const { return value(id).uses.size() + slot(id).as_output; }

// -- nodes

void Graph::link(NodeId id, NodeId before) {
  NodeSlot& added = slot(id);
  added.next = before;
  added.previous = before ? slot(before).previous : last_;
  (added.previous ? slot(added.previous).next : first_) = id;
  (before ? slot(before).previous : last_) = id;
}

void Graph::unlink(NodeId id) {
  NodeSlot& removed = slot(id);
  (removed.previous ? slot(removed.previous).next : first_) = removed.next;
  (removed.next ? slot(removed.next).previous : last_) = removed.previous;
  removed.previous = removed.next = {};
}

NodeId Graph::add_node(Node node, NodeId before) {
  const NodeId id{static_cast<uint32_t>(nodes_.size())};
  std::vector<ValueId> made;
  std::copy_if(node.outputs.begin(), node.outputs.end(), std::back_inserter(made),
               std::mem_fn(&ValueId::valid));
  std::sort(made.begin(), made.end());
  if (const auto twice = std::adjacent_find(made.begin(), made.end()); twice != made.end())
    fail_invalid("a node makes '{}' twice", printable(value(*twice).name, 200));
  for (ValueId out : made)
    if (value(out).producer) fail_invalid("two nodes make '{}'", printable(value(out).name, 200));
  NodeSlot added;
  added.node = std::move(node);
  added.input_at.resize(added.node.inputs.size());
  added.capture_at.resize(added.node.captures.size());
  added.alive = true;
  nodes_.push_back(std::move(added));
  const Node& n = nodes_.back().node;
  for (uint32_t i = 0; i < n.inputs.size(); ++i) add_use(n.inputs[i], {id, i, false});
  for (uint32_t i = 0; i < n.captures.size(); ++i) add_use(n.captures[i].outer, {id, i, true});
  for (uint32_t i = 0; i < n.outputs.size(); ++i) {
    if (!n.outputs[i]) continue;
    mutable_value(n.outputs[i]).producer = id;
    mutable_value(n.outputs[i]).producer_slot = i;
  }
  link(id, before);
  count_node_name(n.name, true);
  ++live_nodes_;
  return id;
}

std::string Graph::unique_node_name(std::string_view wanted) const {
  return unique_among(node_names_, wanted.empty() ? "node" : std::string(wanted));
}

void Graph::count_node_name(const std::string& node_name, bool added) {
  if (node_name.empty()) return;
  uint32_t& count = node_names_[node_name];
  count += added ? 1 : -1;
  if (count == 0) node_names_.erase(node_name);
}

const Node& Graph::node(NodeId id) const {
  const NodeSlot& s = slot(id);
  LAPIDARY_CHECK(s.alive);
  return s.node;
}

bool Graph::alive(NodeId id) const { return id.index < nodes_.size() && nodes_[id.index].alive; }
bool Graph::alive(ValueId id) const { return id.index < values_.size() && values_[id.index].alive; }

std::vector<NodeId> Graph::nodes() const {
  std::vector<NodeId> out;
  out.reserve(live_nodes_);
  for (NodeId id = first_; id; id = slot(id).next) out.push_back(id);
  return out;
}

NodeId Graph::next(NodeId id) const { return slot(id).next; }
NodeId Graph::previous(NodeId id) const { return slot(id).previous; }

void Graph::remove_node(NodeId id) {
  const Node& n = node(id);
  for (uint32_t i = 0; i < n.inputs.size(); ++i) drop_use(n.inputs[i], {id, i, false});
  for (uint32_t i = 0; i < n.captures.size(); ++i) drop_use(n.captures[i].outer, {id, i, true});
  for (ValueId out : n.outputs)
    if (out) mutable_value(out).producer = {};
  unlink(id);
  count_node_name(n.name, false);
  slot(id) = NodeSlot{};
  --live_nodes_;
}

void Graph::set_input(NodeId id, size_t at, ValueId v) {
  Node& n = slot(id).node;
  if (at >= n.inputs.size()) {
    n.inputs.resize(at + 1);
    slot(id).input_at.resize(at + 1);
  }
  const Use use{id, static_cast<uint32_t>(at), false};
  drop_use(n.inputs[at], use);
  n.inputs[at] = v;
  add_use(v, use);
}

void Graph::truncate_inputs(NodeId id, size_t count) {
  Node& n = slot(id).node;
  while (n.inputs.size() > count) {
    drop_use(n.inputs.back(), {id, static_cast<uint32_t>(n.inputs.size() - 1), false});
    n.inputs.pop_back();
    slot(id).input_at.pop_back();
  }
}

void Graph::set_output(NodeId id, size_t at, ValueId v) {
  Node& n = slot(id).node;
  if (at >= n.outputs.size()) n.outputs.resize(at + 1);
  if (n.outputs[at]) mutable_value(n.outputs[at]).producer = {};
  n.outputs[at] = v;
  if (!v) return;
  LAPIDARY_CHECK(!value(v).producer);
  mutable_value(v).producer = id;
  mutable_value(v).producer_slot = static_cast<uint32_t>(at);
}

void Graph::set_attr(NodeId id, std::string_view key, Attr attr) {
  for (auto& [attr_name, value_of] : slot(id).node.attrs)
    if (attr_name == key) {
      value_of = std::move(attr);
      return;
    }
  slot(id).node.attrs.emplace_back(std::string(key), std::move(attr));
}

void Graph::erase_attr(NodeId id, std::string_view key) {
  std::erase_if(slot(id).node.attrs, [&](const auto& entry) { return entry.first == key; });
}

void Graph::set_op(NodeId id, std::string domain, std::string op) {
  slot(id).node.domain = std::move(domain);
  slot(id).node.op = std::move(op);
}

void Graph::rename_node(NodeId id, std::string node_name) {
  std::string& mine = slot(id).node.name;
  count_node_name(mine, false);
  mine = std::move(node_name);
  count_node_name(mine, true);
}

void Graph::set_captures(NodeId id, std::vector<Capture> captures) {
  Node& n = slot(id).node;
  for (uint32_t i = 0; i < n.captures.size(); ++i) drop_use(n.captures[i].outer, {id, i, true});
  n.captures = std::move(captures);
  slot(id).capture_at.assign(n.captures.size(), 0);
  for (uint32_t i = 0; i < n.captures.size(); ++i) add_use(n.captures[i].outer, {id, i, true});
}

void Graph::replace_uses(ValueId from, ValueId to) {
  LAPIDARY_CHECK(from != to);
  const std::vector<Use> uses = value(from).uses;
  for (const Use& use : uses) {
    drop_use(from, use);
    Node& user = slot(use.node).node;
    (use.capture ? user.captures[use.slot].outer : user.inputs[use.slot]) = to;
    add_use(to, use);
  }
  if (!is_output(from) || is_input(from)) return;
  const std::string kept = value(from).name;
  rename_value(from, unique_name(kept + "_replaced"));
  ValueId out = to;
  if (is_input(to) || is_output(to) || value(to).constant || !value(to).producer) {
    Node identity;
    identity.op = "Identity";
    identity.name = kept;
    identity.inputs = {to};
    out = add_value(kept, value(from).type);
    identity.outputs = {out};
    add_node(std::move(identity));
  } else {
    rename_value(to, kept);
  }
  std::vector<ValueId> outputs = outputs_;
  std::replace(outputs.begin(), outputs.end(), from, out);
  set_outputs(std::move(outputs));
}

// -- order

void Graph::sort() {
  // Kahn's algorithm; among ready nodes the one listed first goes first, so a sorted list stays as
  // it is.
  const std::vector<NodeId> listed = nodes();
  std::vector<size_t> rank(nodes_.size()), waits(nodes_.size());
  for (size_t i = 0; i < listed.size(); ++i) rank[listed[i].index] = i;
  const auto each_use = [&](NodeId id, auto&& visit) {
    for (ValueId out : node(id).outputs)
      if (out)
        for (const Use& use : value(out).uses) visit(use.node);
  };
  for (NodeId id : listed) each_use(id, [&](NodeId user) { ++waits[user.index]; });
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < listed.size(); ++i)
    if (waits[listed[i].index] == 0) ready.push(i);
  std::vector<NodeId> order;
  while (!ready.empty()) {
    const NodeId id = listed[ready.top()];
    ready.pop();
    order.push_back(id);
    each_use(id, [&](NodeId user) {
      if (--waits[user.index] == 0) ready.push(rank[user.index]);
    });
  }
  if (order.size() != listed.size()) fail_invalid("nodes form a cycle: {}", cycle_text(waits));
  first_ = last_ = {};
  for (NodeId id : order) link(id, {});
}

/// "A -> B -> back to the first", at most 8 labels; `waits` is not 0 for nodes on or behind a
/// cycle.
std::string Graph::cycle_text(const std::vector<size_t>& waits) const {
  const auto waiting_producer = [&](NodeId id) {
    const auto of = [&](ValueId v) {
      const NodeId producer = v ? value(v).producer : NodeId{};
      return producer && waits[producer.index] > 0 ? producer : NodeId{};
    };
    for (ValueId in : node(id).inputs)
      if (const NodeId found = of(in)) return found;
    for (const Capture& c : node(id).captures)
      if (const NodeId found = of(c.outer)) return found;
    return NodeId{};
  };
  // From any waiting node to a producer that waits too, until one repeats: from there on it is a
  // cycle.
  NodeId at;
  for (NodeId id : nodes())
    if (waits[id.index] > 0) at = id;
  std::vector<NodeId> walk;
  std::vector<bool> seen(nodes_.size());
  while (!seen[at.index]) {
    seen[at.index] = true;
    walk.push_back(at);
    at = waiting_producer(at);
    LAPIDARY_CHECK(at.valid());
  }
  walk.erase(walk.begin(), std::find(walk.begin(), walk.end(), at));
  constexpr size_t kShown = 8;
  std::vector<std::string> labels;
  for (auto it = walk.rbegin(); it != walk.rend() && labels.size() < kShown; ++it)
    labels.push_back(node_label(*this, *it));
  if (walk.size() > kShown) labels.push_back(fmt::format("{} more", walk.size() - kShown));
  return fmt::format("{} -> back to the first", fmt::join(labels, " -> "));
}

}  // namespace lapidary
