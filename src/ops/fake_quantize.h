#pragma once

#include <string_view>

namespace lapidary {

/// The domain of Lapidary's own ops, version 1: of graphs in training, never of emitted files.
inline constexpr std::string_view kOwnDomain = "ai.lapidary";

/// Scales below this count as this: a learned scale may have been stepped over zero. The product of
/// two is a normal float32.
inline constexpr float kLeastFakeScale = 0x1p-60f;

}  // namespace lapidary
