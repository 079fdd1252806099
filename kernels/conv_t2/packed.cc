#include "kernels/conv_t2/packed.h"

#include <cstring>
#include <memory>
#include <new>

namespace lapidary::kernels {

namespace {

int64_t record_bytes_of(const ConvShape& s, const BaseT2& base) {
  return record_bytes(base.call->packed_bytes(block_shape(s, 0)), base.weight_bytes);
}

/// Codes of `count` weights of T, and of zeros up to a whole group.
template <class T>
void encode(const T* weights, int64_t count, uint8_t* codes) {
  for (int64_t group = 0; group < up_to(count, kCodeGroup); ++group)
    for (int64_t i = 0; i < kCodeGroup; ++i) {
      const int64_t at = group * kCodeGroup + i;
      const int code = at < count ? weights[at] + 1 : 1;
      codes[group * 64 + i % 64] |= static_cast<uint8_t>(code << i / 64 * 2);
    }
}

struct Freed {
  void operator()(void* p) const { ::operator delete (p, std::align_val_t{64}); }
};

/// f(record, first channel, channels) of every block.
template <class F>
void each_record(void* packed, const F& f) {
  const auto* head = static_cast<const PackedT2*>(packed);
  char* record = static_cast<char*>(packed) + sizeof(PackedT2);
  for (int64_t c = 0; c < head->out_c; c += head->block_c, record += head->record_bytes)
    f(record, c, at_most(head->block_c, head->out_c - c));
}

}  // namespace

size_t packed_t2_bytes(const ConvShape& s, const BaseT2& base) {
  return sizeof(PackedT2) + static_cast<size_t>(block_count(s) * record_bytes_of(s, base));
}

void pack_t2(const ConvShape& s, const ConvS8Weights& w, const BaseT2& base, void* packed) {
  const PackedT2 head = {
      .out_c = s.out_c, .block_c = block_channels(s), .record_bytes = record_bytes_of(s, base)};
  std::memset(packed, 0, packed_t2_bytes(s, base));
  std::memcpy(packed, &head, sizeof head);
  const size_t most = base.call->packed_bytes(block_shape(s, 0));
  const std::unique_ptr<void, Freed> s8(::operator new (most, std::align_val_t{64}));
  const WeightS8Reader reader(s, w);
  each_record(packed, [&](char* record, int64_t first, int64_t) {
    const ConvShape own = block_shape(s, first / head.block_c);
    const ConvS8Weights weights = {.data = reader.data + first * reader.oc_stride,
                                   .oc_stride = reader.oc_stride,
                                   .ic_stride = reader.ic_stride,
                                   .kh_stride = reader.kh_stride,
                                   .kw_stride = reader.kw_stride};
    base.call->pack(own, weights, s8.get());
    const PackedS8View view = view_packed(s8.get());
    const int64_t before =
        reinterpret_cast<const char*>(view.weights) - static_cast<const char*>(s8.get());
    std::memcpy(record, s8.get(), static_cast<size_t>(before));
    const int64_t bytes = static_cast<int64_t>(base.call->packed_bytes(own)) - before;
    auto* codes = reinterpret_cast<uint8_t*>(record + kRecordHead);
    if (base.weight_bytes == 1)
      encode(view.weights, bytes, codes);
    else
      encode(reinterpret_cast<const int16_t*>(view.weights), bytes / 2, codes);
  });
}

void set_bias_t2(void* packed, const int32_t* bias, int x_zero) {
  each_record(packed, [&](char* record, int64_t first, int64_t) {
    set_bias(record, bias != nullptr ? bias + first : nullptr, x_zero);
  });
}

void set_multipliers_t2(void* packed, const float* multipliers, int64_t count) {
  each_record(packed, [&](char* record, int64_t first, int64_t channels) {
    set_multipliers(record, count == 1 ? multipliers : multipliers + first,
                    count == 1 ? 1 : channels);
  });
}

}  // namespace lapidary::kernels
