#pragma once

#include "lapidary/runtime.h"

namespace lapidary {

/// True where `isa` is usable and not above the cap: an ISA is below a cap if the cap's CPU would
/// have it (avx2 under avx512; avxvnni only under avxvnni itself, which is not part of avx512vnni).
bool isa_enabled(Isa isa);

}  // namespace lapidary
