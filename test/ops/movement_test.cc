#include "test/ops/op_case.h"

// Expected values follow by hand from the definitions unless a comment says otherwise.

namespace lapidary {
namespace {

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr int64_t kHuge = int64_t{1} << 40;
const Dim kN = Dim::named("N"), kUnknown = Dim();

OpCase& list(OpCase& c, const std::vector<int64_t>& values) {
  return c.in<int64_t>({static_cast<int64_t>(values.size())}, values);
}

TEST(Concat, JoinsAlongAnAxis) {
  const auto concat = [](int64_t axis) {
    return OpCase("Concat")
        .in<int32_t>({2, 2}, {1, 2, 3, 4})
        .in<int32_t>({2, 2}, {5, 6, 7, 8})
        .attr("axis", axis)
        .run();
  };
  expect_tensor<int32_t>(concat(0), {4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  expect_tensor<int32_t>(concat(-1), {2, 4}, {1, 2, 5, 6, 3, 4, 7, 8});
}

TEST(Concat, Strings) {
  const Tensor out = OpCase("Concat")
                         .in(Tensor::of<std::string>({1}, {"a"}))
                         .in(Tensor::of<std::string>({2}, {"b", "c"}))
                         .attr("axis", int64_t{0})
                         .run();
  expect_tensor<std::string>(out, {3}, {"a", "b", "c"});
}

TEST(Concat, TypesAndRefusals) {
  const auto concat = [](std::vector<Dim> a, std::vector<Dim> b, int64_t axis) {
    return OpCase("Concat")
        .in_type(DType::kF32, std::move(a))
        .in_type(DType::kF32, std::move(b))
        .attr("axis", axis);
  };
  EXPECT_EQ(concat({kN, 3, 4}, {kN, 5, 4}, 1).infer(), "float32[N,8,4]");
  EXPECT_EQ(concat({kN, 3}, {2, kUnknown}, 1).infer(), "float32[2,?]");
  expect_error(concat({2, 3}, {2, 3}, 99).infer_error(), ErrorCode::kInvalid, "99");
  expect_error(concat({2, 3}, {2, 3}, kLowest).infer_error(), ErrorCode::kInvalid, "axis");
  expect_error(concat({2, 3}, {4, 3}, 1).infer_error(), ErrorCode::kInvalid, "2 and 4");
  expect_error(concat({2, 3}, {2, 3, 1}, 1).infer_error(), ErrorCode::kInvalid, "3 axes");
  const int64_t most = std::numeric_limits<int64_t>::max();
  expect_error(concat({most}, {most}, 0).infer_error(), ErrorCode::kResource, "64 bits");
  expect_error(OpCase("Concat")
                   .in_type(DType::kF32, {1})
                   .in_type(DType::kI64, {1})
                   .attr("axis", int64_t{0})
                   .infer_error(),
               ErrorCode::kInvalid, "int64");
}

TEST(Split, SaidAndEqualParts) {
  OpCase said("Split");
  list(said.in<float>({2, 4}, ramp(8)), {1, 3}).attr("axis", int64_t{1}).outputs(2);
  const auto out = said.run_all();
  expect_tensor<float>(out[0], {2, 1}, {0, 4});
  expect_tensor<float>(out[1], {2, 3}, {1, 2, 3, 5, 6, 7});
  const auto uneven =
      OpCase("Split").in<float>({7}, ramp(7)).attr("num_outputs", int64_t{3}).outputs(3).run_all();
  expect_tensor<float>(uneven[2], {1}, {6});
  EXPECT_EQ(OpCase("Split", 11)
                .in_type(DType::kF32, {kN, 6})
                .attr("axis", int64_t{1})
                .ints("split", {2, 4})
                .outputs(2)
                .infer_all()[1]
                .text(),
            "float32[N,4]");
}

TEST(Split, Refusals) {
  const auto split = [](const std::vector<int64_t>& parts) {
    OpCase c("Split");
    return list(c.in_type(DType::kF32, {6}), parts).outputs(2).infer_error();
  };
  expect_error(split({2, 3}), ErrorCode::kInvalid, "sums to 5");
  expect_error(split({7, -1}), ErrorCode::kInvalid, "negative");
  expect_error(split({2, 2, 2}), ErrorCode::kInvalid, "3 sizes");
  const int64_t most = std::numeric_limits<int64_t>::max();
  expect_error(split({most, most}), ErrorCode::kResource, "64 bits");
  const auto count = [](int64_t outputs) {
    return OpCase("Split")
        .in_type(DType::kF32, {6})
        .attr("num_outputs", outputs)
        .outputs(2)
        .infer_error();
  };
  expect_error(count(0), ErrorCode::kInvalid, "num_outputs is 0");
  expect_error(count(3), ErrorCode::kInvalid, "num_outputs is 3");
  expect_error(OpCase("Split", 13).in_type(DType::kF32, {7}).outputs(2).infer_error(),
               ErrorCode::kInvalid, "equal parts");
}

Tensor slice(const std::vector<int64_t>& starts, const std::vector<int64_t>& ends,
             const std::vector<int64_t>& axes, const std::vector<int64_t>& steps) {
  OpCase c("Slice");
  c.in<float>({3, 4}, ramp(12));
  list(list(list(list(c, starts), ends), axes), steps);
  return c.run();
}

TEST(Slice, AsNumpyDoes) {
  expect_tensor<float>(slice({1, 0}, {3, 2}, {0, 1}, {1, 1}), {2, 2}, {4, 5, 8, 9});
  expect_tensor<float>(slice({-1}, {kLowest}, {1}, {-2}), {3, 2}, {3, 1, 7, 5, 11, 9});
  expect_tensor<float>(slice({-100}, {100}, {0}, {2}), {2, 4}, {0, 1, 2, 3, 8, 9, 10, 11});
  expect_tensor<float>(slice({100}, {-100}, {-2}, {-1}), {3, 4},
                       {8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3});
  EXPECT_EQ(shape_text(slice({2}, {1}, {0}, {1}).shape()), "[0,4]");
  expect_tensor<float>(slice({0}, {3}, {0}, {std::numeric_limits<int64_t>::max()}), {1, 4},
                       {0, 1, 2, 3});
  expect_tensor<float>(slice({2}, {kLowest}, {0}, {kLowest}), {1, 4}, {8, 9, 10, 11});
}

TEST(Slice, Types) {
  const auto open = [](std::vector<int64_t> starts, std::vector<int64_t> ends) {
    OpCase c("Slice");
    return list(list(c.in_type(DType::kF32, {kN, 8}), starts), ends).infer();
  };
  EXPECT_EQ(open({0, 2}, {std::numeric_limits<int64_t>::max(), 6}), "float32[N,4]");
  EXPECT_EQ(open({1, 0}, {100, 8}), "float32[?,8]");
  EXPECT_EQ(OpCase("Slice")
                .in_type(DType::kF32, {kN, 8})
                .in_type(DType::kI64, {1})
                .in_type(DType::kI64, {1})
                .infer(),
            "float32[?,8]");
  EXPECT_EQ(OpCase("Slice", 9)
                .in_type(DType::kF32, {kN, 8})
                .ints("starts", {1})
                .ints("ends", {-1})
                .ints("axes", {1})
                .infer(),
            "float32[N,6]");
}

TEST(Slice, Refusals) {
  const auto error = [](std::vector<int64_t> starts, std::vector<int64_t> ends,
                        std::vector<int64_t> axes, std::vector<int64_t> steps) {
    OpCase c("Slice");
    return list(list(list(list(c.in_type(DType::kF32, {3, 4}), starts), ends), axes), steps)
        .infer_error();
  };
  expect_error(error({0}, {1}, {0}, {0}), ErrorCode::kInvalid, "step 0");
  expect_error(error({0}, {1}, {99}, {1}), ErrorCode::kInvalid, "99");
  expect_error(error({kLowest}, {1}, {0}, {1}), ErrorCode::kInvalid, "start");
  expect_error(error({0, 1}, {1}, {0}, {1}), ErrorCode::kInvalid, "length");
  expect_error(error({0, 0}, {1, 1}, {0, -2}, {1, 1}), ErrorCode::kInvalid, "twice");
  expect_error(OpCase("Slice", 13).in_type(DType::kF32, {3}).infer_error(), ErrorCode::kInvalid,
               "absent");
}

TEST(Gather, RowsAndColumns) {
  const auto gather = [](int64_t axis) {
    return OpCase("Gather")
        .in<float>({3, 2}, ramp(6))
        .in<int64_t>({1, 2}, {0, -1})
        .attr("axis", axis)
        .run();
  };
  expect_tensor<float>(gather(0), {1, 2, 2}, {0, 1, 4, 5});
  expect_tensor<float>(gather(1), {3, 1, 2}, {0, 1, 2, 3, 4, 5});
  expect_error(OpCase("Gather").in<float>({3}, ramp(3)).in<int64_t>({1}, {3}).run_error(),
               ErrorCode::kInvalid, "index is 3");
  expect_error(OpCase("Gather").in<float>({3}, ramp(3)).in<int64_t>({1}, {kLowest}).run_error(),
               ErrorCode::kInvalid, "index");
  EXPECT_EQ(
      OpCase("Gather").in_type(DType::kF32, {30522, 128}).in_type(DType::kI64, {kN, 64}).infer(),
      "float32[N,64,128]");
}

TEST(GatherElements, ElementByElement) {
  expect_tensor<float>(OpCase("GatherElements")
                           .in<float>({2, 2}, {1, 2, 3, 4})
                           .in<int64_t>({2, 2}, {0, 0, 1, 0})
                           .attr("axis", int64_t{1})
                           .run(),
                       {2, 2}, {1, 1, 4, 3});
  expect_error(OpCase("GatherElements")
                   .in_type(DType::kF32, {2, 2})
                   .in_type(DType::kI64, {3, 1})
                   .attr("axis", int64_t{1})
                   .infer_error(),
               ErrorCode::kInvalid, "at most 2");
}

TEST(GatherND, TuplesAndBatches) {
  expect_tensor<float>(
      OpCase("GatherND").in<float>({2, 2}, ramp(4)).in<int64_t>({2, 2}, {0, 0, 1, -1}).run(), {2},
      {0, 3});
  expect_tensor<float>(OpCase("GatherND")
                           .in<float>({2, 2, 2}, ramp(8))
                           .in<int64_t>({2, 1}, {1, 0})
                           .attr("batch_dims", int64_t{1})
                           .run(),
                       {2, 2}, {2, 3, 4, 5});
  expect_error(
      OpCase("GatherND").in_type(DType::kF32, {2, 2}).in_type(DType::kI64, {1, 3}).infer_error(),
      ErrorCode::kInvalid, "1 to 2");
}

TEST(Transpose, Permutes) {
  expect_tensor<float>(OpCase("Transpose").in<float>({2, 3}, ramp(6)).run(), {3, 2},
                       {0, 3, 1, 4, 2, 5});
  expect_tensor<float>(
      OpCase("Transpose").in<float>({1, 2, 3}, ramp(6)).ints("perm", {2, 0, 1}).run(), {3, 1, 2},
      {0, 3, 1, 4, 2, 5});
  const auto error = [](std::vector<int64_t> perm) {
    return OpCase("Transpose")
        .in_type(DType::kF32, {2, 3, 4})
        .ints("perm", std::move(perm))
        .infer_error();
  };
  for (const auto& perm :
       {std::vector<int64_t>{0, 0, 1}, {0, 1, 3}, {-1, 0, 1}, {0, 1}, {0, 1, 2, 3}})
    expect_error(error(perm), ErrorCode::kInvalid, "perm");
}

TEST(Expand, Broadcasts) {
  expect_tensor<float>(OpCase("Expand").in<float>({2, 1}, {1, 2}).in<int64_t>({3}, {2, 1, 3}).run(),
                       {2, 2, 3}, {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2});
  EXPECT_EQ(OpCase("Expand").in_type(DType::kF32, {kN, 1}).in<int64_t>({2}, {1, 5}).infer(),
            "float32[N,5]");
  const auto error = [](std::vector<int64_t> shape) {
    OpCase c("Expand");
    return list(c.in_type(DType::kF32, {1, 2}), shape).infer_error();
  };
  expect_error(error({kHuge, kHuge, 1, 2}), ErrorCode::kResource, "64 bits");
  expect_error(OpCase("Expand").in<float>({1}, {1}).in<int64_t>({1}, {kHuge}).run_error(),
               ErrorCode::kResource, "the limit here is");
  expect_error(error({3, 3}), ErrorCode::kInvalid, "broadcast");
  expect_error(error({-1, 2}), ErrorCode::kInvalid, "negative");
}

TEST(Tile, Repeats) {
  expect_tensor<float>(OpCase("Tile").in<float>({1, 2}, {1, 2}).in<int64_t>({2}, {2, 2}).run(),
                       {2, 4}, {1, 2, 1, 2, 1, 2, 1, 2});
  EXPECT_EQ(OpCase("Tile").in_type(DType::kF32, {kN, 3}).in<int64_t>({2}, {1, 2}).infer(),
            "float32[N,6]");
  const auto error = [](std::vector<int64_t> repeats) {
    OpCase c("Tile");
    return list(c.in_type(DType::kF32, {2, 3}), repeats).infer_error();
  };
  expect_error(error({int64_t{1} << 62, 4}), ErrorCode::kResource, "64 bits");
  expect_error(error({kHuge, kHuge}), ErrorCode::kResource, "64 bits");
  expect_error(error({2}), ErrorCode::kInvalid, "expected 2");
  expect_error(error({-1, 2}), ErrorCode::kInvalid, "negative");
}

// Values of the modes: ONNX Runtime 1.31.1.
TEST(Pad, Modes) {
  const auto pad = [](const char* mode, const std::vector<int64_t>& pads) {
    OpCase c("Pad", 19);
    return list(c.in<float>({2, 3}, ramp(6)), pads).attr("mode", std::string(mode)).run();
  };
  expect_tensor<float>(pad("reflect", {1, 2, 0, 1}), {3, 6},
                       {5, 4, 3, 4, 5, 4, 2, 1, 0, 1, 2, 1, 5, 4, 3, 4, 5, 4});
  expect_tensor<float>(pad("edge", {1, -1, 0, 2}), {3, 4}, {1, 2, 2, 2, 1, 2, 2, 2, 4, 5, 5, 5});
  expect_tensor<float>(pad("wrap", {1, 2, 0, 4}), {3, 9}, {4, 5, 3, 4, 5, 3, 4, 5, 3, 1, 2, 0, 1, 2,
                                                           0, 1, 2, 0, 4, 5, 3, 4, 5, 3, 4, 5, 3});
  expect_tensor<float>(pad("constant", {0, -1, 1, 0}), {3, 2}, {1, 2, 4, 5, 0, 0});
}

TEST(Pad, ConstantAndAxes) {
  const Tensor out = OpCase("Pad", 18)
                         .in<int8_t>({1, 2}, {1, 2})
                         .in<int64_t>({2}, {1, 1})
                         .in(Tensor::scalar<int8_t>(-7))
                         .in<int64_t>({1}, {-1})
                         .run();
  expect_tensor<int8_t>(out, {1, 4}, {-7, 1, 2, -7});
  EXPECT_EQ(OpCase("Pad", 18)
                .in_type(DType::kF32, {kN, 2})
                .in<int64_t>({2}, {1, 1})
                .absent()
                .in<int64_t>({1}, {1})
                .infer(),
            "float32[N,4]");
  expect_tensor<float>(
      OpCase("Pad", 7).in<float>({2}, {1, 2}).ints("pads", {1, 0}).attr("value", 9.0f).run(), {3},
      {9, 1, 2});
}

TEST(Pad, Refusals) {
  const auto error = [](std::vector<int64_t> pads, const char* mode = "constant") {
    OpCase c("Pad", 19);
    return list(c.in<float>({2, 3}, ramp(6)), pads).attr("mode", std::string(mode)).run_error();
  };
  expect_error(error({1, 1}), ErrorCode::kInvalid, "expected 4");
  expect_error(error({-3, 0, 0, 0}), ErrorCode::kInvalid, "leave -1");
  expect_error(error({int64_t{1} << 62, 0, int64_t{1} << 62, 0}), ErrorCode::kResource, "64 bits");
  expect_error(error({-2, 0, 3, 0}, "edge"), ErrorCode::kInvalid, "nothing is left");
  expect_error(error({0, 0, 0, 0}, "mirror"), ErrorCode::kInvalid, "mirror");
}

// Values: ONNX Runtime 1.31.1.
TEST(DepthToSpace, Orders) {
  const auto shuffle = [](const char* mode) {
    return OpCase("DepthToSpace")
        .in<float>({1, 8, 1, 2}, ramp(16))
        .attr("blocksize", int64_t{2})
        .attr("mode", std::string(mode))
        .run();
  };
  expect_tensor<float>(shuffle("DCR"), {1, 2, 2, 4},
                       {0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15});
  expect_tensor<float>(shuffle("CRD"), {1, 2, 2, 4},
                       {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15});
  expect_tensor<float>(
      OpCase("SpaceToDepth").in<float>({1, 2, 2, 4}, ramp(16)).attr("blocksize", int64_t{2}).run(),
      {1, 8, 1, 2}, {0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15});
  const auto error = [](int64_t block) {
    return OpCase("DepthToSpace")
        .in_type(DType::kF32, {1, 8, 1, 2})
        .attr("blocksize", block)
        .infer_error();
  };
  expect_error(error(0), ErrorCode::kInvalid, "blocksize is 0");
  expect_error(error(3), ErrorCode::kInvalid, "multiple of 9");
  expect_error(error(kHuge), ErrorCode::kResource, "64 bits");
}

TEST(Scatter, ElementsWithReductions) {
  const auto scatter = [](const char* reduction) {
    return OpCase("ScatterElements", 18)
        .in<float>({1, 4}, {1, 2, 3, 4})
        .in<int64_t>({1, 3}, {1, 1, -1})
        .in<float>({1, 3}, {5, 0.5f, 2})
        .attr("axis", int64_t{1})
        .attr("reduction", std::string(reduction))
        .run();
  };
  expect_tensor<float>(scatter("none"), {1, 4}, {1, 0.5f, 3, 2});
  expect_tensor<float>(scatter("add"), {1, 4}, {1, 7.5f, 3, 6});
  expect_tensor<float>(scatter("mul"), {1, 4}, {1, 5, 3, 8});
  expect_tensor<float>(scatter("max"), {1, 4}, {1, 5, 3, 4});
  expect_tensor<float>(scatter("min"), {1, 4}, {1, 0.5f, 3, 2});
}

TEST(Scatter, BlocksByTuples) {
  const auto scatter = [](std::vector<int64_t> rows) {
    OpCase c("ScatterND", 18);
    c.in<float>({3, 2}, ramp(6))
        .in<int64_t>({2, 1}, std::move(rows))
        .in<float>({2, 2}, {9, 8, 7, 6});
    return c;
  };
  expect_tensor<float>(scatter({2, 0}).run(), {3, 2}, {7, 6, 2, 3, 9, 8});
  expect_tensor<float>(scatter({1, 1}).attr("reduction", std::string("add")).run(), {3, 2},
                       {0, 1, 18, 17, 4, 5});
  expect_error(scatter({3, 0}).run_error(), ErrorCode::kInvalid, "index is 3");
  expect_error(scatter({2, 0}).attr("reduction", std::string("xor")).infer_error(),
               ErrorCode::kInvalid, "xor");
  expect_error(OpCase("Scatter", 11)
                   .in<float>({1}, {1})
                   .in<int64_t>({1}, {0})
                   .in<float>({1}, {2})
                   .run_error(),
               ErrorCode::kUnsupported, "Scatter");
}

}  // namespace
}  // namespace lapidary
