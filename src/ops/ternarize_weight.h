#pragma once

namespace lapidary {

/// TernarizeWeight without scales: weights at most this share of the mean magnitude become 0
/// (Li et al. 2016).
inline constexpr double kTernaryShare = 0.7;
/// With scales: this share of the largest magnitude (Zhu et al. 2017), where the attribute
/// `threshold` is absent.
inline constexpr float kTernaryThreshold = 0.05f;

}  // namespace lapidary
