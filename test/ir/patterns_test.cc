#include "src/ir/patterns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lapidary/error.h"

namespace lapidary {
namespace {

using testing::HasSubstr;

Graph relu_chain() {
  Graph g;
  ValueId x = g.add_value("x", {DType::kF32, {}});
  for (const char* name : {"first", "block_1_conv_expand_projection_relu"}) {
    const ValueId y = g.add_value(std::string(name) + "_out", {DType::kF32, {}});
    g.add_node({.op = "Relu", .name = name, .inputs = {x}, .outputs = {y}});
    x = y;
  }
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
  EXPECT_THAT(refusal("block_1_conv"), HasSubstr("mean 'block_1_conv_expand_projection_relu'?"));
}

// By what stands between the wildcards, not by the names' lengths.
TEST(Patterns, TheNearestNamesOfAGlob) {
  EXPECT_THAT(refusal("*blok_1*rela"),
              HasSubstr("names are 'block_1_conv_expand_projection_relu', 'first'"));
}

}  // namespace
}  // namespace lapidary
