#include "src/base/path.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "lapidary/error.h"

namespace lapidary {
namespace {

std::string refused(const std::string& path) {
  try {
    return "expanded to " + expand_path(path, "");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.what();
  }
}

TEST(ExpandPath, HomeVariablesAndBase) {
  ::setenv("HOME", "/home/me", 1);
  ::setenv("LAPIDARY_TEST_DATA", "/data", 1);
  EXPECT_EQ(expand_path("~/x", "/base"), "/home/me/x");
  EXPECT_EQ(expand_path("${LAPIDARY_TEST_DATA}/x${LAPIDARY_TEST_DATA}", ""), "/data/x/data");
  EXPECT_EQ(expand_path("x/y", "/base"), "/base/x/y");
  EXPECT_EQ(expand_path("../y", "/base/z"), "/base/y");
  EXPECT_EQ(expand_path("x/~", ""), "x/~");
  EXPECT_EQ(expand_path("a$b", ""), "a$b");
}

TEST(ExpandPath, RefusesWhatItCannotExpand) {
  EXPECT_EQ(refused("${LAPIDARY_TEST_ABSENT}/x"),
            "'${LAPIDARY_TEST_ABSENT}/x': the variable LAPIDARY_TEST_ABSENT is not set");
  EXPECT_EQ(refused("x/${open"), "'x/${open': a ${ is not closed by }");
}

}  // namespace
}  // namespace lapidary
