#include "tools/shapes.h"

namespace lapidary::cli {

void add_shapes(CLI::App& command, std::vector<std::string>& shapes, const std::string& purpose) {
  command.add_option("--shape", shapes,
                     purpose + " of a symbolic input, x=1x3x224x224, or of a symbol, N=8");
}

}  // namespace lapidary::cli
