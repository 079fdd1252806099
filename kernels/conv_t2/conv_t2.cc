#include "kernels/conv_t2/conv_t2.h"

#include "kernels/conv_t2/run.h"
#include "kernels/families.h"
#include "kernels/work.h"
#include "src/base/fail.h"

namespace lapidary::kernels {

extern const ConvS8Functions conv_s8_scalar;

namespace {

struct ScalarT2 {
  static constexpr const ConvS8Functions& kCall = conv_s8_scalar;
  using Weight = int8_t;
  static void expand(const uint8_t* codes, int64_t groups, int8_t* to) {
    for (int64_t i = 0; i < groups * kCodeGroup; ++i) {
      const int64_t in_group = i % kCodeGroup;
      const uint8_t byte = codes[i / kCodeGroup * 64 + in_group % 64];
      to[i] = static_cast<int8_t>((byte >> in_group / 64 * 2 & 3) - 1);
    }
  }
};
using Rows = ConvT2<ScalarT2>;

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ConvT2Functions name;
#include "kernels/conv_t2/kernels.def"
#undef LAPIDARY_KERNEL

const ConvT2Functions conv_t2_scalar = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                        Rows::pack, Rows::run};

std::span<const ConvT2Kernel> conv_t2_kernels() {
  static const ConvT2Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"conv_t2", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/conv_t2/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> conv_t2_rows() { return rows_of(conv_t2_kernels()); }

Choice<ConvT2Kernel> select_conv_t2(const ConvShape& s) {
  LAPIDARY_CHECK(s.groups == 1);
  return choose(conv_t2_kernels());
}

void run_conv_t2(const ConvT2Kernel& kernel, const ConvT2Args& args, int threads) {
  run_split(kernel, args, threads);
}

size_t scratch_bytes(const ConvT2Kernel& kernel, const ConvShape& shape, int threads) {
  return split_scratch_bytes(kernel, shape, threads);
}

}  // namespace lapidary::kernels
