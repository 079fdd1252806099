#include "src/ir/patterns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lapidary/error.h"

namespace lapidary {
namespace {

using testing::HasSubstr;

Graph relu_chain() {
  Graph g;
  const ValueId x = g.add_value("x", {DType::kF32, {}}), y = g.add_value("y", {DType::kF32, {}});
  g.add_node({.op = "Relu", .name = "first", .inputs = {x}, .outputs = {y}});
  return g;
}

std::string refusal(const std::string& pattern) {
  try {
    match_nodes(relu_chain(), pattern);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.what();
  }
  return "matched";
}

TEST(Patterns, ProposalsArePatternsThatWork) {
  EXPECT_THAT(refusal("op:Rela"), HasSubstr("did you mean 'op:Relu'?"));
  EXPECT_THAT(refusal("Relu"), HasSubstr("did you mean 'op:Relu'?"));
  EXPECT_THAT(refusal("fist"), HasSubstr("did you mean 'first'?"));
  EXPECT_EQ(refusal("op:Relu"), "matched");
  EXPECT_EQ(refusal("fir*"), "matched");
}

}  // namespace
}  // namespace lapidary
