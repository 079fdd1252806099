#pragma once

#include <type_traits>

#include "kernels/batch_norm_f32/batch_norm_f32.h"
#include "kernels/fake_quant_f32/generic.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

template <class V>
struct BatchNormF32 {
  using F = typename V::F;
  using Fake = FakeQuantF32<V>;
  static constexpr int64_t kLanes = V::kLanes;
  static constexpr int64_t kSums = 4;

  static void moments(const BatchNormMomentsArgs& p) {
    const F share = V::set(1.0f / static_cast<float>(p.rows));
    by_columns(
        p.cols, [&](auto width, int64_t c, int64_t n) __attribute__((always_inline)) {
          constexpr int NV = width;
          const auto down = [&](F(&out)[NV], const auto& term) __attribute__((always_inline)) {
            F sums[kSums][NV];
            for (auto& each : sums)
              for (F& sum : each) sum = V::set(0.0f);
            int64_t r = 0;
            for (; r + kSums <= p.rows; r += kSums)
              for (int64_t k = 0; k < kSums; ++k)
                for (int v = 0; v < NV; ++v)
                  sums[k][v] = term(v, get(p.x + (r + k) * p.cols + c, v, n), sums[k][v]);
            for (int64_t k = 0; r < p.rows; ++r, ++k)
              for (int v = 0; v < NV; ++v)
                sums[k][v] = term(v, get(p.x + r * p.cols + c, v, n), sums[k][v]);
            for (int v = 0; v < NV; ++v)
              out[v] = total(sums[0][v], sums[1][v], sums[2][v], sums[3][v]);
          };
          F mean[NV], squares[NV];
          down(
              mean, [](int, F x, F sum) __attribute__((always_inline)) { return V::add(sum, x); });
          for (F& each : mean) each = V::mul(each, share);
          down(
              squares, [&](int v, F x, F sum) __attribute__((always_inline)) {
                const F d = V::sub(x, mean[v]);
                return V::fma(d, d, sum);
              });
          for (int v = 0; v < NV; ++v) {
            put(p.mean + c, v, n, mean[v]);
            put(p.squares + c, v, n, squares[v]);
          }
        });
  }

  static void forward(const BatchNormForwardArgs& p) {
    by_then(
        p.then, [&](const auto& then) __attribute__((always_inline)) {
          by_columns(
              p.cols, [&](auto width, int64_t c, int64_t n) __attribute__((always_inline)) {
                constexpr int NV = width;
                F factor[NV], offset[NV];
                for (int v = 0; v < NV; ++v) {
                  factor[v] = get(p.factor + c, v, n);
                  offset[v] = get(p.offset + c, v, n);
                }
                for (int64_t r = 0; r < p.rows; ++r)
                  for (int v = 0; v < NV; ++v) {
                    const int64_t at = r * p.cols + c;
                    put(p.y + at, v, n,
                        then.value(V::fma(get(p.x + at, v, n), factor[v], offset[v])));
                  }
              });
        });
  }

  static void sums(const BatchNormSumsArgs& p) {
    by_then(
        p.then, [&](const auto& then) __attribute__((always_inline)) {
          using Then = std::remove_cvref_t<decltype(then)>;
          by_columns(
              p.cols, [&](auto width, int64_t c, int64_t n)
                          __attribute__((always_inline)) { sums_of<Then, width>(p, then, c, n); });
        });
  }

  static void backward(const BatchNormBackwardArgs& p) {
    BatchNormThen how = p.then;
    how.sum = FakeQuantSum::kNone;
    by_then(
        how, [&](const auto& then) __attribute__((always_inline)) {
          by_columns(
              p.cols, [&](auto width, int64_t c, int64_t n) __attribute__((always_inline)) {
                constexpr int NV = width;
                F factor[NV], offset[NV], mean[NV], slope[NV], shift[NV];
                for (int v = 0; v < NV; ++v) {
                  factor[v] = get(p.factor + c, v, n);
                  offset[v] = get(p.offset + c, v, n);
                  mean[v] = get(p.mean + c, v, n);
                  slope[v] = get(p.slope + c, v, n);
                  shift[v] = get(p.shift + c, v, n);
                }
                F none = V::set(0.0f);
                for (int64_t r = 0; r < p.rows; ++r)
                  for (int v = 0; v < NV; ++v) {
                    const int64_t at = r * p.cols + c;
                    const F x = get(p.x + at, v, n);
                    const F e = then.gradient(V::fma(x, factor[v], offset[v]), get(p.g + at, v, n),
                                              none, none);
                    const F line = V::fma(V::sub(x, mean[v]), slope[v], shift[v]);
                    put(p.dx + at, v, n, V::fma(e, factor[v], line));
                  }
              });
        });
  }

 private:
  template <int N>
  struct Width {
    constexpr operator int() const { return N; }
  };

  // -- what follows

  struct Nothing {
    static constexpr FakeQuantSum kSum = FakeQuantSum::kNone;
    LAPIDARY_INLINE F value(F h) { return h; }
    LAPIDARY_INLINE F gradient(F, F g, F&, F&) { return g; }
  };
  struct Clamp {
    static constexpr FakeQuantSum kSum = FakeQuantSum::kNone;
    F lo, hi, least, most;
    __attribute__((always_inline)) inline F value(F h) const { return V::min(hi, V::max(lo, h)); }
    __attribute__((always_inline)) inline F gradient(F h, F g, F&, F&) const {
      const F zero = V::set(0.0f);
      return V::where_negative(V::sub(h, least), zero, V::where_negative(V::sub(most, h), zero, g));
    }
  };
  template <bool kDivide, FakeQuantSum kWhich>
  struct Quantize {
    static constexpr FakeQuantSum kSum = kWhich;
    typename Fake::template Levels<kDivide> levels;
    __attribute__((always_inline)) inline F value(F h) const { return Fake::value(levels, h); }
    __attribute__((always_inline)) inline F gradient(F h, F g, F& s, F& z) const {
      return Fake::step(typename Fake::template Sum<kWhich>(), levels, g, h, s, z);
    }
  };

  template <class Body>
  LAPIDARY_INLINE void by_then(const BatchNormThen& then, const Body& body) {
    if (then.kind == BatchNormThen::Kind::kNone) return body(Nothing());
    if (then.kind == BatchNormThen::Kind::kClamp)
      return body(Clamp{V::set(then.lo), V::set(then.hi), V::set(then.least), V::set(then.most)});
    Fake::by_sum(
        then.sum, [&](auto sum) __attribute__((always_inline)) {
          constexpr FakeQuantSum kWhich = sum;
          if (Fake::plain(then.scale))
            body(Quantize<false, kWhich>{{then.scale, then.bottom, then.top}});
          else
            body(Quantize<true, kWhich>{{then.scale, then.bottom, then.top}});
        });
  }

  // -- columns: 4, 2 or 1 vectors at a time, n of the last one's lanes

  template <class Body>
  LAPIDARY_INLINE void by_columns(int64_t cols, const Body& body) {
    int64_t c = 0;
    for (; c + 4 * kLanes <= cols; c += 4 * kLanes) body(Width<4>(), c, kLanes);
    if (c + 2 * kLanes <= cols) {
      body(Width<2>(), c, kLanes);
      c += 2 * kLanes;
    }
    for (; c < cols; c += kLanes) body(Width<1>(), c, cols - c);
  }
  LAPIDARY_INLINE F get(const float* p, int v, int64_t n) { return Fake::part(p + v * kLanes, n); }
  LAPIDARY_INLINE void put(float* p, int v, int64_t n, F value) {
    Fake::put(p + v * kLanes, value, n);
  }
  LAPIDARY_INLINE F total(F a, F b, F c, F d) { return V::add(V::add(a, c), V::add(b, d)); }

  template <class Then, int NV>
  LAPIDARY_INLINE void sums_of(const BatchNormSumsArgs& p, const Then& then, int64_t c, int64_t n) {
    constexpr bool kS = Then::kSum != FakeQuantSum::kNone;
    constexpr bool kZ = Then::kSum == FakeQuantSum::kScaleAndZero;
    F factor[NV], offset[NV], mean[NV], e[NV], ex[NV], s[NV], z[NV];
    for (int v = 0; v < NV; ++v) {
      factor[v] = get(p.factor + c, v, n);
      offset[v] = get(p.offset + c, v, n);
      mean[v] = get(p.mean + c, v, n);
      e[v] = ex[v] = s[v] = z[v] = V::set(0.0f);
    }
    for (int64_t r = 0; r < p.rows; ++r)
      for (int v = 0; v < NV; ++v) {
        const int64_t at = r * p.cols + c;
        const F x = get(p.x + at, v, n);
        const F g = then.gradient(V::fma(x, factor[v], offset[v]), get(p.g + at, v, n), s[v], z[v]);
        e[v] = V::add(e[v], g);
        ex[v] = V::fma(g, V::sub(x, mean[v]), ex[v]);
      }
    for (int v = 0; v < NV; ++v) {
      put(p.e + c, v, n, e[v]);
      put(p.ex + c, v, n, ex[v]);
      if constexpr (kS) put(p.s + c, v, n, s[v]);
      if constexpr (kZ) put(p.z + c, v, n, z[v]);
    }
  }
};

}  // namespace
}  // namespace lapidary::kernels
