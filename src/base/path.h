#pragma once

#include <string>

#include "lapidary/export.h"

namespace lapidary {

/// `~`, `~/x` and `${VAR}` expanded; a relative result starts at `base_dir` (empty: left as it is).
/// Throws Error{kUsage} where a variable is not set or a `${` not closed.
LAPIDARY_API std::string expand_path(const std::string& path, const std::string& base_dir);

}  // namespace lapidary
