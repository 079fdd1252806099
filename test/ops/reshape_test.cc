#include "test/ops/op_case.h"

namespace lapidary {
namespace {

constexpr int64_t kHuge = int64_t{1} << 40;

OpCase reshape(std::vector<Dim> in, const std::vector<int64_t>& wanted, bool allow_zero = false) {
  OpCase c("Reshape");
  c.in_type(DType::kF32, std::move(in)).in<int64_t>({static_cast<int64_t>(wanted.size())}, wanted);
  if (allow_zero) c.attr("allowzero", int64_t{1});
  return c;
}

const Dim kN = Dim::named("N"), kUnknown = Dim();

TEST(Reshape, KnownSizes) {
  EXPECT_EQ(reshape({2, 3, 4}, {4, 6}).infer(), "float32[4,6]");
  EXPECT_EQ(reshape({2, 3, 4}, {0, -1}).infer(), "float32[2,12]");
  EXPECT_EQ(reshape({2, 3, 4}, {-1}).infer(), "float32[24]");
  EXPECT_EQ(reshape({2, 3, 4}, {3, -1, 0}).infer(), "float32[3,2,4]");
  EXPECT_EQ(reshape({1}, {}).infer(), "float32[]");
  EXPECT_EQ(reshape({0, 3}, {3, 0}, true).infer(), "float32[3,0]");
  EXPECT_EQ(reshape({0, 3}, {0, -1}).infer(), "float32[0,3]");
}

TEST(Reshape, Symbols) {
  EXPECT_EQ(reshape({kN, 3, 32, 32}, {0, -1}).infer(), "float32[N,3072]");
  EXPECT_EQ(reshape({kN, 3, 32, 32}, {-1, 3072}).infer(), "float32[N,3072]");
  EXPECT_EQ(reshape({kUnknown, 3, 32, 32}, {0, -1}).infer(), "float32[?,3072]");
  EXPECT_EQ(reshape({kN, 3, 32, 32}, {-1, 1024}).infer(), "float32[?,1024]");
  EXPECT_EQ(reshape({kN, 6}, {0, 2, 3}).infer(), "float32[N,2,3]");
}

// [N,197,192] -> Shape -> Gather 0 -> Unsqueeze -> Concat with [-1, 64] -> Reshape: what exporters
// write for x.reshape(x.shape[0], -1, 64).
TEST(Reshape, ShapeComputedFromItsInput) {
  Graph graph;
  graph.set_opset("", 21);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {kN, 197, 192});
  const auto ints = [&](Shape shape, std::vector<int64_t> values) {
    return b.constant("c", Tensor::of<int64_t>(std::move(shape), values));
  };
  const ValueId batch = b.op("Gather", {b.op("Shape", {x}), ints({}, {0})});
  const ValueId list = b.op("Unsqueeze", {batch, ints({1}, {0})});
  const ValueId wanted = b.op("Concat", {list, ints({2}, {-1, 64})}, {{"axis", int64_t{0}}});
  const ValueId y = b.op("Reshape", {x, wanted});
  const ValueId tail = b.op("Slice", {b.op("Shape", {y}), ints({1}, {1}), ints({1}, {1000})});
  const ValueId z = b.op("Reshape", {y, b.op("Concat", {list, tail}, {{"axis", int64_t{0}}})});
  infer_types(graph);
  EXPECT_EQ(graph.value(y).type.text(), "float32[N,591,64]");
  EXPECT_EQ(graph.value(z).type.text(), "float32[N,591,64]");
}

TEST(Reshape, Elements) {
  const Tensor out =
      OpCase("Reshape").in<int32_t>({2, 3}, {1, 2, 3, 4, 5, 6}).in<int64_t>({2}, {3, -1}).run();
  expect_tensor<int32_t>(out, {3, 2}, {1, 2, 3, 4, 5, 6});
}

TEST(Reshape, RefusesWhatDoesNotFit) {
  const auto invalid = ErrorCode::kInvalid;
  expect_error(reshape({2, 3}, {-1, -1}).infer_error(), invalid, "-1 twice");
  expect_error(reshape({2, 3}, {-5, 2}).infer_error(), invalid, "-5");
  expect_error(reshape({2, 3}, {4, 2}).infer_error(), invalid, "6 elements");
  expect_error(reshape({2, 3}, {4, -1}).infer_error(), invalid, "divided");
  expect_error(reshape({2, 3}, {0, 3, 0}).infer_error(), invalid, "place 2");
  expect_error(reshape({2, 3}, {0, 6}, true).infer_error(), invalid, "0 elements");
  expect_error(reshape({2, 3}, {0, -1}, true).infer_error(), invalid, "allowzero");
  expect_error(reshape({2, 3}, {kHuge, kHuge}).infer_error(), ErrorCode::kResource, "64 bits");
  expect_error(OpCase("Reshape").in_type(DType::kF32, {6}).in<float>({1}, {6}).infer_error(),
               invalid, "int64");
}

TEST(Flatten, SplitsTheAxesInTwo) {
  const auto flatten = [](int64_t axis) {
    return OpCase("Flatten").in_type(DType::kF32, {kN, 3, 4, 5}).attr("axis", axis);
  };
  EXPECT_EQ(flatten(1).infer(), "float32[N,60]");
  EXPECT_EQ(flatten(0).infer(), "float32[1,?]");
  EXPECT_EQ(flatten(-1).infer(), "float32[?,5]");
  EXPECT_EQ(flatten(4).infer(), "float32[?,1]");
  expect_error(flatten(5).infer_error(), ErrorCode::kInvalid, "axis");
  expect_error(
      OpCase("Flatten", 9).in_type(DType::kF32, {2, 3}).attr("axis", int64_t{-1}).infer_error(),
      ErrorCode::kInvalid, "axis");
}

TEST(Squeeze, RemovesOnes) {
  const auto squeeze = [](std::vector<Dim> in, const std::vector<int64_t>& axes) {
    return OpCase("Squeeze")
        .in_type(DType::kF32, std::move(in))
        .in<int64_t>({static_cast<int64_t>(axes.size())}, axes);
  };
  EXPECT_EQ(squeeze({1, kN, 1}, {0, -1}).infer(), "float32[N]");
  EXPECT_EQ(OpCase("Squeeze").in_type(DType::kF32, {1, 3, 1}).infer(), "float32[3]");
  EXPECT_EQ(OpCase("Squeeze", 11).in_type(DType::kF32, {1, 3, 1}).ints("axes", {2}).infer(),
            "float32[1,3]");
  expect_error(squeeze({2, 3}, {0}).infer_error(), ErrorCode::kInvalid, "size 2");
  expect_error(squeeze({1, 3}, {99}).infer_error(), ErrorCode::kInvalid, "99");
  expect_error(squeeze({1, 3}, {0, 0}).infer_error(), ErrorCode::kInvalid, "twice");
}

TEST(Unsqueeze, AddsOnes) {
  const auto unsqueeze = [](const std::vector<int64_t>& axes) {
    return OpCase("Unsqueeze")
        .in_type(DType::kF32, {kN, 3})
        .in<int64_t>({static_cast<int64_t>(axes.size())}, axes);
  };
  EXPECT_EQ(unsqueeze({0, -1}).infer(), "float32[1,N,3,1]");
  EXPECT_EQ(unsqueeze({2, 0}).infer(), "float32[1,N,1,3]");
  expect_error(unsqueeze({99}).infer_error(), ErrorCode::kInvalid, "99");
  expect_error(unsqueeze({1, 1}).infer_error(), ErrorCode::kInvalid, "twice");
  expect_error(unsqueeze({std::numeric_limits<int64_t>::min()}).infer_error(), ErrorCode::kInvalid,
               "axes");
  expect_error(OpCase("Unsqueeze", 21).in_type(DType::kF32, {3}).infer_error(), ErrorCode::kInvalid,
               "absent");
}

TEST(Shape, OfAPartOfTheAxes) {
  const auto shape = [](int64_t start, int64_t end) {
    return OpCase("Shape")
        .in(Tensor(DType::kF32, {3, 4, 5}))
        .attr("start", start)
        .attr("end", end)
        .run();
  };
  expect_tensor<int64_t>(shape(0, 3), {3}, {3, 4, 5});
  expect_tensor<int64_t>(shape(-1, 100), {1}, {5});
  expect_tensor<int64_t>(shape(1, -1), {1}, {4});
  expect_tensor<int64_t>(shape(2, 1), {0}, {});
  expect_tensor<int64_t>(shape(-100, 1), {1}, {3});
  expect_tensor<int64_t>(OpCase("Size").in(Tensor(DType::kF32, {3, 4, 5})).run(), {}, {60});
}

}  // namespace
}  // namespace lapidary
