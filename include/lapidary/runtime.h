#pragma once

#include <span>
#include <string_view>

#include "lapidary/export.h"

namespace lapidary {

// What the process runs on: its threads, and the instruction sets of its kernels.

/// Threads that this process uses: the number of CPUs that it may run on, or what
/// `set_thread_count` said.
LAPIDARY_API int thread_count();
/// 0 restores the default. Throws Error{kUsage} outside 0..1024.
LAPIDARY_API void set_thread_count(int threads);

/// Instruction sets that kernels are written for, weakest first within a family.
enum class Isa {
  kScalar,
  kAvx2,
  kAvxVnni,
  kAvx512,
  kAvx512Vnni,
  kAvx512Bf16,
  kAvx512Vpopcntdq,
  kNeon,
  kNeonDot,
  kNeonI8mm,
};

/// All of them, in the order of the enumeration.
LAPIDARY_API std::span<const Isa> all_isas();
/// "scalar", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "avx512vpopcntdq",
/// "neon", "neondot", "neoni8mm".
LAPIDARY_API std::string_view isa_name(Isa isa);
/// Throws Error{kUsage} with the closest names.
LAPIDARY_API Isa isa_from_name(std::string_view name);
/// True where this CPU (and its operating system) runs `isa`.
LAPIDARY_API bool cpu_has(Isa isa);

/// The best instruction set that kernels may use: the environment's LAPIDARY_ISA at first use, what
/// `set_isa_cap` said, or the CPU's best. Throws Error{kUsage} where LAPIDARY_ISA is an unknown
/// name or one that the CPU lacks.
LAPIDARY_API Isa isa_cap();
/// For kernels chosen from now on (an Executor chooses when it first runs inputs of some shapes);
/// integer results do not depend on it. Throws Error{kUsage} for one that the CPU lacks.
LAPIDARY_API void set_isa_cap(Isa cap);

}  // namespace lapidary
