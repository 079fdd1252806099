#pragma once

#include <map>
#include <string>
#include <vector>

namespace lapidary {

/// Parameters of a loss or schedule by name: one number each, or a list.
using Numbers = std::map<std::string, std::vector<double>>;
/// A row of a list of losses, schedules, ...
struct NamedHelp {
  std::string name, help;
};

}  // namespace lapidary
