#include "tools/wait_policy.h"

#include <unistd.h>

#include <cstdlib>

namespace lapidary::cli {

void wait_briefly(char** argv) {
  constexpr const char* kSpinCount = "2000";  // some 0.1 ms: longer than between two layers
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  if (setenv("GOMP_SPINCOUNT", kSpinCount, 1) != 0) return;
  execv("/proc/self/exe", argv);  // comes back only where it failed: then the default stays
}

}  // namespace lapidary::cli
