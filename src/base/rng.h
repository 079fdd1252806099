#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <numbers>
#include <numeric>
#include <vector>

namespace lapidary {

/// splitmix64 (Steele, Lea, Flood 2014): the same stream on every machine and standard library.
class Rng {
  __extension__ using Wide = unsigned __int128;

 public:
  explicit Rng(uint64_t seed) : state_(seed) {}
  /// A stream of its own for every list of numbers under a seed: (epoch), (epoch, sample), ...
  static Rng of(uint64_t seed, std::initializer_list<uint64_t> keys) {
    for (const uint64_t key : keys) seed = Rng(Rng(seed).next() ^ key).next();
    return Rng(seed);
  }

  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  /// In [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// In [0, bound), without modulo bias (Lemire's multiply-and-reject); bound > 0.
  uint64_t below(uint64_t bound) {
    const uint64_t threshold = (0 - bound) % bound;
    for (;;) {
      const auto product = static_cast<Wide>(next()) * bound;
      if (static_cast<uint64_t>(product) >= threshold) return static_cast<uint64_t>(product >> 64);
    }
  }
  /// Of mean 0 and variance 1 (Box, Muller 1958).
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  /// A Fisher-Yates permutation of 0..count-1.
  std::vector<int64_t> permutation(int64_t count) {
    std::vector<int64_t> out(static_cast<size_t>(count));
    std::iota(out.begin(), out.end(), int64_t{0});
    for (size_t i = out.size(); i > 1; --i) std::swap(out[i - 1], out[below(i)]);
    return out;
  }

 private:
  uint64_t state_;
};

}  // namespace lapidary
