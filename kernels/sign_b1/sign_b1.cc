#include "kernels/sign_b1/sign_b1.h"

#include "kernels/families.h"

namespace lapidary::kernels {

namespace {

void run(const SignB1Args& p) {
  const int64_t words = b1_words(p.channels), end = p.end < 0 ? p.batch * p.pixels : p.end;
  for (int64_t pixel = p.begin; pixel < end; ++pixel) {
    const int64_t image = pixel / p.pixels * p.pixels * p.channels, at = pixel % p.pixels;
    for (int64_t w = 0; w < words; ++w) {
      uint32_t word = ~uint32_t{0};
      for (int64_t c = 32 * w; c < 32 * w + 32 && c < p.channels; ++c) {
        const float x = p.x[image + (p.planar ? c * p.pixels + at : at * p.channels + c)];
        if (!(x >= 0)) word ^= uint32_t{1} << (c % 32);
      }
      p.y[pixel * words + w] = word;
    }
  }
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const SignB1Functions name;
#include "kernels/sign_b1/kernels.def"
#undef LAPIDARY_KERNEL

const SignB1Functions sign_b1_scalar = {run};

std::span<const SignB1Kernel> sign_b1_kernels() {
  static const SignB1Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"sign_b1", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/sign_b1/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> sign_b1_rows() { return rows_of(sign_b1_kernels()); }

Choice<SignB1Kernel> select_sign_b1() { return choose(sign_b1_kernels()); }

}  // namespace lapidary::kernels
