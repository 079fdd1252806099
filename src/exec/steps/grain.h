#pragma once

#include <cstdint>

namespace lapidary::exec {

/// Elements that are worth a thread where each is moved or computed by itself.
inline constexpr int64_t kGrainElements = 1 << 14;

}  // namespace lapidary::exec
