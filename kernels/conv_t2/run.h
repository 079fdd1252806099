#pragma once

#include <cstring>

#include "kernels/conv_t2/packed.h"

namespace lapidary::kernels {
namespace {

/// A row out of conv_s8's. Base has
///   kCall        the row's functions
///   Weight       of its packed weights: int8_t or int16_t
///   expand(codes, groups, to)  groups * kCodeGroup weights
template <class Base>
struct ConvT2 {
  using Weight = typename Base::Weight;
  static BaseT2 base() { return {&Base::kCall, sizeof(Weight)}; }

  static size_t packed_bytes(const ConvShape& s) { return packed_t2_bytes(s, base()); }
  static int64_t weights_scratch(const ConvShape& s) {
    const auto packed = static_cast<int64_t>(Base::kCall.packed_bytes(block_shape(s, 0)));
    return up_to(packed + kCodeGroup * static_cast<int64_t>(sizeof(Weight)) + 64, 64) * 64;
  }
  static size_t scratch_bytes(const ConvShape& s) {
    return static_cast<size_t>(weights_scratch(s)) + Base::kCall.scratch_bytes(block_shape(s, 0));
  }
  static int64_t blocks(const ConvShape& s) { return block_count(s); }
  static void pack(const ConvShape& s, const ConvS8Weights& w, void* packed) {
    pack_t2(s, w, base(), packed);
  }

  static void run(const ConvT2Args& p) {
    const ConvShape& s = p.shape;
    const auto* head = static_cast<const PackedT2*>(p.packed);
    const int64_t block_end = p.range.block_end < 0 ? block_count(s) : p.range.block_end;
    const int64_t y_bytes = p.output == ConvS8Output::kU8 ? 1 : 4;
    char* const weights = static_cast<char*>(p.scratch);
    for (int64_t block = p.range.block_begin; block < block_end; ++block) {
      const int64_t first = block * head->block_c;
      ConvS8Args own = p;
      own.shape = block_shape(s, block);
      own.range = {p.range.row_begin, p.range.row_end, 0, -1};
      own.packed = weights;
      own.y = static_cast<char*>(p.y) + first * y_bytes;
      own.y_stride = p.y_stride > 0 ? p.y_stride : s.out_c;
      if (p.residual.data != nullptr) own.residual.data += first;
      if (p.residual.stride == 0) own.residual.stride = s.out_c;
      if (p.float_bias != nullptr) own.float_bias += first;
      own.scratch = weights + weights_scratch(s);
      expand_block(
          static_cast<const char*>(p.packed) + sizeof(PackedT2) + block * head->record_bytes,
          own.shape, weights);
      Base::kCall.run(own);
    }
  }

 private:
  static void expand_block(const char* record, const ConvShape& own, char* to) {
    const char* arrays_end = reinterpret_cast<const char*>(view_packed(record).weights);
    const auto before = static_cast<size_t>(arrays_end - record);
    memcpy(to, record, before);
    const int64_t count = static_cast<int64_t>(Base::kCall.packed_bytes(own) - before) /
                          static_cast<int64_t>(sizeof(Weight));
    Base::expand(reinterpret_cast<const uint8_t*>(record + kRecordHead), up_to(count, kCodeGroup),
                 reinterpret_cast<Weight*>(to + before));
  }
};

}  // namespace
}  // namespace lapidary::kernels
