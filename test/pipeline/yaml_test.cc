#include "src/pipeline/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lapidary {
namespace {

using testing::HasSubstr;

std::string refusal(std::string_view text) {
  try {
    parse_yaml(text, "file.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.what();
  }
  return "accepted";
}

TEST(Yaml, PlacesOfKeysAndValues) {
  const Setting s = parse_yaml("a: 1\nb:\n  c: [x, 'y']\n", "file.yaml");
  ASSERT_EQ(s.entries.size(), 2u);
  EXPECT_EQ(s.find("a")->where(), "file.yaml:1:4");
  EXPECT_EQ(s.find("b")->key_where(), "file.yaml:2:1");
  const Setting& list = *s.find("b")->find("c");
  ASSERT_EQ(list.items.size(), 2u);
  EXPECT_FALSE(list.items[0].quoted);
  EXPECT_TRUE(list.items[1].quoted);
}

TEST(Yaml, NullsAndQuotedNulls) {
  const Setting s = parse_yaml("a: ~\nb: null\nc: \"null\"\nd:\n", "");
  EXPECT_EQ(s.find("a")->kind, Setting::Kind::kNull);
  EXPECT_EQ(s.find("b")->kind, Setting::Kind::kNull);
  EXPECT_EQ(s.find("c")->kind, Setting::Kind::kScalar);
  EXPECT_EQ(s.find("d")->kind, Setting::Kind::kNull);
}

TEST(Yaml, AliasesStandForWhatTheyName) {
  const Setting s = parse_yaml("a: &x {k: 1}\nb: *x\n", "");
  EXPECT_EQ(s.find("b")->find("k")->text, "1");
}

TEST(Yaml, Refusals) {
  EXPECT_THAT(refusal("a: \"open\nb: 2\n"), HasSubstr("never closed"));
  EXPECT_THAT(refusal("a: 'it''s open\n"), HasSubstr("never closed"));
  EXPECT_THAT(refusal("a: 1\n---\nb: 2\n"), HasSubstr("second document"));
  EXPECT_THAT(refusal("a: &x [*x]\n"), HasSubstr("file.yaml"));
  EXPECT_THAT(refusal(std::string_view("a: 1\0", 5)), HasSubstr("NUL"));
  EXPECT_THAT(refusal("a: \xff\n"), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal("? [a, b]\n: 1\n"), HasSubstr("key"));
  EXPECT_THAT(refusal("\ta: 1\n"), HasSubstr("file.yaml:1"));
  EXPECT_THAT(refusal(std::string(70, '[') + std::string(70, ']')), HasSubstr("64 levels"));
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
}

TEST(Yaml, InlineTextsAreYamlWhereTheyBeginLikeIt) {
  const auto json = [](const char* text) { return write_json(parse_inline(text, "--x")); };
  EXPECT_EQ(json("cosine"), R"("cosine")");
  EXPECT_EQ(json("1e-3"), R"("1e-3")");
  EXPECT_EQ(json("${HOME}/data.yaml"), R"("${HOME}/data.yaml")");
  EXPECT_EQ(json(" {step: {every: 0.3}}"), R"({"step":{"every":0.3}})");
  EXPECT_EQ(json("[ce, {kd: {temperature: 2}}]"), R"(["ce",{"kd":{"temperature":2}}])");
  EXPECT_THROW(parse_inline("[ce, {kd", "--x"), Error);
}

TEST(Yaml, WrittenYamlReadsBackTheSame) {
  const std::string text =
      "a: 1\nb: \"yes\"\nc: {d: [1.5, \"2\", null], e: \"x: y\"}\nf:\n  - {g: true}\n  - {h: "
      "\"\"}\n";
  const Setting once = parse_yaml(text, "");
  const Setting again = parse_yaml(write_yaml(once), "");
  EXPECT_EQ(write_json(once), write_json(again));
  EXPECT_EQ(write_json(once),
            R"({"a":1,"b":"yes","c":{"d":[1.5,"2",null],"e":"x: y"},"f":[{"g":true},{"h":""}]})");
}

}  // namespace
}  // namespace lapidary
