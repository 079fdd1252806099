#pragma once

#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "lapidary/prune.h"
#include "src/base/params.h"

namespace lapidary::prune {

/// What was seen of a read value's elements over the samples, by place on the axis.
struct ReadStatistics {
  std::vector<double> squares;  ///< sum over samples and all other axes
  std::vector<double> rank;  ///< mean over samples of the rank of the place's map, rows x columns
  int64_t samples = 0;
};

/// What a criterion sees of one member of a group.
struct MemberView {
  const PruneMember* member = nullptr;
  const float* values = nullptr;     ///< the constant's elements; null: a read value
  const float* gradients = nullptr;  ///< of the constant, where the criterion needs them
  Shape shape;
  const ReadStatistics* read = nullptr;  ///< of a read value, where the criterion needs data

  size_t units() const { return member->elements.size(); }
  /// The elements of a unit in row-major order: f(offset).
  template <class F>
  void each(size_t unit, F&& f) const;
};

struct GroupView {
  std::vector<MemberView> members, read;
};

enum class ScoreNeeds { kWeights, kGradients, kData };

/// A row of criteria.def: one small file in criteria/.
struct Criterion {
  std::string_view name, help;
  ScoreNeeds needs;
  /// Scores by unit, for each member that says anything: reduced over members afterwards.
  std::vector<std::vector<double>> (*score)(const GroupView&, const CriterionSpec&);
};
std::span<const Criterion> all_criteria();
/// Throws Error{kUsage} with the closest names.
const Criterion& find_criterion(std::string_view name);

template <class F>
void MemberView::each(size_t unit, F&& f) const {
  const auto axis = static_cast<size_t>(member->axis);
  int64_t outer = 1, inner = 1;
  for (size_t d = 0; d < axis; ++d) outer *= shape[d];
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t place : member->elements[unit])
      for (int64_t i = 0; i < inner; ++i)
        f(static_cast<size_t>((o * shape[axis] + place) * inner + i));
}

}  // namespace lapidary::prune
