#include "kernels/probe/probe.h"

#include <cstring>

#include "kernels/families.h"

namespace lapidary::kernels {

namespace {

constexpr int kSums = 32;

/// The operand changes with the round: a product that does not would be taken out of the loop.
template <class Sum, class A, class B>
double run(const void* a, const void* b, int64_t rounds) {
  constexpr int64_t kElements = 64 / static_cast<int64_t>(sizeof(A));
  const A* x = static_cast<const A*>(a);
  const B* w = static_cast<const B*>(b);
  Sum sums[kSums] = {};
  for (int64_t r = 0; r < rounds; ++r)
    for (int i = 0; i < kSums; ++i)
      sums[i] += static_cast<Sum>(x[r % kElements]) * static_cast<Sum>(w[i % kElements]);
  double total = 0;
  for (const Sum& sum : sums) total += static_cast<double>(sum);
  return total;
}

uint64_t read(const void* x, int64_t bytes) {
  const char* at = static_cast<const char*>(x);
  uint64_t all[8] = {};
  for (int64_t i = 0; i < bytes; i += 64)
    for (int64_t word = 0; word < 8; ++word) {
      uint64_t v;
      std::memcpy(&v, at + i + 8 * word, 8);
      all[word] ^= v;
    }
  uint64_t folded = 0;
  for (const uint64_t v : all) folded ^= v;
  return folded;
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ProbeFunctions name;
#include "kernels/probe/kernels.def"
#undef LAPIDARY_KERNEL

const ProbeFunctions probe_scalar = {.int8 = {kSums, run<int32_t, uint8_t, int8_t>},
                                     .f32 = {kSums, run<float, float, float>},
                                     .read = read};

std::span<const ProbeKernel> probe_kernels() {
  static const ProbeKernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"probe", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/probe/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> probe_rows() { return rows_of(probe_kernels()); }

}  // namespace lapidary::kernels
