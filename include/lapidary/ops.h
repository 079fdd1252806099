#pragma once

#include <string>
#include <vector>

#include "lapidary/export.h"

namespace lapidary {

/// What the toolkit can do with an op: a line of `lapidary list ops`.
struct OpSupport {
  std::string domain, name;
  std::vector<int> versions;
  bool shape = false, reference = false, quantize = false;
};
LAPIDARY_API std::vector<OpSupport> list_ops();

}  // namespace lapidary
