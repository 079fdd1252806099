#pragma once

#include "lapidary/binarize.h"
#include "lapidary/qat.h"

namespace lapidary {

/// Of the integer layers beside binary ones.
QatOptions qat_options(const BinarizeOptions& options);

}  // namespace lapidary
