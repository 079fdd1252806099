// y1 = f(x, a), y2 = f(x, a)   =>   y2 is y1, for equal op, inputs, attributes; f not random.
// Constants of equal type, shape and bytes become one; before all others, so that their readers
// match.
#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <unordered_map>
#include <utility>

#include "src/ops/opdef.h"
#include "src/passes/edit.h"
#include "src/passes/pass.h"

namespace lapidary {

namespace {

uint64_t hash_bytes(uint64_t hash, const void* data, size_t size) {
  // FNV-1a, 64 bit.
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001B3u;
  return hash;
}
constexpr uint64_t kHashStart = 0xCBF29CE484222325u;

uint64_t hash_text(uint64_t hash, std::string_view text) {
  return hash_bytes(hash, text.data(), text.size());
}

// Type, shape and the first bytes: weights differ early, mostly.
uint64_t hash_start(const Tensor& tensor) {
  constexpr size_t kBytes = 256;
  const auto type = static_cast<int32_t>(tensor.dtype());
  uint64_t hash = hash_bytes(kHashStart, &type, sizeof type);
  hash = hash_bytes(hash, tensor.shape().data(), tensor.shape().size() * sizeof(int64_t));
  return hash_bytes(hash, tensor.raw(), std::min(tensor.size_bytes(), kBytes));
}

// Everything, a word at a time. The rotation brings high bits down: a product never does.
uint64_t hash_all(const Tensor& tensor) {
  uint64_t hash = hash_start(tensor);
  const auto* bytes = static_cast<const unsigned char*>(tensor.raw());
  const size_t words = tensor.size_bytes() / sizeof(uint64_t);
  for (size_t i = 0; i < words; ++i) {
    uint64_t word;
    std::memcpy(&word, bytes + i * sizeof word, sizeof word);
    hash = std::rotl(hash ^ word, 29) * 0x9E3779B97F4A7C15u;
  }
  return hash_bytes(hash, bytes + words * sizeof(uint64_t), tensor.size_bytes() % sizeof(uint64_t));
}

// Constants seen so far. Each is read in full at most once, and only where another starts alike.
class SeenConstants {
 public:
  explicit SeenConstants(const Graph& graph) : graph_(graph) {}

  /// A constant that was seen and equals `id`, or none: then `id` is kept.
  ValueId find_or_keep(ValueId id) {
    const Tensor& tensor = *graph_.constant(id);
    const auto [alike, is_first] = by_start_.emplace(hash_start(tensor), id);
    if (is_first) return {};
    if (const ValueId first = std::exchange(alike->second, ValueId{}))
      by_content_.emplace(hash_all(*graph_.constant(first)), first);
    const uint64_t hash = hash_all(tensor);
    const auto [begin, end] = by_content_.equal_range(hash);
    for (auto it = begin; it != end; ++it)
      if (graph_.constant(it->second)->equals(tensor)) return it->second;
    by_content_.emplace(hash, id);
    return {};
  }

 private:
  const Graph& graph_;
  std::unordered_map<uint64_t, ValueId> by_start_;  // none: its constants are in by_content_
  std::unordered_multimap<uint64_t, ValueId> by_content_;
};

int64_t merge_constants(Graph& graph, bool train_safe) {
  SeenConstants seen(graph);
  int64_t changes = 0;
  for (ValueId id : graph.values()) {
    const Tensor* tensor = graph.constant(id);
    if (tensor == nullptr || tensor->dtype() == DType::kString || graph.is_output(id) ||
        graph.is_input(id) || graph.value(id).quant)
      continue;
    // Two parameters that start equal are trained apart.
    if (train_safe && is_float(tensor->dtype()) && tensor->size() > 1) continue;
    const ValueId same = seen.find_or_keep(id);
    if (!same) continue;
    graph.replace_uses(id, same);
    graph.remove_value(id);
    ++changes;
  }
  return changes;
}

bool equal_attr(const Attr& a, const Attr& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& x) {
        using T = std::decay_t<decltype(x)>;
        const T& y = std::get<T>(b);
        if constexpr (std::is_same_v<T, Tensor>)
          return x.equals(y);
        else if constexpr (requires { x == y; } && !std::is_same_v<T, std::vector<Tensor>>)
          return x == y;  // graphs: only where they are one object
        else
          return false;
      },
      a);
}

bool may_merge(const Graph& graph, NodeId id) {
  const ResolvedOp op = resolve_op(graph, id);
  const Node& node = graph.node(id);
  return op && op.def->foldable && node.captures.empty() && !node.outputs.empty() &&
         std::none_of(node.outputs.begin(), node.outputs.end(),
                      [&](ValueId v) { return v && graph.value(v).quant; });
}

bool same_node(const Node& a, const Node& b) {
  if (a.op != b.op || a.domain != b.domain || a.inputs != b.inputs ||
      a.outputs.size() != b.outputs.size() || a.attrs.size() != b.attrs.size())
    return false;
  for (size_t i = 0; i < a.outputs.size(); ++i)
    if (a.outputs[i].valid() != b.outputs[i].valid()) return false;
  return std::all_of(a.attrs.begin(), a.attrs.end(), [&](const auto& attr) {
    const Attr* other = b.attr(attr.first);
    return other && equal_attr(attr.second, *other);
  });
}

uint64_t hash_node(const Node& node) {
  uint64_t hash = hash_text(hash_text(kHashStart, node.domain), node.op);
  for (ValueId in : node.inputs) hash = hash_bytes(hash, &in.index, sizeof in.index);
  return hash;
}

bool can_merge_into(const Graph& graph, NodeId kept, NodeId gone) {
  const auto &to = graph.node(kept).outputs, &from = graph.node(gone).outputs;
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i] && !can_replace(graph, from[i], to[i])) return false;
  return true;
}

}  // namespace

PassResult merge_duplicates(Graph& graph, const PassOptions& options) {
  PassResult result{merge_constants(graph, options.train_safe), {}};
  std::multimap<uint64_t, NodeId> seen;
  for (NodeId id : graph.nodes()) {
    if (!may_merge(graph, id)) continue;
    const uint64_t hash = hash_node(graph.node(id));
    const auto [first, last] = seen.equal_range(hash);
    const auto same = std::find_if(first, last, [&](const auto& entry) {
      return same_node(graph.node(entry.second), graph.node(id)) &&
             can_merge_into(graph, entry.second, id);
    });
    if (same == last) {
      seen.emplace(hash, id);
      continue;
    }
    const Node gone = graph.node(id);
    for (size_t i = 0; i < gone.outputs.size(); ++i)
      if (gone.outputs[i]) graph.replace_uses(gone.outputs[i], graph.node(same->second).outputs[i]);
    drop_node(graph, id);
    ++result.changes;
  }
  return result;
}

}  // namespace lapidary
