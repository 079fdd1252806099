#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lapidary/graph.h"
#include "prune/elements.h"
#include "src/ops/axis_flow.h"
#include "src/ops/infer.h"

namespace lapidary::prune {

/// A number of the graph that follows from what is kept.
struct SizeWrite {
  enum class To {
    kAttr,        ///< attribute `name`, element `index` (< 0: the whole)
    kInput,       ///< element `index` of input `slot`
    kOutputStays  ///< element `index` of output `slot` stays what it was: the axis's old size
  };
  NodeId node;
  To to = To::kAttr;
  std::string name;
  size_t slot = 0;
  int64_t index = 0;
  KeptCount count;
};

/// An input's axis that its node sums over.
struct SummedAxis {
  NodeId node;
  size_t slot = 0;
  int64_t axis = 0;
};

/// The elements of every axis of every tensor of a graph, and the equations between them that the
/// op table's rules state.
class AxisSystem {
 public:
  struct Axis {
    Element first = 0;
    int64_t size = 0;  ///< -1: unknown, one frozen element stands for it
    int64_t elements() const { return size < 0 ? 1 : size; }
  };

  /// `graph` has types; `known`: integers that inference found. Both must outlive the system.
  AxisSystem(const Graph& graph, const InferredElements& known);

  const Graph& graph() const { return *graph_; }
  const Elements& elements() const { return elements_; }
  /// One for each axis; none where the rank is unknown.
  std::span<const Axis> axes(ValueId value) const;
  const Axis& axis(AxisRef ref) const { return axes_[ref.id]; }
  /// Tensors' axes, then rules' own.
  uint32_t axis_count() const { return static_cast<uint32_t>(axes_.size()); }
  uint32_t axis_id(ValueId value, int64_t axis) const {
    return of_value_[value.index].first + static_cast<uint32_t>(axis);
  }
  const std::vector<SizeWrite>& writes() const { return writes_; }
  const std::vector<SummedAxis>& sums() const { return sums_; }
  /// Whether a rule names the axis: channels, not kernel windows.
  bool named(ValueId value, int64_t axis) const;

 private:
  class NodeFlow;
  void add_axes(ValueId value);
  void visit(NodeId id);
  std::string untyped(const Value& value) const;
  void freeze_axes(ValueId value, std::string_view reason);
  void freeze_node(NodeId id, std::string_view reason);
  void freeze_axis(AxisRef ref, std::string_view reason);

  const Graph* graph_;
  const InferredElements* known_;
  Elements elements_;
  std::vector<Axis> axes_;
  std::vector<bool> named_;  ///< as axes_
  struct Range {
    uint32_t first = 0, count = 0;
  };
  std::vector<Range> of_value_;  ///< by value index
  std::vector<SizeWrite> writes_;
  std::vector<SummedAxis> sums_;
};

}  // namespace lapidary::prune
