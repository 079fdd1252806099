#include "prune/kept.h"

#include <algorithm>

namespace lapidary::prune {

Kept::Kept(const AxisSystem& system, const std::vector<Element>& removed)
    : system_(&system), removed_(system.elements().size()) {
  for (Element e : removed) removed_[e] = true;
}

bool Kept::keeps(Element e) const {
  return std::ranges::none_of(system_->elements().units(e), [&](Element u) { return removed_[u]; });
}

int64_t Kept::count(const KeptCount& wanted) const {
  const AxisSystem::Axis& axis = system_->axis(wanted.axis);
  const int64_t end = wanted.end < 0 ? axis.size : wanted.end;
  int64_t kept = 0;
  for (int64_t i = wanted.begin; i < end; ++i) kept += keeps(axis.first + static_cast<Element>(i));
  return wanted.factor * kept;
}

int64_t Kept::size(const AxisSystem::Axis& axis) const {
  if (axis.size < 0) return -1;
  int64_t kept = 0;
  for (int64_t i = 0; i < axis.size; ++i) kept += keeps(axis.first + static_cast<Element>(i));
  return kept;
}

std::vector<int64_t> Kept::places(const AxisSystem::Axis& axis) const {
  std::vector<int64_t> places;
  for (int64_t i = 0; i < axis.elements(); ++i)
    if (keeps(axis.first + static_cast<Element>(i))) places.push_back(i);
  return places;
}

}  // namespace lapidary::prune
