#pragma once

#include <string_view>

namespace lapidary {

/// The domain of Lapidary's own ops, version 1. Emitted files hold only those with a portable body
/// (OpDef::body); the others are of graphs in training.
inline constexpr std::string_view kOwnDomain = "ai.lapidary";
inline constexpr int kNewestOwnOpset = 1;

/// Scales below this count as this: a learned scale may have been stepped over zero. The product of
/// two is a normal float32.
inline constexpr float kLeastFakeScale = 0x1p-60f;

}  // namespace lapidary
