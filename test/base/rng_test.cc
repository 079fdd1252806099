#include "src/base/rng.h"

#include <gtest/gtest.h>

#include "lapidary/export.h"

namespace lapidary {
namespace {

/// splitmix64 and Box-Muller written once more in Python, seed 7.
TEST(Rng, NormalNumbersAreThoseOfBoxAndMuller) {
  Rng rng(7);
  for (const double expected : {0.9884743323187353, -1.8642558067312274, 0.00392020721518934})
    EXPECT_NEAR(rng.normal(), expected, 1e-14);
}

}  // namespace
}  // namespace lapidary
