#include <algorithm>
#include <bit>
#include <cstring>

#include "lapidary/graph.h"
#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

bool TensorType::is_static() const {
  return shape && std::all_of(shape->begin(), shape->end(), [](const Dim& d) { return d.known(); });
}

Shape TensorType::static_shape() const {
  LAPIDARY_CHECK(is_static());
  Shape out;
  for (const Dim& d : *shape) out.push_back(d.value);
  return out;
}

std::string TensorType::text() const {
  std::string out = dtype == DType::kUndefined ? "?" : dtype_name(dtype);
  if (!shape) return out + "[?]";
  std::vector<std::string> dims;
  for (const Dim& d : *shape)
    dims.push_back(d.known()          ? std::to_string(d.value)
                   : d.symbol.empty() ? "?"
                                      : printable(d.symbol, 60));
  return fmt::format("{}[{}]", out, fmt::join(dims, ","));
}

TensorType tensor_type(DType dtype, std::span<const int64_t> shape) {
  return {dtype, std::vector<Dim>(shape.begin(), shape.end())};
}

TensorType tensor_type(const Tensor& tensor) { return tensor_type(tensor.dtype(), tensor.shape()); }

std::string node_label(const Graph& graph, NodeId id) {
  const Node& n = graph.node(id);
  const std::string op = n.domain.empty() ? n.op : n.domain + "." + n.op;
  if (!n.name.empty()) return fmt::format("{} '{}'", printable(op, 100), printable(n.name, 200));
  const std::string key = node_key(graph, id);
  return key.empty() ? printable(op, 100)
                     : fmt::format("{} making '{}'", printable(op, 100), printable(key, 200));
}

std::string node_key(const Graph& graph, NodeId id) {
  const Node& n = graph.node(id);
  if (!n.name.empty()) return n.name;
  for (ValueId out : n.outputs)
    if (out) return graph.value(out).name;
  return {};
}

void Graph::verify() const {
  std::vector<bool> made(values_.size());
  size_t live = 0, named = 0, uses = 0, listed_uses = 0;
  for (NodeId id : nodes()) {
    const Node& n = node(id);
    ++live;
    named += !n.name.empty();
    LAPIDARY_CHECK(n.name.empty() || node_names_.contains(n.name));
    const auto reads = [&](ValueId v, Use use, const std::vector<uint32_t>& positions) {
      if (!v) return;
      const Value& in = value(v);
      ++listed_uses;
      const uint32_t at = positions.at(use.slot);
      LAPIDARY_CHECK(at < in.uses.size() && in.uses[at] == use);
      LAPIDARY_CHECK(!in.producer || made[v.index]);
    };
    for (uint32_t i = 0; i < n.inputs.size(); ++i)
      reads(n.inputs[i], {id, i, false}, slot(id).input_at);
    for (uint32_t i = 0; i < n.captures.size(); ++i)
      reads(n.captures[i].outer, {id, i, true}, slot(id).capture_at);
    for (uint32_t i = 0; i < n.outputs.size(); ++i) {
      if (!n.outputs[i]) continue;
      const Value& out = value(n.outputs[i]);
      LAPIDARY_CHECK(out.producer == id && out.producer_slot == i && !out.constant);
      made[n.outputs[i].index] = true;
    }
  }
  LAPIDARY_CHECK(live == live_nodes_);
  for (const auto& [name_of, count] : node_names_) named -= count;
  LAPIDARY_CHECK(named == 0);
  for (ValueId v : values()) {
    uses += value(v).uses.size();
    LAPIDARY_CHECK(find_value(value(v).name) == v);
  }
  LAPIDARY_CHECK(uses == listed_uses);
  for (ValueId v : inputs_) LAPIDARY_CHECK(alive(v) && is_input(v));
  for (ValueId v : outputs_) LAPIDARY_CHECK(alive(v) && is_output(v));
}

namespace {

/// The first difference found, or empty.
class Comparison {
 public:
  Comparison(const Graph& a, const Graph& b) : a_(a), b_(b) {}

  std::string run() const {
    if (a_.opsets != b_.opsets) return "opset imports differ";
    if (names(a_, a_.inputs()) != names(b_, b_.inputs())) return "graph inputs differ";
    if (names(a_, a_.outputs()) != names(b_, b_.outputs())) return "graph outputs differ";
    const auto na = a_.nodes(), nb = b_.nodes();
    if (na.size() != nb.size()) return fmt::format("{} nodes against {}", na.size(), nb.size());
    for (size_t i = 0; i < na.size(); ++i)
      if (std::string d = nodes(na[i], nb[i]); !d.empty()) return node_label(a_, na[i]) + ": " + d;
    return values();
  }

 private:
  static std::vector<std::string> names(const Graph& g, const std::vector<ValueId>& ids) {
    std::vector<std::string> out;
    for (ValueId id : ids) out.push_back(id ? g.value(id).name : "");
    return out;
  }

  static bool same(const Attr& x, const Attr& y) {
    if (x.index() != y.index()) return false;
    return std::visit(
        [&](const auto& u) {
          using T = std::decay_t<decltype(u)>;
          const T& v = std::get<T>(y);
          if constexpr (std::is_same_v<T, Tensor>) {
            return u.equals(v);
          } else if constexpr (std::is_same_v<T, std::shared_ptr<const Graph>>) {
            return same_graph(*u, *v);
          } else if constexpr (std::is_same_v<T, std::vector<Tensor>>) {
            return std::equal(u.begin(), u.end(), v.begin(), v.end(),
                              [](const Tensor& p, const Tensor& q) { return p.equals(q); });
          } else if constexpr (std::is_same_v<T, std::vector<std::shared_ptr<const Graph>>>) {
            return std::equal(u.begin(), u.end(), v.begin(), v.end(),
                              [](const auto& p, const auto& q) { return same_graph(*p, *q); });
          } else if constexpr (std::is_same_v<T, float>) {
            return std::bit_cast<uint32_t>(u) == std::bit_cast<uint32_t>(v);  // NaN is itself
          } else if constexpr (std::is_same_v<T, std::vector<float>>) {
            return u.size() == v.size() &&
                   (u.empty() || std::memcmp(u.data(), v.data(), u.size() * sizeof(float)) == 0);
          } else {
            return u == v;
          }
        },
        x);
  }

  bool same_captures(const Node& x, const Node& y) const {
    return std::equal(x.captures.begin(), x.captures.end(), y.captures.begin(), y.captures.end(),
                      [&](const Capture& p, const Capture& q) {
                        return p.attr == q.attr && p.index == q.index &&
                               a_.value(p.outer).name == b_.value(q.outer).name;
                      });
  }

  std::string nodes(NodeId ia, NodeId ib) const {
    const Node& x = a_.node(ia);
    const Node& y = b_.node(ib);
    if (x.op != y.op || x.domain != y.domain || x.name != y.name) return "is " + node_label(b_, ib);
    if (names(a_, x.inputs) != names(b_, y.inputs)) return "inputs differ";
    if (names(a_, x.outputs) != names(b_, y.outputs)) return "outputs differ";
    if (x.attrs.size() != y.attrs.size()) return "attributes differ";
    if (!same_captures(x, y)) return "captured values differ";
    for (const auto& [key, attr] : x.attrs) {
      const Attr* other = y.attr(key);
      if (other == nullptr || !same(attr, *other)) return "attribute '" + key + "' differs";
    }
    return x.extra == y.extra ? "" : "kept fields differ";
  }

  std::string values() const {
    for (ValueId id : a_.values()) {
      const Value& x = a_.value(id);
      const ValueId other = b_.find_value(x.name);
      if (!other) return fmt::format("value '{}' is missing", x.name);
      const Value& y = b_.value(other);
      if (x.type != y.type)
        return fmt::format("value '{}' is {} against {}", x.name, x.type.text(), y.type.text());
      if (x.other_type != y.other_type) return fmt::format("value '{}' is of another type", x.name);
      if (x.quant != y.quant) return fmt::format("value '{}' is quantized otherwise", x.name);
      if (x.constant.has_value() != y.constant.has_value() ||
          (x.constant && !x.constant->equals(*y.constant)))
        return fmt::format("constant '{}' differs", x.name);
    }
    if (a_.values().size() != b_.values().size()) return "the number of values differs";
    return {};
  }

  const Graph& a_;
  const Graph& b_;
};

}  // namespace

bool same_graph(const Graph& a, const Graph& b, std::string* difference) {
  const std::string found = Comparison(a, b).run();
  if (difference) *difference = found;
  return found.empty();
}

}  // namespace lapidary
