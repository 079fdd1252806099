#pragma once

#include <optional>
#include <span>

#include "src/exec/steps/byte_function.h"

namespace lapidary::exec {

/// Where a step puts its channels-last result: into the channels of a Concat's where that is its
/// only reader, so that nothing is left to copy, or into room of its own.
struct Place {
  Operand out;
  int64_t at = 0;      ///< first element, in that of the storage
  int64_t stride = 0;  ///< elements between pixels; 0: as many as channels
  /// Brings the bytes to the Concat's scale: to be applied to the result. Only where the step takes
  /// a table.
  std::optional<Table> table;

  /// Elements between neighbours along each axis of the result.
  std::vector<int64_t> strides() const;
  template <class T>
  T* data(const StepRun& run) const {
    return run.data<T>(out) + at;
  }
};
Place place_result(PlanBuilder& b, ValueId y, bool takes_table = false);
/// The same, or over `residual` where nobody but `nodes` reads that: two maps instead of three pass
/// the caches.
Place place_over(PlanBuilder& b, ValueId y, const Operand& residual, std::span<const NodeId> nodes);

/// The inputs of a Concat or QLinearConcat (tensors, without scales) and where their channels
/// begin.
struct ConcatParts {
  std::vector<ValueId> values;
  std::vector<int64_t> begins;
  std::vector<Table> tables;  ///< of QLinearConcat: to the scale of the result
  int64_t axis = 0;           ///< counted from the first
};
/// None where a scale is not known, or the node is no such node.
std::optional<ConcatParts> concat_parts(const PlanBuilder& b, NodeId id);

}  // namespace lapidary::exec
