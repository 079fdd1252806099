#include <fmt/format.h>

#include "calibrate/statistics.h"
#include "src/base/sha256.h"

namespace lapidary {

namespace {

/// Feeds a graph to SHA-256; every item is preceded by its length or kind, so that no two graphs
/// give the same stream.
class Hasher {
 public:
  void text(std::string_view s) {
    number(static_cast<int64_t>(s.size()));
    sha_.update(s);
  }
  void number(int64_t n) { sha_.update(&n, sizeof n); }
  void tensor(const Tensor& t) {
    number(static_cast<int64_t>(t.dtype()));
    number(t.rank());
    for (const int64_t dim : t.shape()) number(dim);
    if (t.dtype() == DType::kString) {
      for (const std::string& s : t.data<std::string>()) text(s);
    } else {
      sha_.update(t.raw(), t.size_bytes());
    }
  }
  void value(const Graph& graph, ValueId id) { text(id.valid() ? graph.value(id).name : ""); }
  void attr(const Attr& a) {
    number(static_cast<int64_t>(a.index()));
    std::visit([this](const auto& v) { item(v); }, a);
  }
  void graph(const Graph& g);
  std::string hex() { return sha_.hex(); }

 private:
  void item(int64_t v) { number(v); }
  void item(float v) { sha_.update(&v, sizeof v); }
  void item(const std::string& v) { text(v); }
  void item(const Tensor& v) { tensor(v); }
  void item(const std::shared_ptr<const Graph>& v) {
    if (v) graph(*v);
  }
  void item(const AttrRef& v) { text(v.name); }
  void item(const OpaqueAttr& v) { text(v.proto); }
  template <class T>
  void item(const std::vector<T>& list) {
    number(static_cast<int64_t>(list.size()));
    for (const T& v : list) item(v);
  }

  Sha256 sha_;
};

void Hasher::graph(const Graph& g) {
  number(g.opset());
  for (const ValueId id : g.inputs()) {
    value(g, id);
    text(g.value(id).type.text());
  }
  for (const NodeId id : g.nodes()) {
    const Node& node = g.node(id);
    text(node.domain);
    text(node.op);
    number(static_cast<int64_t>(node.inputs.size()));
    for (const ValueId input : node.inputs) {
      value(g, input);
      const Tensor* constant = input.valid() ? g.constant(input) : nullptr;
      number(constant != nullptr);
      if (constant) tensor(*constant);
    }
    for (const ValueId output : node.outputs) value(g, output);
    number(static_cast<int64_t>(node.attrs.size()));
    for (const auto& [name, attribute] : node.attrs) {
      text(name);
      attr(attribute);
    }
  }
  for (const ValueId id : g.outputs()) value(g, id);
}

}  // namespace

std::string graph_hash(const Graph& graph) {
  Hasher hasher;
  hasher.graph(graph);
  return hasher.hex();
}

}  // namespace lapidary
