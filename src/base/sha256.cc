#include "src/base/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "src/base/file.h"
#include "src/base/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lapidary {

namespace {

// First 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2).
constexpr std::array<uint32_t, 64> kRoundConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t load_big_endian(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | uint32_t{p[3]};
}

#if defined(__x86_64__)

bool cpu_has_sha() {
  static const bool kHas = [] {
    unsigned a = 7, b = 0, c = 0, d = 0;  // CPUID.(7,0):EBX[29]
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (b >> 29 & 1u) != 0;
  }();
  return kHas;
}

/// Two rounds an instruction on the state as ABEF and CDGH (A and C in the highest lane), four
/// words of the message schedule at a time.
__attribute__((target("sha,sse4.1"))) void compress_sha(std::array<uint32_t, 8>& state,
                                                        const uint8_t* blocks, size_t count) {
  const auto* words = reinterpret_cast<const __m128i*>(kRoundConstants.data());
  auto* stored = reinterpret_cast<__m128i*>(state.data());
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(stored), 0xB1);
  const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(stored + 1), 0x1B);
  __m128i abef = _mm_alignr_epi8(badc, hgfe, 8);
  __m128i cdgh = _mm_blend_epi16(hgfe, badc, 0xF0);
  for (; count > 0; --count, blocks += 64) {
    const __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4] = {};  // words t - 16 to t - 1
    for (int group = 0; group < 16; ++group) {
      __m128i next;
      if (group < 4) {
        const auto* at = reinterpret_cast<const __m128i*>(blocks) + group;
        next = _mm_shuffle_epi8(_mm_loadu_si128(at), big_endian);
      } else {
        const __m128i sum =
            _mm_add_epi32(_mm_sha256msg1_epu32(w[0], w[1]), _mm_alignr_epi8(w[3], w[2], 4));
        next = _mm_sha256msg2_epu32(sum, w[3]);
      }
      w[0] = w[1], w[1] = w[2], w[2] = w[3], w[3] = next;
      const __m128i keyed = _mm_add_epi32(next, _mm_loadu_si128(words + group));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, keyed);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(keyed, 0x0E));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i abef_reversed = _mm_shuffle_epi32(abef, 0x1B);
  const __m128i ghcd = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128(stored, _mm_blend_epi16(abef_reversed, ghcd, 0xF0));
  _mm_storeu_si128(stored + 1, _mm_alignr_epi8(ghcd, abef_reversed, 8));
}

#endif

}  // namespace

void Sha256::compress(const uint8_t* blocks, size_t count) {
#if defined(__x86_64__)
  if (cpu_has_sha() && isa_enabled(Isa::kAvx2)) return compress_sha(state_, blocks, count);
#endif
  std::array<uint32_t, 64> w;
  for (; count > 0; --count, blocks += 64) {
    for (size_t t = 0; t < 16; ++t) w[t] = load_big_endian(blocks + 4 * t);
    for (size_t t = 16; t < 64; ++t) {
      const uint32_t x = w[t - 15], y = w[t - 2];
      const uint32_t s0 = std::rotr(x, 7) ^ std::rotr(x, 18) ^ (x >> 3);
      const uint32_t s1 = std::rotr(y, 17) ^ std::rotr(y, 19) ^ (y >> 10);
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (size_t t = 0; t < 64; ++t) {
      const uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const uint32_t choice = (e & f) ^ (~e & g);
      const uint32_t t1 = h + s1 + choice + kRoundConstants[t] + w[t];
      const uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + s0 + majority;
    }
    const std::array<uint32_t, 8> step = {a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < 8; ++i) state_[i] += step[i];
  }
}

void Sha256::update(const void* data, size_t bytes) {
  const auto* p = static_cast<const uint8_t*>(data);
  const size_t held = size_bytes_ % 64;
  size_bytes_ += bytes;
  if (held > 0) {
    const size_t taken = std::min(bytes, 64 - held);
    if (taken > 0) std::memcpy(block_.data() + held, p, taken);
    p += taken, bytes -= taken;
    if (held + taken < 64) return;
    compress(block_.data(), 1);
  }
  compress(p, bytes / 64);
  const size_t rest = bytes % 64;
  if (rest > 0) std::memcpy(block_.data(), p + (bytes - rest), rest);
}

std::array<uint8_t, 32> Sha256::digest() {
  // Padding (5.1.1): 0x80, zeros up to 56 mod 64, then the length in bits, big-endian.
  const uint64_t size_bits = size_bytes_ * 8;
  std::array<uint8_t, 72> padding = {0x80};
  const size_t zeros_end = (size_bytes_ % 64 < 56 ? 56 : 120) - size_bytes_ % 64;
  for (size_t i = 0; i < 8; ++i)
    padding[zeros_end + i] = static_cast<uint8_t>(size_bits >> (56 - 8 * i));
  update(padding.data(), zeros_end + 8);
  std::array<uint8_t, 32> out;
  for (size_t i = 0; i < 32; ++i)
    out[i] = static_cast<uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
  return out;
}

std::string Sha256::hex() {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (uint8_t byte : digest()) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_file(const std::string& path) {
  const RandomAccessFile file(path);
  std::vector<uint8_t> buffer(size_t{1} << 18);
  Sha256 hash;
  for (int64_t at = 0; at < file.size_bytes();) {
    const int64_t step = std::min(file.size_bytes() - at, static_cast<int64_t>(buffer.size()));
    file.read_at(at, buffer.data(), static_cast<size_t>(step));
    hash.update(buffer.data(), static_cast<size_t>(step));
    at += step;
  }
  return hash.hex();
}

}  // namespace lapidary
