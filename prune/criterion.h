#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "lapidary/prune.h"
#include "src/base/params.h"

namespace lapidary::prune {

/// What was seen of a read value's elements over the samples, by place on the axis.
struct ReadStatistics {
  std::vector<double> squares;  ///< sum over samples and all other axes
  std::vector<double> rank;     ///< mean over samples of the rank of the place's map
  int64_t samples = 0;
};

/// What a criterion sees of one member of a group.
struct MemberView {
  const PruneMember* member = nullptr;
  const float* values = nullptr;         ///< the constant's elements; null: a read value
  const float* gradients = nullptr;      ///< of the constant, where there are any
  Shape shape = {};                      ///< of the constant
  const ReadStatistics* read = nullptr;  ///< of a read value, where the criterion needs data

  size_t units() const { return member->elements.size(); }
  bool is_weight() const {
    return member->role == UnitRole::kWeightOut || member->role == UnitRole::kWeightIn;
  }
  /// The elements of a unit in row-major order: f(offset, k), k the element's place among
  /// `member->elements[unit]`.
  template <class F>
  void each(size_t unit, F&& f) const;
};

struct GroupView {
  size_t index = 0;  ///< in PruningGraph::groups
  std::vector<MemberView> members = {}, read = {};

  size_t units() const { return members.front().units(); }
  /// Members of that role.
  std::vector<const MemberView*> of(UnitRole role) const;
  /// What computes the units; what reads them where nothing with weights does.
  std::vector<const MemberView*> output_weights() const;
};

/// Scores by unit, for each member that says anything.
using MemberScores = std::vector<std::vector<double>>;
/// For each of the members f(member, unit).
template <class F>
MemberScores score_each(const std::vector<const MemberView*>& members, F&& f);

enum class ScoreNeeds { kWeights, kGradients, kSquares, kRanks };

/// A row of criteria.def: one small file in criteria/.
struct Criterion {
  std::string_view name, help;
  ScoreNeeds needs;
  const FieldTable& (*fields)();
  Setting (*defaults)();  ///< of those fields
  /// What gives the members' scores; none where it sees nothing of the group. Throws Error{kUsage}
  /// for parameters that it does not have.
  std::function<MemberScores(const GroupView&)> (*make)(const CriterionSpec& spec);

  bool needs_data() const { return needs == ScoreNeeds::kSquares || needs == ScoreNeeds::kRanks; }
};
std::span<const Criterion* const> all_criteria();
/// Throws Error{kUsage} with the closest names.
const Criterion& find_criterion(std::string_view name);

/// A row for a struct that has fields() and `MemberScores operator()(const GroupView&) const`; a
/// member `seed` becomes the spec's.
template <class Params>
constexpr Criterion criterion_row(std::string_view name, std::string_view help,
                                  ScoreNeeds needs = ScoreNeeds::kWeights) {
  return {name,
          help,
          needs,
          &Params::fields,
          [] {
            const Params defaults;
            return unbind(Params::fields(), &defaults);
          },
          [](const CriterionSpec& spec) -> std::function<MemberScores(const GroupView&)> {
            Params params = bind<Params>(to_setting(spec.params));
            if constexpr (requires { params.seed; }) params.seed = spec.seed;
            return params;
          }};
}

template <class F>
void MemberView::each(size_t unit, F&& f) const {
  const auto axis = static_cast<size_t>(member->axis);
  const std::vector<int64_t>& places = member->elements[unit];
  int64_t outer = 1, inner = 1;
  for (size_t d = 0; d < axis; ++d) outer *= shape[d];
  for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  for (int64_t o = 0; o < outer; ++o)
    for (size_t k = 0; k < places.size(); ++k)
      for (int64_t i = 0; i < inner; ++i)
        f(static_cast<size_t>((o * shape[axis] + places[k]) * inner + i), k);
}

template <class F>
MemberScores score_each(const std::vector<const MemberView*>& members, F&& f) {
  MemberScores out;
  for (const MemberView* member : members) {
    std::vector<double>& scores = out.emplace_back();
    for (size_t unit = 0; unit < member->units(); ++unit) scores.push_back(f(*member, unit));
  }
  return out;
}

}  // namespace lapidary::prune
