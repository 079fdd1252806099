#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/conv_shape.h"

// Implicit GEMM over NHWC. A tile is MR output pixels of one line by NV vectors of output channels.
// The filter is cut into segments that are contiguous in the input: whole filter lines of KW*IC
// elements, or single taps of IC/G elements where lines are dilated or channels grouped. A segment
// is walked in units of 4 bytes (4 u8, 2 s16 or 1 f32), rounded up; the weights past its end are
// zero. Weights: [group][block][segment][unit][NR lanes of weight_bytes], NR = NV * lanes, the
// weights of a vector's lanes as UnitOrder says.
namespace lapidary::kernels {

/// Where element e of a unit of lane l is in a vector of weights of L lanes, units of U elements.
enum class UnitOrder {
  kLanes,     ///< l * U + e
  kElements,  ///< e * L + l
  /// Units two by two: the first one's vector holds [l][e] of lanes 0 .. L/2-1, the second one's of
  /// the others, e over the elements of both.
  kPairs,
};

/// What a row's instruction set makes of it.
struct IgemmTraits {
  int64_t lanes = 16;  ///< 32-bit lanes of a vector
  int64_t registers = 32;
  int64_t unit = 4;           ///< elements of K in 4 bytes
  int64_t source_bytes = 1;   ///< of an input element in memory
  int64_t element_bytes = 1;  ///< of an input element as the tiles read it; other than
                              ///< source_bytes: every line is converted into scratch first
  int64_t weight_bytes = 4;   ///< of a unit's weights for one channel
  UnitOrder order = UnitOrder::kLanes;
};

/// Element e of a segment, of lane `lane` of nr, is at unit_offset + lane_offset of the segment's
/// weights.
constexpr int64_t unit_offset(const IgemmTraits& t, int64_t nr, int64_t e) {
  if (t.order == UnitOrder::kElements) return e / t.unit * nr * t.unit + e % t.unit * t.lanes;
  const int64_t elements = t.order == UnitOrder::kPairs ? 2 * t.unit : t.unit;
  return e / elements * nr * elements + e % elements;
}
constexpr int64_t lane_offset(const IgemmTraits& t, int64_t nr, int64_t lane) {
  const int64_t vector = lane / t.lanes * t.lanes, l = lane % t.lanes, half = t.lanes / 2;
  if (t.order == UnitOrder::kElements) return vector * t.unit + l;
  if (t.order == UnitOrder::kPairs)
    return (l / half * nr + vector) * t.unit + l % half * 2 * t.unit;
  return lane * t.unit;
}

/// Everything that follows from shape and traits.
struct IgemmPlan {
  int64_t nv = 1;            ///< vectors of channels in a block
  int64_t mr = 1;            ///< most pixels in a tile
  int64_t group_c = 0;       ///< OC / G
  int64_t group_blocks = 0;  ///< blocks in a group
  int64_t group_stride = 0;  ///< channels of a group, rounded up to blocks
  int64_t line_pixels = 0;   ///< output pixels on a line of tiles
  int64_t segments_y = 1, segments_x = 1;
  int64_t segment_elements = 0;
  int64_t units = 0;        ///< of a segment
  int64_t block_bytes = 0;  ///< weights of a block
  bool copies = false;      ///< lines go through scratch: padding or conversion
  int64_t chunk_rows = 1;   ///< work rows done at a time, while their input stays in cache
  int64_t chunk_bytes = 0;  ///< of scratch for their input
};

namespace {

constexpr int64_t kChunkBytes = 192 * 1024;
/// Bytes of K up to which four vectors of channels by seven pixels are faster than two by 14.
/// Bytes: storing results costs most then, and a block is as wide as a cache line. Floats: a unit
/// takes 11 loads instead of 16, as long as the weights, read twice as often, come from the nearer
/// caches.
constexpr int64_t short_k_bytes(const IgemmTraits& t) {
  return t.unit == 1 && t.weight_bytes == 4 ? 4096 : 512;
}

constexpr int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
constexpr int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t up_to(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Accumulators of a tile that leave registers for the weights and a broadcast.
constexpr int64_t tile_pixels(const IgemmTraits& t, int64_t nv) {
  if (t.registers == 16 || t.lanes == 4) return 6;
  return nv == 4 ? 7 : 14;
}

/// Input lines (of span_w pixels) that `rows` output lines read.
constexpr int64_t input_lines(const ConvShape& s, int64_t rows) {
  return (rows - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h + 1;
}

[[maybe_unused]] constexpr IgemmPlan igemm_plan(const ConvShape& s, const IgemmTraits& t) {
  IgemmPlan p;
  p.group_c = s.out_c / s.groups;
  p.line_pixels = is_flat(s) ? s.batch * s.out_h * s.out_w : s.out_w;
  p.nv = p.group_c <= t.lanes ? 1 : 2;
  const bool one_line = is_flat(s) || s.out_h == 1;
  const bool narrow = t.lanes == 4 || (one_line && p.line_pixels <= 7);
  if (t.registers == 32 && narrow && p.group_c > 2 * t.lanes) p.nv = 4;
  const int64_t k_bytes = s.kernel_h * s.kernel_w * (s.in_c / s.groups) * 4 / t.unit;
  if (t.registers == 32 && p.group_c % (4 * t.lanes) == 0 && k_bytes <= short_k_bytes(t)) p.nv = 4;
  p.mr = tile_pixels(t, p.nv);
  p.group_blocks = up_to(p.group_c, p.nv * t.lanes);
  p.group_stride = p.group_blocks * p.nv * t.lanes;

  const bool lines = s.groups == 1 && s.dilation_w == 1;
  p.segments_y = s.kernel_h;
  p.segments_x = lines ? 1 : s.kernel_w;
  p.segment_elements = lines ? s.kernel_w * s.in_c : s.in_c / s.groups;
  p.units = up_to(p.segment_elements, t.unit);
  if (t.order == UnitOrder::kPairs) p.units += p.units % 2;
  p.block_bytes = p.segments_y * p.segments_x * p.units * p.nv * t.lanes * t.weight_bytes;

  p.copies = t.element_bytes != t.source_bytes || is_padded(s);
  if (is_flat(s)) {
    const int64_t pixel_bytes = s.in_c * t.element_bytes;
    p.chunk_rows = up_to(at_least(1, kChunkBytes / pixel_bytes), p.mr) * p.mr;
    p.chunk_rows = at_most(p.chunk_rows, p.line_pixels);
    p.chunk_bytes = p.copies ? p.chunk_rows * pixel_bytes : 0;
  } else {
    const int64_t line_bytes = span_w(s) * s.in_c * t.element_bytes;
    p.chunk_rows = at_least(1, kChunkBytes / (line_bytes * s.stride_h));
    p.chunk_rows = at_most(p.chunk_rows, s.out_h);
    p.chunk_bytes = p.copies ? input_lines(s, p.chunk_rows) * line_bytes : 0;
  }
  return p;
}

/// Scratch of a call: the chunk's input, 64 bytes that the last unit may reach into, and one int32
/// per output pixel of the chunk.
[[maybe_unused]] constexpr size_t igemm_scratch_bytes(const ConvShape& s, const IgemmTraits& t) {
  const IgemmPlan p = igemm_plan(s, t);
  const int64_t pixels = p.chunk_rows * (is_flat(s) ? 1 : s.out_w);
  return static_cast<size_t>(up_to(p.chunk_bytes + 64, 64) * 64 + pixels * 4);
}

}  // namespace
}  // namespace lapidary::kernels
