#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "distill/distill_spec.h"
#include "test/distill/nets.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Setting names(const std::vector<std::string>& all) {
  return FieldCodec<std::vector<std::string>>::format(all);
}
Setting with(const std::string& kind, std::vector<std::pair<std::string, Setting>> params) {
  return Setting::map({{kind, Setting::map(std::move(params))}});
}
Setting placed(std::string text, int line, int column) {
  Setting s = Setting::scalar(std::move(text));
  s.source = "recipe.yaml";
  s.line = line, s.column = column;
  s.key_line = line, s.key_column = 3;
  return s;
}

TEST(DistillSpec, ReadsAsARecipeWritesIt) {
  EXPECT_EQ(parse_distill(Setting::scalar("dist")).kind, "dist");
  const DistillSpec spec =
      parse_distill(with("attention", {{"power", Setting::scalar("1.5")},
                                       {"weight", Setting::scalar("1000")},
                                       {"layers", names({"a*", "b"})},
                                       {"teacher_layers", names({"c*", "d"})}}));
  EXPECT_EQ(spec.kind, "attention");
  EXPECT_EQ(spec.weight, 1000);
  EXPECT_THAT(spec.layers, ElementsAre("a*", "b"));
  EXPECT_THAT(spec.teacher_layers, ElementsAre("c*", "d"));
  EXPECT_EQ(spec.params.at("power"), std::vector<double>{1.5});
  EXPECT_THAT(parse_distill(with("hint", {{"layers", Setting::scalar("one")}})).layers,
              ElementsAre("one"));
  EXPECT_EQ(parse_distill(Setting::map({{"kd", Setting{}}})).kind, "kd");
}

TEST(DistillSpec, IsWrittenAsItIsRead) {
  const DistillSpec spec{.kind = "dkd",
                         .weight = 0.25,
                         .layers = {"a"},
                         .teacher_layers = {"b"},
                         .params = {{"alpha", {2}}, {"axis", {1}}}};
  const DistillSpec again = parse_distill(FieldCodec<DistillSpec>::format(spec));
  EXPECT_EQ(again.kind, spec.kind);
  EXPECT_EQ(again.weight, spec.weight);
  EXPECT_EQ(again.layers, spec.layers);
  EXPECT_EQ(again.teacher_layers, spec.teacher_layers);
  EXPECT_EQ(again.params, spec.params);
}

TEST(DistillSpec, WhatIsWrongIsSaidWithItsPlace) {
  const auto of = [](const Setting& s) { return error_of([&] { parse_distill(s); }); };
  EXPECT_THAT(of(placed("atention", 4, 9)),
              testing::AllOf(HasSubstr("recipe.yaml:4:9"), HasSubstr("did you mean 'attention'")));
  EXPECT_THAT(
      of(with("kd", {{"temprature", placed("2", 5, 18)}})),
      testing::AllOf(HasSubstr("recipe.yaml:5:3"), HasSubstr("did you mean 'temperature'")));
  EXPECT_THAT(of(with("kd", {{"wieght", placed("2", 5, 18)}})), HasSubstr("did you mean 'weight'"));
  EXPECT_THAT(of(with("kd", {{"temperature", placed("1000", 6, 18)}})),
              testing::AllOf(HasSubstr("recipe.yaml:6:18"), HasSubstr("0.01..100")));
  EXPECT_THAT(of(with("kd", {{"axis", placed("1.5", 6, 11)}})), HasSubstr("a decimal integer"));
  EXPECT_THAT(of(with("kd", {{"weight", placed("much", 6, 11)}})), HasSubstr("a finite number"));
  EXPECT_THAT(of(Setting::map({{"kd", placed("2", 7, 7)}})),
              testing::AllOf(HasSubstr("recipe.yaml:7:7"), HasSubstr("a map of settings")));
  EXPECT_THAT(of(names({"kd"})), HasSubstr("is a name, or {NAME: {...}}"));
}

}  // namespace
}  // namespace lapidary
