#include "src/base/isa.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <vector>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

struct Row {
  Isa isa;
  std::string_view name;
  std::vector<Isa> includes;  // what a machine of this kind also runs
};

const std::array<Row, 10>& rows() {
  using enum Isa;
  static const std::array<Row, 10> kRows = {{
      {kScalar, "scalar", {}},
      {kAvx2, "avx2", {}},
      {kAvxVnni, "avxvnni", {kAvx2}},
      {kAvx512, "avx512", {kAvx2}},
      {kAvx512Vnni, "avx512vnni", {kAvx2, kAvx512}},
      {kAvx512Bf16, "avx512bf16", {kAvx2, kAvxVnni, kAvx512, kAvx512Vnni}},
      {kAvx512Vpopcntdq, "avx512vpopcntdq", {kAvx2, kAvxVnni, kAvx512, kAvx512Vnni, kAvx512Bf16}},
      {kNeon, "neon", {}},
      {kNeonDot, "neondot", {kNeon}},
      {kNeonI8mm, "neoni8mm", {kNeon, kNeonDot}},
  }};
  return kRows;
}

constexpr int kUnset = -1;
std::atomic<int> chosen_cap = kUnset;  // an Isa

std::atomic<bool> vbmi_allowed = true;

Isa checked_cap(Isa cap) {
  if (!cpu_has(cap)) fail_usage("this CPU has no {}", isa_name(cap));
  return cap;
}

Isa default_cap() {
  const char* asked = std::getenv("LAPIDARY_ISA");
  if (asked != nullptr && *asked != '\0') return checked_cap(isa_from_name(asked));
  Isa best = Isa::kScalar;
  for (const Row& row : rows())
    if (cpu_has(row.isa)) best = row.isa;
  return best;
}

}  // namespace

std::string_view isa_name(Isa isa) {
  return std::find_if(rows().begin(), rows().end(), [&](const Row& r) { return r.isa == isa; })
      ->name;
}

Isa isa_from_name(std::string_view name) {
  std::vector<std::string> names;
  for (const Row& row : rows()) {
    if (row.name == name) return row.isa;
    names.emplace_back(row.name);
  }
  fail_usage("no ISA is called '{}'; there are {}{}", name, fmt::join(names, ", "),
             did_you_mean(name, names));
}

std::span<const Isa> all_isas() {
  static const std::vector<Isa> kAll = [] {
    std::vector<Isa> all;
    for (const Row& row : rows()) all.push_back(row.isa);
    return all;
  }();
  return kAll;
}

bool cpu_has(Isa isa) {
  if (isa == Isa::kScalar) return true;
#if defined(__x86_64__)
  switch (isa) {
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c");
    case Isa::kAvxVnni: {
      unsigned a = 7, b = 0, c = 1, d = 0;  // CPUID.(7,1):EAX[4]
      __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
      return cpu_has(Isa::kAvx2) && (a >> 4 & 1u);
    }
    case Isa::kAvx512:
      return cpu_has(Isa::kAvx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq");
    case Isa::kAvx512Vnni:
      return cpu_has(Isa::kAvx512) && __builtin_cpu_supports("avx512vnni");
    case Isa::kAvx512Bf16:
      return cpu_has(Isa::kAvx512Vnni) && __builtin_cpu_supports("avx512bf16");
    case Isa::kAvx512Vpopcntdq:
      return cpu_has(Isa::kAvx512Vnni) && __builtin_cpu_supports("avx512vpopcntdq");
    default:
      return false;
  }
#elif defined(__aarch64__)
  switch (isa) {
    case Isa::kNeon:
      return (getauxval(AT_HWCAP) & HWCAP_ASIMD) != 0;
    case Isa::kNeonDot:
      return cpu_has(Isa::kNeon) && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    case Isa::kNeonI8mm:
      return cpu_has(Isa::kNeonDot) && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
    default:
      return false;
  }
#else
  return false;
#endif
}

Isa isa_cap() {
  int cap = chosen_cap.load();
  if (cap == kUnset) {
    const int found = static_cast<int>(default_cap());
    // Where another thread set one meanwhile, `cap` becomes that one.
    if (chosen_cap.compare_exchange_strong(cap, found)) cap = found;
  }
  return static_cast<Isa>(cap);
}

void set_isa_cap(Isa cap) { chosen_cap = static_cast<int>(checked_cap(cap)); }

bool vbmi_enabled() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512vbmi") && vbmi_allowed.load(std::memory_order_relaxed);
#else
  return false;
#endif
}

void allow_vbmi(bool allowed) { vbmi_allowed = allowed; }

bool isa_enabled(Isa isa) {
  if (!cpu_has(isa)) return false;
  const Isa cap = isa_cap();
  if (isa == cap || isa == Isa::kScalar) return true;
  const auto row =
      std::find_if(rows().begin(), rows().end(), [&](const Row& r) { return r.isa == cap; });
  return std::find(row->includes.begin(), row->includes.end(), isa) != row->includes.end();
}

}  // namespace lapidary
