#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "kernels/conv_shape.h"
#include "kernels/row.h"
#include "src/base/isa.h"
#include "src/base/rng.h"

namespace lapidary::kernels {

/// A 64-byte aligned array with exactly the 64 readable bytes after it that the contracts ask for.
template <class T>
class Array {
 public:
  explicit Array(int64_t size = 0, T value = T{})
      : size_(size), data_(static_cast<T*>(allocate(size))) {
    std::fill(begin(), end(), value);
  }
  Array(const Array& other) : Array(other.size_) { std::copy(other.begin(), other.end(), begin()); }
  Array(Array&& other) noexcept : size_(other.size_), data_(std::exchange(other.data_, nullptr)) {}
  Array& operator=(Array other) noexcept {
    std::swap(size_, other.size_);
    std::swap(data_, other.data_);
    return *this;
  }
  ~Array() { ::operator delete (data_, std::align_val_t{64}); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return size_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](int64_t i) { return data_[i]; }
  T operator[](int64_t i) const { return data_[i]; }
  std::vector<T> vector() const { return {begin(), end()}; }

 private:
  static void* allocate(int64_t size) {
    const size_t bytes = static_cast<size_t>(size) * sizeof(T) + 64;
    return std::memset(::operator new (bytes, std::align_val_t{64}), 0x5A, bytes);
  }

  int64_t size_;
  T* data_;
};

/// Draws with a fixed seed.
class Draw {
 public:
  explicit Draw(uint64_t seed) : rng_(seed) {}
  int64_t in(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(rng_.below(static_cast<uint64_t>(high - low + 1)));
  }
  bool one_in(int64_t n) { return in(1, n) == 1; }
  float real(float low, float high) {
    return low + static_cast<float>(rng_.uniform()) * (high - low);
  }
  template <class T>
  Array<T> integers(int64_t count, int64_t low, int64_t high) {
    Array<T> a(count);
    for (T& v : a) v = static_cast<T>(in(low, high));
    return a;
  }
  Array<float> reals(int64_t count, float low, float high) {
    Array<float> a(count);
    for (float& v : a) v = real(low, high);
    return a;
  }

 private:
  Rng rng_;
};

/// Any convolution that the contracts allow, small; one in twelve with a few lines so long that
/// kernels come to them chunk by chunk, segment by segment.
inline ConvShape draw_shape(Draw& draw, bool depthwise = false) {
  const bool is_long = draw.one_in(12);
  ConvShape s;
  s.batch = is_long ? 1 : draw.in(1, 2);
  s.in_h = is_long ? draw.in(3, 5) : draw.in(1, 12);
  s.in_w = is_long ? draw.in(300, 1500) : draw.in(1, 40);
  s.kernel_h = draw.one_in(3) ? 1 : draw.in(1, 5);
  s.kernel_w = draw.one_in(3) ? s.kernel_h : draw.in(1, 5);
  if (draw.one_in(4)) s.kernel_h = s.kernel_w = 1;
  if (draw.one_in(2)) s.kernel_h = s.kernel_w = draw.one_in(2) ? 3 : 5;
  if (is_long) s.kernel_h = std::min<int64_t>(s.kernel_h, 3), s.kernel_w = s.kernel_h;
  s.stride_h = draw.one_in(2) ? 1 : draw.in(1, 3);
  s.stride_w = draw.one_in(2) ? s.stride_h : draw.in(1, 3);
  s.dilation_h = draw.one_in(3) ? draw.in(1, 3) : 1;
  s.dilation_w = draw.one_in(3) ? draw.in(1, 3) : 1;
  s.pad_top = draw.in(0, (s.kernel_h - 1) * s.dilation_h);
  s.pad_left = draw.in(0, (s.kernel_w - 1) * s.dilation_w);
  const int64_t reach_h = (s.kernel_h - 1) * s.dilation_h + 1;
  const int64_t reach_w = (s.kernel_w - 1) * s.dilation_w + 1;
  const int64_t pad_bottom = draw.in(0, reach_h - 1), pad_right = draw.in(0, reach_w - 1);
  s.in_h = std::max(s.in_h, reach_h - s.pad_top - pad_bottom);
  s.in_w = std::max(s.in_w, reach_w - s.pad_left - pad_right);
  s.out_h = (s.in_h + s.pad_top + pad_bottom - reach_h) / s.stride_h + 1;
  s.out_w = (s.in_w + s.pad_left + pad_right - reach_w) / s.stride_w + 1;
  // Elements of a line of which 192 KiB hold one to three, as bytes or as floats.
  const int64_t line = draw.one_in(2) ? draw.in(66'000, 110'000) : draw.in(17'000, 30'000);
  if (depthwise) {
    s.groups = s.in_c = s.out_c = is_long ? line / s.in_w : draw.in(1, 70);
    return s;
  }
  s.groups = draw.one_in(4) ? draw.in(2, 4) : 1;
  if (is_long) {
    s.in_c = s.groups * std::max<int64_t>(1, line / s.in_w / s.groups);
    s.out_c = s.groups * draw.in(1, 2);
    return s;
  }
  s.in_c = s.groups * draw.in(1, draw.one_in(3) ? 70 : 20);
  s.out_c = s.groups * draw.in(1, draw.one_in(2) ? 150 : 40);
  return s;
}

/// A convolution at whose edges the tiles of an implicit GEMM change: rows of 7 that share tiles,
/// channels in whole blocks, K short and long, few pixels and many.
inline ConvShape draw_tile_shape(Draw& draw) {
  ConvShape s;
  const bool point = draw.one_in(2);
  s.kernel_h = s.kernel_w = point ? 1 : 3;
  s.pad_top = s.pad_left = point ? 0 : 1;
  s.stride_h = s.stride_w = draw.one_in(3) ? 2 : 1;
  s.batch = draw.in(1, 2);
  s.out_w = draw.one_in(2) ? 7 : draw.in(6, 16);
  s.out_h = draw.in(1, 5);
  s.in_w = (s.out_w - 1) * s.stride_w + 1;
  s.in_h = (s.out_h - 1) * s.stride_h + 1;
  s.in_c = draw.one_in(2) ? draw.in(1, 12) * 16 : draw.in(1, 200);
  s.out_c = draw.one_in(2) ? draw.in(1, 3) * 64 : draw.in(1, 150);
  return s;
}

/// A depthwise convolution for tiles over many channels or over many pixels of few.
inline ConvShape draw_dw_tile_shape(Draw& draw) {
  ConvShape s;
  s.kernel_h = s.kernel_w = draw.one_in(6) ? 5 : 3;
  s.stride_h = draw.in(1, 2);
  s.stride_w = draw.one_in(4) ? 2 : 1;
  s.dilation_h = draw.one_in(6) ? 2 : 1;
  s.dilation_w = s.stride_w == 1 && draw.one_in(4) ? 2 : 1;
  s.batch = draw.in(1, 2);
  s.pad_top = draw.in(0, 2);
  s.pad_left = draw.in(0, 2);
  s.out_h = draw.in(1, 6);
  s.out_w = draw.in(1, 40);
  // Up to two lines and columns of padding, or left over, behind the last window.
  s.in_h = std::max<int64_t>(1, span_h(s) - s.pad_top + draw.in(-2, 2));
  s.in_w = std::max<int64_t>(1, span_w(s) - s.pad_left + draw.in(-2, 2));
  s.groups = s.in_c = s.out_c = draw.one_in(2) ? int64_t{1} << draw.in(0, 3) : draw.in(90, 200);
  return s;
}

inline std::string shape_text(const ConvShape& s) {
  return "batch " + std::to_string(s.batch) + " in " + std::to_string(s.in_h) + "x" +
         std::to_string(s.in_w) + "x" + std::to_string(s.in_c) + " out " + std::to_string(s.out_h) +
         "x" + std::to_string(s.out_w) + "x" + std::to_string(s.out_c) + " kernel " +
         std::to_string(s.kernel_h) + "x" + std::to_string(s.kernel_w) + " stride " +
         std::to_string(s.stride_h) + "," + std::to_string(s.stride_w) + " dilation " +
         std::to_string(s.dilation_h) + "," + std::to_string(s.dilation_w) + " pad " +
         std::to_string(s.pad_top) + "," + std::to_string(s.pad_left) + " groups " +
         std::to_string(s.groups);
}

inline int clamp_rint(double v, int zero, int lo, int hi) {
  return static_cast<int>(std::clamp(std::nearbyint(v) + zero, double(lo), double(hi)));
}

/// A parameterized suite over the rows of a .def, cases named after them.
#define LAPIDARY_EACH_ROW(suite, kernels)                                                  \
  INSTANTIATE_TEST_SUITE_P(Rows, suite, testing::ValuesIn(kernels.begin(), kernels.end()), \
                           [](const auto& info) { return std::string(info.param.row.name); })

/// While it lives, rows for AVX512-VNNI do without VBMI.
class WithoutVbmi {
 public:
  WithoutVbmi() { allow_vbmi(false); }
  ~WithoutVbmi() { allow_vbmi(true); }
  WithoutVbmi(const WithoutVbmi&) = delete;
  WithoutVbmi& operator=(const WithoutVbmi&) = delete;
};

#define LAPIDARY_SKIP_WITHOUT(isa) \
  if (!cpu_has(isa)) GTEST_SKIP() << "this CPU has no " << isa_name(isa)

}  // namespace lapidary::kernels
