#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/ops/opdef.h"
#include "src/train/analysis.h"
#include "src/train/values.h"

// How ops become differentiable ATen calls: a row of lowerings.def and a function in lower/.

namespace lapidary::train {

/// What one run of a graph is for.
struct RunMode {
  bool training = false;          ///< Dropout drops
  bool batch_statistics = false;  ///< BatchNormalization takes the batch's
  uint64_t seed = 0;              ///< of this run: differs from step to step and rank to rank
};

/// A constant's new elements, to be taken over when the step has succeeded.
struct Update {
  ValueId constant;
  at::Tensor elements;
};

class Communicator;

/// What a lowering sees of its node and its inputs.
class LowerContext {
 public:
  /// What all nodes of a run share.
  struct Run {
    const Graph& graph;
    const Analysis& analysis;
    Values& values;
    const RunMode& mode;
    Communicator* others;  ///< null: this process trains alone
    std::vector<Update> updates = {};
  };
  LowerContext(Run& run, NodeId id, uint64_t overwritable, std::span<const NodeId> then = {})
      : run_(run),
        id_(id),
        node_(run.graph.node(id)),
        attrs_(node_, run.analysis.nodes[id.index].version),
        overwritable_(overwritable),
        then_(then) {}

  const AttrView& attrs() const { return attrs_; }
  int version() const { return attrs_.version(); }
  size_t input_count() const { return node_.inputs.size(); }
  size_t output_count() const { return node_.outputs.size(); }
  bool has(size_t i) const { return i < node_.inputs.size() && node_.inputs[i].valid(); }
  /// On the trainer's device. Throws Error{kInvalid} where the input is absent.
  const at::Tensor& input(size_t i) const;
  /// An undefined tensor where the input is absent.
  at::Tensor optional(size_t i) const { return has(i) ? input(i) : at::Tensor(); }
  /// Elements of an integer input, read on the host.
  std::vector<int64_t> ints(size_t i) const;
  /// Elements of a floating-point input, read on the host.
  std::vector<float> floats(size_t i) const;
  /// The element of a float32 input of one element that no run changes; none for others.
  std::optional<double> fixed_scalar(size_t i) const;
  /// True where this node alone reads the input and nobody needs its elements afterwards.
  bool may_overwrite(size_t i) const { return (overwritable_ >> i & 1) != 0; }

  /// Nodes that may be computed with this one: each reads the one before and nobody else does.
  std::vector<LowerContext> following() const;
  /// What is returned is the result of the last of them; else they are computed afterwards.
  void take_following() { took_following_ = true; }
  bool took_following() const { return took_following_; }

  const Node& node() const { return node_; }
  const RunMode& mode() const { return run_.mode; }
  /// A seed of this node in this run.
  uint64_t seed() const;
  /// The processes that train together; null: this one alone.
  Communicator* others() const { return run_.others; }
  /// True where the input is a constant (of which updates may be given).
  bool is_constant(size_t i) const {
    return has(i) && run_.graph.value(node_.inputs[i]).constant.has_value();
  }
  void update(size_t i, at::Tensor elements) {
    run_.updates.push_back({node_.inputs[i], std::move(elements)});
  }

 private:
  Run& run_;
  NodeId id_;
  const Node& node_;
  AttrView attrs_;
  uint64_t overwritable_;
  std::span<const NodeId> then_;
  bool took_following_ = false;
};

/// Null where the op has no row.
const Lowering* find_lowering(std::string_view domain, std::string_view op);

}  // namespace lapidary::train
