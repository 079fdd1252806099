#include "src/base/isa.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "src/base/parallel.h"

namespace lapidary {
namespace {

TEST(Isa, EveryThreadSeesOneCap) {
  const Isa cap = isa_cap();
  std::vector<Isa> seen(8);
  std::vector<std::thread> threads;
  for (Isa& isa : seen) threads.emplace_back([&isa] { isa = isa_cap(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen, std::vector<Isa>(8, cap));
  EXPECT_TRUE(isa_enabled(cap));
  EXPECT_TRUE(isa_enabled(Isa::kScalar));
}

// AArch64 has NEON by definition; no CPU has the instructions of both.
TEST(Isa, TheCpuHasThoseOfItsArchitecture) {
#if defined(__aarch64__)
  EXPECT_TRUE(cpu_has(Isa::kNeon));
  EXPECT_FALSE(cpu_has(Isa::kAvx2));
  EXPECT_FALSE(cpu_has(Isa::kAvxVnni));
  EXPECT_NE(isa_cap(), Isa::kScalar);
#else
  for (const Isa isa : {Isa::kNeon, Isa::kNeonDot, Isa::kNeonI8mm}) EXPECT_FALSE(cpu_has(isa));
#endif
}

TEST(Isa, TheCapBoundsWhatIsEnabled) {
  const Isa before = isa_cap();
  set_isa_cap(Isa::kScalar);
  for (const Isa isa : all_isas()) EXPECT_EQ(isa_enabled(isa), isa == Isa::kScalar);
  set_isa_cap(before);
  EXPECT_EQ(isa_cap(), before);
}

TEST(ThreadCount, IsWhatWasSet) {
  const int before = thread_count();
  set_thread_count(before + 1);
  EXPECT_EQ(thread_count(), before + 1);
  set_thread_count(0);
  EXPECT_GE(thread_count(), 1);
}

}  // namespace
}  // namespace lapidary
