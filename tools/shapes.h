#pragma once

#include <string>
#include <vector>

#include "tools/cli.h"

namespace lapidary::cli {

/// --shape NAME=SIZES, for parse_shapes: of an input, x=1x3x224x224, or of a symbol, N=8. `purpose`
/// begins the help.
void add_shapes(CLI::App& command, std::vector<std::string>& shapes, const std::string& purpose);

}  // namespace lapidary::cli
