#pragma once

#include <cstdint>

namespace lapidary::exec {

/// Elements that are worth a thread where each is moved or computed by itself.
inline constexpr int64_t kGrainElements = 1 << 14;
/// Where it is copied or converted alone: a few bytes of memory each.
inline constexpr int64_t kGrainCopied = 1 << 15;
/// Where rows are reduced, normalised or exponentiated: some ten operations each.
inline constexpr int64_t kGrainReduced = 1 << 12;

}  // namespace lapidary::exec
