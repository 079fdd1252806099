#include "src/data/spec.h"

#include <cstdlib>

#include "src/data/csv.h"
#include "test/data/data_test_util.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using testing_data::error_of;

Setting text(const std::string& value) { return Setting::scalar(value); }

DatasetSpec parse(std::vector<std::pair<std::string, Setting>> entries) {
  return FieldCodec<DatasetSpec>::parse(Setting::map(std::move(entries)), Field{});
}

TEST(DatasetSpecTable, ReadsARecord) {
  const DatasetSpec spec =
      parse({{"kind", text("images")},
             {"path", text("calib")},
             {"resize", text("256")},
             {"crop", Setting::list({text("224"), text("192")})},
             {"scale", text("0.5")},
             {"mean", Setting::list({text("1"), text("2"), text("3")})},
             {"labels", text("labels.csv")},
             {"columns", Setting::map({{"label", text("class")}, {"split", text("val")}})},
             {"augment", Setting::list({Setting::map({{"flip", text("0.5")}})})},
             {"shuffle", text("true")}});
  EXPECT_THAT(spec.path, ElementsAre("calib"));
  EXPECT_THAT(spec.resize, ElementsAre(256));
  EXPECT_THAT(spec.crop, ElementsAre(224, 192));
  EXPECT_EQ(spec.scale, 0.5);
  EXPECT_THAT(spec.mean, ElementsAre(1, 2, 3));
  EXPECT_EQ(spec.columns.label, "class");
  EXPECT_EQ(spec.columns.where.at("split"), "val");
  ASSERT_EQ(spec.augment.size(), 1u);
  EXPECT_EQ(spec.augment[0].kind, "flip");
  EXPECT_TRUE(spec.shuffle);
  EXPECT_EQ(spec.filter, "bilinear");
}

TEST(DatasetSpecTable, WhatIsWrittenReadsAgain) {
  DatasetSpec spec{.kind = "images", .path = "a", .crop = {7, 9}, .letterbox = std::nullopt};
  spec.std = {0.25};
  const Setting written = unbind(dataset_fields(), &spec);
  const DatasetSpec back = FieldCodec<DatasetSpec>::parse(written, Field{});
  EXPECT_EQ(back.kind, "images");
  EXPECT_THAT(back.path, ElementsAre("a"));
  EXPECT_THAT(back.crop, ElementsAre(7, 9));
  EXPECT_THAT(back.std, ElementsAre(0.25));
  EXPECT_THAT(back.resize, IsEmpty());
  EXPECT_FALSE(back.letterbox);

  DatasetSpec several;
  several.inputs = {spec, spec};
  several.inputs[0].input = "a";
  several.inputs[1].input = "b";
  several.inputs[1].crop.clear();
  several.inputs[1].letterbox = Letterbox{{32, 48}, 0, "centre"};
  const DatasetSpec both =
      FieldCodec<DatasetSpec>::parse(unbind(dataset_fields(), &several), Field{});
  ASSERT_EQ(both.inputs.size(), 2u);
  EXPECT_EQ(both.inputs[1].input, "b");
  EXPECT_THAT(both.inputs[1].letterbox->size, ElementsAre(32, 48));
  EXPECT_EQ(both.inputs[1].letterbox->align, "centre");
}

TEST(DatasetSpecTable, MistakesAreUsageErrors) {
  const auto refused = [](DatasetSpec spec) { return error_of([&] { check_dataset(spec); }); };
  EXPECT_THAT(error_of([] {
                parse({{"kind", text("images")}, {"pth", text("x")}});
              }),
              HasSubstr("unknown key 'pth' in 'data'; did you mean 'path'"));
  EXPECT_THAT(error_of([] {
                parse({{"kind", text("imagse")}});
              }),
              HasSubstr("did you mean 'images'"));
  EXPECT_THAT(error_of([] {
                parse({{"path", text("x")}});
              }),
              StartsWith("2: a data record needs 'kind'"));
  EXPECT_THAT(refused({.kind = "cifar10"}), StartsWith("2: a data record needs 'path'"));
  EXPECT_THAT(refused({.kind = "jpeg", .path = "x"}), HasSubstr("'kind' is 'jpeg'"));
  EXPECT_THAT(refused({.kind = "raw", .path = "x"}), HasSubstr("needs 'shape'"));
  EXPECT_THAT(refused({.kind = "npy", .path = "x", .shape = {3}}), HasSubstr("for kind raw"));
  EXPECT_THAT(refused({.kind = "images", .path = "x", .layout = "nhwc"}), HasSubstr("'layout'"));
  EXPECT_THAT(refused({.kind = "images", .path = "x", .resize = {1, 2, 3}}), HasSubstr("[H, W]"));
  EXPECT_THAT(refused({.kind = "images", .path = "x", .resize = {8}, .letterbox = Letterbox{{8}}}),
              HasSubstr("contradict"));
  EXPECT_THAT(refused({.kind = "images", .path = "x", .std = {1, 0}}), HasSubstr("'std' holds 0"));
  EXPECT_THAT(refused({.kind = "images", .path = "x", .mean = {1, 2}, .std = {1, 2, 3}}),
              HasSubstr("'mean' has 2 values, 'std' has 3"));
  EXPECT_THAT(refused({.kind = "tokens", .path = "x", .scale = 2.0}), HasSubstr("tokens have no"));
  EXPECT_THAT(refused({.kind = "idx", .path = "x", .labels = "folders"}),
              HasSubstr("for kind images"));
  EXPECT_THAT(refused({.kind = "idx", .path = "x", .label_column = "y"}),
              HasSubstr("need 'labels"));
}

TEST(Csv, QuotesLineEndsAndMarks) {
  const CsvTable table = parse_csv(
      "\xEF\xBB\xBF"
      "file,label\r\n\"a,\"\"b\"\"\nc.png\", 3 \r\n\nd.png,4");
  EXPECT_THAT(table.header, ElementsAre("file", "label"));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_THAT(table.rows[0], ElementsAre("a,\"b\"\nc.png", "3"));
  EXPECT_THAT(table.rows[1], ElementsAre("d.png", "4"));
  EXPECT_THAT(table.lines, ElementsAre(2, 5));
  EXPECT_THAT(error_of([] { parse_csv("a,b\n1\n"); }),
              HasSubstr("3: line 2: 1 cells, the header has 2"));
  EXPECT_THAT(error_of([] { parse_csv("a,b\n\"1,2\n"); }), HasSubstr("a quote stays open"));
  EXPECT_THAT(error_of([] { parse_csv(""); }), HasSubstr("is empty"));
}

TEST(Csv, FindsItsColumns) {
  const CsvTable table =
      parse_csv("split,file,person\ntrain,1.jpg,0\nval,2.jpg,1\nval,3.jpg,\nval,4.jpg,-1\n");
  const auto rows = label_rows(table, {.where = {{"split", "val"}}}, "", true);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].file, "2.jpg");
  EXPECT_EQ(rows[0].index, 1);
  EXPECT_EQ(rows[0].label, 1);
  EXPECT_EQ(rows[1].label, kNoLabel);
  EXPECT_EQ(rows[2].label, kNoLabel);

  const CsvTable two = parse_csv("index,label,other\n7,1,2\n");
  EXPECT_EQ(label_rows(two, {}, "", false)[0].index, 7);
  EXPECT_EQ(label_rows(two, {}, "other", false)[0].label, 2);
  EXPECT_THAT(
      error_of([&] { label_rows(two, {}, "lable", false); }),
      HasSubstr(
          "2: has no column 'lable'; its columns are index, label, other; did you mean 'label'"));
  EXPECT_THAT(error_of([] { label_rows(parse_csv("f,a,b\nx,1,2\n"), {}, "", true); }),
              HasSubstr("3: several of its columns"));
}

}  // namespace
}  // namespace lapidary
