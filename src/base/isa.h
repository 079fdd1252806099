#pragma once

#include <span>
#include <string>
#include <string_view>

#include "lapidary/export.h"

namespace lapidary {

/// Instruction sets that kernels are written for, weakest first within a family.
enum class Isa { kScalar, kAvx2, kAvxVnni, kAvx512, kAvx512Vnni, kAvx512Bf16, kNeon, kNeonDot, kNeonI8mm };

/// "scalar", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "neon", "neondot", "neoni8mm".
LAPIDARY_API std::string_view isa_name(Isa isa);
/// Throws Error{kUsage} with the closest names.
LAPIDARY_API Isa isa_from_name(std::string_view name);
std::span<const Isa> all_isas();

/// True where this CPU (and its operating system) runs `isa`.
bool cpu_has(Isa isa);
/// True where `isa` is usable and not above the cap: an ISA is below a cap if the cap's CPU would have
/// it (avx2 under avx512; avxvnni only under avxvnni itself, which is not part of avx512vnni).
bool isa_enabled(Isa isa);
/// The cap: LAPIDARY_ISA at first use, or `set_isa_cap`. Throws Error{kUsage} for an unknown name or
/// one that the CPU lacks.
LAPIDARY_API Isa isa_cap();
LAPIDARY_API void set_isa_cap(Isa cap);
/// The best enabled ISA.
Isa best_isa();

}  // namespace lapidary
