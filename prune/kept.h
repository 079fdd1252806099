#pragma once

#include <cstdint>
#include <vector>

#include "prune/axes.h"

namespace lapidary::prune {

/// Which elements are left, once units are gone.
class Kept {
 public:
  /// `removed`: roots of free classes.
  Kept(const AxisSystem& system, const std::vector<Element>& removed);

  bool keeps(Element e) const;
  int64_t count(const KeptCount& wanted) const;
  int64_t size(const AxisSystem::Axis& axis) const;  ///< -1 where unknown
  bool cuts(const AxisSystem::Axis& axis) const { return size(axis) != axis.size; }
  /// Kept places, ascending.
  std::vector<int64_t> places(const AxisSystem::Axis& axis) const;
  const AxisSystem& system() const { return *system_; }

 private:
  const AxisSystem* system_;
  std::vector<bool> removed_;  ///< by root
};

}  // namespace lapidary::prune
