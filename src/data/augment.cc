#include "src/data/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

#include "src/base/fail.h"

namespace lapidary {

namespace {

/// A sample as [planes, height, width, group]: channels are its planes or its groups.
struct Picture {
  Tensor tensor;
  int64_t planes = 1, height = 0, width = 0, group = 1;

  Picture(Tensor sample, Layout layout) : tensor(std::move(sample)) {
    if (tensor.dtype() != DType::kF32 || tensor.rank() != 3)
      fail_usage("'augment' changes float32 samples of three axes, these are {} {}",
                 dtype_name(tensor.dtype()), shape_text(tensor.shape()));
    const bool first = layout == Layout::kNchw;
    (first ? planes : group) = tensor.dim(first ? 0 : 2);
    height = tensor.dim(first ? 1 : 0);
    width = tensor.dim(first ? 2 : 1);
  }
  int64_t row_elements() const { return width * group; }
  float* data() { return tensor.mutable_data<float>().data(); }
};

void flip(Picture& picture, double probability, Rng& rng) {
  if (rng.uniform() >= probability) return;
  float* x = picture.data();
  const int64_t group = picture.group;
  for (int64_t row = 0; row < picture.planes * picture.height; ++row, x += picture.row_elements()) {
    if (group == 1) {
      std::reverse(x, x + picture.width);
      continue;
    }
    for (int64_t i = 0, j = picture.width - 1; i < j; ++i, --j)
      std::swap_ranges(x + i * group, x + (i + 1) * group, x + j * group);
  }
}

/// to[i] = border of channel i mod group; in a plane `plane`.
void fill_border(float* to, int64_t count, const Picture& picture, int64_t plane,
                 std::span<const float> border) {
  for (int64_t i = 0; i < count; ++i)
    to[i] = border[static_cast<size_t>(picture.group == 1 ? plane : i % picture.group)];
}

/// out[y][x] = in[y + dy][x + dx] where that is inside.
void shift(Picture& picture, int64_t dy, int64_t dx, std::span<const float> border) {
  if (dy == 0 && dx == 0) return;
  Tensor out(DType::kF32, picture.tensor.shape());
  const float* from = picture.tensor.data<float>().data();
  float* to = out.mutable_data<float>().data();
  const int64_t row = picture.row_elements(), group = picture.group;
  const int64_t begin = std::clamp<int64_t>(-dx, 0, picture.width) * group;
  const int64_t end =
      std::max(begin, std::clamp<int64_t>(picture.width - dx, 0, picture.width) * group);
  for (int64_t plane = 0; plane < picture.planes; ++plane)
    for (int64_t y = 0; y < picture.height; ++y, to += row) {
      const int64_t source = y + dy;
      if (source < 0 || source >= picture.height) {
        fill_border(to, row, picture, plane, border);
        continue;
      }
      fill_border(to, begin, picture, plane, border);
      std::copy_n(from + (plane * picture.height + source) * row + begin + dx * group, end - begin,
                  to + begin);
      fill_border(to + end, row - end, picture, plane, border);
    }
  picture.tensor = std::move(out);
}

void shift_crop(Picture& picture, int64_t most, std::span<const float> border, Rng& rng) {
  const auto offset = [&] {
    return static_cast<int64_t>(rng.below(static_cast<uint64_t>(2 * most + 1))) - most;
  };
  const int64_t dy = offset(), dx = offset();
  shift(picture, dy, dx, border);
}

void cutout(Picture& picture, int64_t side, Rng& rng) {
  const auto range = [&](int64_t size) {
    const int64_t begin = static_cast<int64_t>(rng.below(static_cast<uint64_t>(size))) - side / 2;
    return std::pair(std::max<int64_t>(begin, 0), std::min(begin + side, size));
  };
  const auto [top, bottom] = range(picture.height);
  const auto [left, right] = range(picture.width);
  float* x = picture.data();
  const int64_t row = picture.row_elements();
  for (int64_t plane = 0; plane < picture.planes; ++plane)
    for (int64_t y = top; y < bottom; ++y) {
      float* at = x + (plane * picture.height + y) * row;
      std::fill(at + left * picture.group, at + right * picture.group, 0.0f);
    }
}

/// Throws Error{kUsage} where there is none of that name.
const AugmentKind& find_augment(const std::string& name) {
  std::vector<std::string_view> names;
  for (const AugmentKind& kind : augment_kinds()) {
    if (kind.name == name) return kind;
    names.push_back(kind.name);
  }
  fail_usage("augment: '{}' is none of {}", name, fmt::join(names, ", "));
}

void check_amount(const Augment& step) {
  const double x = step.amount;
  const bool pixels = step.kind == "shift_crop" || step.kind == "cutout";
  const double most = find_augment(step.kind).most;
  if (!std::isfinite(x) || x < 0 || x > most)
    fail_usage("augment: '{}' is {}; it must lie in 0..{}", step.kind, x, most);
  if (pixels && x != std::floor(x))
    fail_usage("augment: '{}' is {}; it counts pixels", step.kind, x);
}

}  // namespace

std::span<const AugmentKind> augment_kinds() {
  static constexpr std::array<AugmentKind, 4> kKinds = {
      {{"flip", "Probability that columns are reversed", 1},
       {"shift_crop", "Pixels that the sample is padded by, before a window of its size is cut out",
        65535},
       {"cutout", "Side in pixels of a square that becomes 0, the mean after normalisation", 65535},
       {"mixup", "Alpha of the Beta distribution of the share in a sum with another sample; last",
        65535}}};
  return kKinds;
}

void check_augment(const std::vector<Augment>& steps) {
  for (size_t i = 0; i < steps.size(); ++i) {
    check_amount(steps[i]);
    if (steps[i].kind == "mixup" && i + 1 < steps.size())
      fail_usage("augment: 'mixup' mixes finished samples; it stands last, once");
  }
}

double mixup_alpha(const std::vector<Augment>& steps) {
  return !steps.empty() && steps.back().kind == "mixup" ? steps.back().amount : 0;
}

Tensor augment(Tensor sample, Layout layout, std::span<const float> border,
               const std::vector<Augment>& steps, Rng rng) {
  if (steps.empty() || (steps.size() == 1 && steps[0].kind == "mixup")) return sample;
  Picture picture(std::move(sample), layout);
  LAPIDARY_CHECK(static_cast<int64_t>(border.size()) == picture.planes * picture.group);
  if (picture.tensor.size() == 0) return std::move(picture.tensor);
  for (const Augment& step : steps) {
    const auto pixels = static_cast<int64_t>(step.amount);
    if (step.kind == "flip") flip(picture, step.amount, rng);
    if (step.kind == "shift_crop") shift_crop(picture, pixels, border, rng);
    if (step.kind == "cutout") cutout(picture, pixels, rng);
  }
  return std::move(picture.tensor);
}

double draw_beta(double alpha, Rng& rng) {
  const auto open = [&] { return 1 - rng.uniform(); };  // in (0, 1]
  if (alpha <= 1) {
    // x = u^(1/alpha), y = v^(1/alpha); where x + y <= 1, x / (x + y). In logarithms: both may be
    // too small for a double.
    for (;;) {
      const double x = std::log(open()) / alpha, y = std::log(open()) / alpha;
      const double larger = std::max(x, y);
      if (larger + std::log1p(std::exp(std::min(x, y) - larger)) <= 0)
        return 1 / (1 + std::exp(y - x));
    }
  }
  const double sum = 2 * alpha;
  const double beta = std::sqrt((sum - 2) / (2 * alpha * alpha - sum)), gamma = alpha + 1 / beta;
  for (;;) {
    const double u = open(), v = beta * std::log(u / (1 - u + 0x1p-54));
    const double w = alpha * std::exp(v);
    const double second = open(), z = u * u * second;
    const double r = gamma * v - std::log(4), s = alpha + r - w;
    if (s + 1 + std::log(5) >= 5 * z || s >= std::log(z) ||
        r + sum * std::log(sum / (alpha + w)) >= std::log(z))
      return w / (alpha + w);
  }
}

Rng sample_rng(const TrainingRequest& request, int64_t sample) {
  return Rng::of(request.seed,
                 {static_cast<uint64_t>(request.epoch), static_cast<uint64_t>(sample)});
}

MixPlan plan_mix(const TrainingRequest& request, double alpha) {
  const auto total = static_cast<int64_t>(request.indices.size());
  if (request.first < 0 || request.count < 0 || request.count > total - request.first)
    fail_usage("{} samples from {} of a step of {}", request.count, request.first, total);
  const auto part = request.indices.subspan(static_cast<size_t>(request.first),
                                            static_cast<size_t>(request.count));
  MixPlan plan{{part.begin(), part.end()}, {}};
  if (alpha <= 0) return plan;
  constexpr uint64_t kMixing = 1;  // apart from the sample's own stream
  for (const int64_t sample : part) {
    Rng rng = Rng::of(request.seed, {static_cast<uint64_t>(request.epoch),
                                     static_cast<uint64_t>(sample), kMixing});
    Mix mix;
    const auto partner = static_cast<int64_t>(rng.below(static_cast<uint64_t>(total)));
    mix.share = static_cast<float>(draw_beta(alpha, rng));
    mix.partner = partner - request.first;
    if (mix.partner < 0 || mix.partner >= request.count) {
      mix.partner = static_cast<int64_t>(plan.samples.size());
      plan.samples.push_back(request.indices[static_cast<size_t>(partner)]);
    }
    plan.mixes.push_back(mix);
  }
  return plan;
}

void mix_into(std::span<float> to, std::span<const float> from, float share) {
  const float rest = 1 - share;
  for (size_t i = 0; i < to.size(); ++i) to[i] = share * to[i] + rest * from[i];
}

}  // namespace lapidary
