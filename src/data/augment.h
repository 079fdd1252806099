#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lapidary/data.h"
#include "src/base/rng.h"

namespace lapidary {

/// What a list may hold.
struct AugmentKind {
  std::string_view name, help;
  double most;  ///< the largest amount; the least is 0
};
std::span<const AugmentKind> augment_kinds();

/// Throws Error{kUsage} for a list that cannot be done: an unknown kind, an amount out of range, a
/// `mixup` that does not stand last.
void check_augment(const std::vector<Augment>& steps);

/// Alpha of the list's `mixup`, 0 where there is none.
double mixup_alpha(const std::vector<Augment>& steps);

/// Applies the list in its order, `mixup` apart, to one sample of three axes, float32.
///   flip p        columns reversed with probability p
///   shift_crop n  the window of the sample's own size at offset (below(2n + 1), below(2n + 1)) of
///                 the sample padded by n, as torchvision's RandomCrop(padding=n): the border is
///                 `border[channel]`, what a stored 0 became
///   cutout s      rows [top, top + s) and columns [left, left + s) become 0, the mean after
///                 normalisation; top = below(height) - s / 2, left = below(width) - s / 2, cut at
///                 the edges                                            (DeVries, Taylor 2017)
/// Draws are taken from `rng` in this order. Throws Error{kUsage} for other samples.
Tensor augment(Tensor sample, Layout layout, std::span<const float> border,
               const std::vector<Augment>& steps, Rng rng);

/// The stream that a sample's own draws come from.
Rng sample_rng(const TrainingRequest& request, int64_t sample);

/// Which sample is mixed in, and the first one's share of the sum (Zhang et al. 2018).
struct Mix {
  int64_t partner = 0;  ///< index into MixPlan::samples
  float share = 1;      ///< Beta(alpha, alpha)
};
struct MixPlan {
  std::vector<int64_t> samples;  ///< to load: the request's part, then partners outside of it
  std::vector<Mix> mixes;        ///< one for each sample of the part; empty where alpha is 0
};
/// Draws every sample's partner among the whole step's samples, by (seed, epoch, sample). Throws
/// Error{kUsage} where the part does not lie in the step.
MixPlan plan_mix(const TrainingRequest& request, double alpha);

/// to = share to + (1 - share) from
void mix_into(std::span<float> to, std::span<const float> from, float share);

/// Beta(alpha, alpha) by rejection: Joehnk (1964) up to alpha = 1, else Cheng's BB (1978).
double draw_beta(double alpha, Rng& rng);

}  // namespace lapidary
