#pragma once

#include "lapidary/runtime.h"

namespace lapidary {

/// True where `isa` is usable and not above the cap: an ISA is below a cap if the cap's CPU would
/// have it (avx2 under avx512; avxvnni only under avxvnni itself, which is not part of avx512vnni).
bool isa_enabled(Isa isa);

/// AVX512-VBMI, which rows for kAvx512Vnni look tables up with where the CPU has it: VNNI does not
/// imply it (Cascade Lake). False also after allow_vbmi(false), with which tests reach what those
/// rows do elsewhere.
bool vbmi_enabled();
void allow_vbmi(bool allowed);

}  // namespace lapidary
