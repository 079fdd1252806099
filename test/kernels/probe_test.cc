#include "kernels/probe/probe.h"

#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

class ProbeRow : public testing::TestWithParam<ProbeKernel> {};

TEST_P(ProbeRow, DoesTheWorkThatItCounts) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const ProbeFunctions& f = *GetParam().call;
  for (const int64_t rounds : {1, 2, 7, 100}) {
    const auto sum = [&](const ProbeLoop& loop) {  // of products of 2 and 3
      return static_cast<double>(rounds * loop.macs) * 6;
    };
    if (f.int8.run != nullptr) {
      const Array<uint8_t> a(64, 2);
      const Array<int8_t> b(64, -3);
      EXPECT_EQ(f.int8.run(a.data(), b.data(), rounds), -sum(f.int8));
    }
    if (f.f32.run != nullptr) {
      const Array<float> a(16, 2.0f), b(16, 3.0f);
      EXPECT_EQ(f.f32.run(a.data(), b.data(), rounds), sum(f.f32));
    }
    if (f.bf16.run != nullptr) {
      const Array<uint16_t> a(32, 0x4000), b(32, 0x4040);  // the upper halves of 2.0f and 3.0f
      EXPECT_EQ(f.bf16.run(a.data(), b.data(), rounds), sum(f.bf16));
    }
  }
}

TEST_P(ProbeRow, ReadsEveryWordOnce) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  if (GetParam().call->read == nullptr) return;
  for (const int64_t words : {8, 16, 64, 72, 4096}) {
    Array<uint64_t> x(words, 0x0123456789ABCDEFull);  // an even number of them: 0
    EXPECT_EQ(GetParam().call->read(x.data(), words * 8), 0u);
    for (const int64_t at : {int64_t{0}, words / 2, words - 1}) {
      x[at] ^= uint64_t{1} << (at % 64);
      EXPECT_EQ(GetParam().call->read(x.data(), words * 8), uint64_t{1} << (at % 64)) << at;
      x[at] ^= uint64_t{1} << (at % 64);
    }
  }
}

LAPIDARY_EACH_ROW(ProbeRow, probe_kernels());

}  // namespace
}  // namespace lapidary::kernels
