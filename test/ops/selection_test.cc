#include "test/ops/op_case.h"

// Expected values follow by hand from the definitions unless a comment says otherwise.

namespace lapidary {
namespace {

const Dim kN = Dim::named("N");

OpCase topk(const std::vector<int64_t>& k, bool largest = true) {
  return OpCase("TopK")
      .in<float>({2, 4}, {3, 1, 3, 2, 0, -1, 5, 5})
      .in<int64_t>({static_cast<int64_t>(k.size())}, k)
      .attr("largest", int64_t{largest})
      .outputs(2);
}

// Values: ONNX Runtime 1.31.1; among equals the lower index comes first.
TEST(TopK, LargestAndSmallest) {
  const auto large = topk({2}).run_all();
  expect_tensor<float>(large[0], {2, 2}, {3, 3, 5, 5});
  expect_tensor<int64_t>(large[1], {2, 2}, {0, 2, 2, 3});
  const auto small = topk({3}, false).run_all();
  expect_tensor<float>(small[0], {2, 3}, {1, 2, 3, -1, 0, 5});
  expect_tensor<int64_t>(small[1], {2, 3}, {1, 3, 0, 1, 0, 2});
  const auto column = OpCase("TopK", 7)
                          .in<float>({3, 2}, {1, 6, 5, 2, 3, 4})
                          .attr("k", int64_t{1})
                          .attr("axis", int64_t{0})
                          .outputs(2)
                          .run_all();
  expect_tensor<float>(column[0], {1, 2}, {5, 6});
  expect_tensor<int64_t>(column[1], {1, 2}, {1, 0});
}

TEST(TopK, NansDoNotBreakTheOrder) {
  const float nan = std::nanf("");
  const auto out =
      OpCase("TopK").in<float>({4}, {1, nan, 3, nan}).in<int64_t>({1}, {3}).outputs(2).run_all();
  expect_tensor<int64_t>(out[1], {3}, {1, 3, 2});
}

TEST(TopK, Refusals) {
  expect_error(topk({-3}).infer_error(), ErrorCode::kInvalid, "k is -3");
  expect_error(topk({5}).infer_error(), ErrorCode::kInvalid, "k is 5");
  expect_error(topk({1, 2}).infer_error(), ErrorCode::kInvalid, "2 elements");
  EXPECT_EQ(OpCase("TopK")
                .in_type(DType::kF32, {kN, 10})
                .in<int64_t>({1}, {5})
                .outputs(2)
                .infer_all()[1]
                .text(),
            "int64[N,5]");
}

TEST(ArgExtreme, FirstLastAndAxes) {
  const auto argmax = [](int64_t last, int64_t keep) {
    return OpCase("ArgMax")
        .in<float>({2, 3}, {1, 7, 7, 5, 5, 2})
        .attr("axis", int64_t{-1})
        .attr("select_last_index", last)
        .attr("keepdims", keep)
        .run();
  };
  expect_tensor<int64_t>(argmax(0, 1), {2, 1}, {1, 0});
  expect_tensor<int64_t>(argmax(1, 0), {2}, {2, 1});
  expect_tensor<int64_t>(OpCase("ArgMin").in<int8_t>({3, 2}, {1, -5, -2, 0, 3, -5}).run(), {1, 2},
                         {1, 0});
  EXPECT_EQ(OpCase("ArgMax")
                .in_type(DType::kF32, {kN, 1000})
                .attr("axis", int64_t{1})
                .attr("keepdims", int64_t{0})
                .infer(),
            "int64[N]");
  expect_error(OpCase("ArgMax").in_type(DType::kF32, {2, 0}).attr("axis", int64_t{1}).infer_error(),
               ErrorCode::kInvalid, "size 0");
  expect_error(OpCase("ArgMax").in_type(DType::kF32, {2}).attr("axis", int64_t{1}).infer_error(),
               ErrorCode::kInvalid, "axis");
}

TEST(NonZero, PositionsByAxis) {
  expect_tensor<int64_t>(OpCase("NonZero").in<float>({2, 2}, {1, 0, 2, 3}).run(), {2, 3},
                         {0, 1, 1, 0, 0, 1});
  EXPECT_EQ(OpCase("NonZero").in_type(DType::kF32, {kN, 2}).infer(), "int64[2,?]");
}

TEST(Compress, KeepsTheSelected) {
  const auto compress = [](std::initializer_list<bool> condition) {
    return OpCase("Compress")
        .in<float>({2, 2}, {1, 2, 3, 4})
        .in(Tensor::of<bool>({static_cast<int64_t>(condition.size())}, condition));
  };
  expect_tensor<float>(compress({false, true}).attr("axis", int64_t{1}).run(), {2, 1}, {2, 4});
  expect_tensor<float>(compress({true, false, true}).run(), {2}, {1, 3});
  expect_error(compress({false, false, true}).attr("axis", int64_t{0}).run_error(),
               ErrorCode::kInvalid, "element 2");
}

TEST(Unique, SortedAndByAppearance) {
  const auto unique = [](int64_t sorted) {
    return OpCase("Unique")
        .in<float>({6}, {2, 1, 1, 3, 4, 3})
        .attr("sorted", sorted)
        .outputs(4)
        .run_all();
  };
  const auto sorted = unique(1);
  expect_tensor<float>(sorted[0], {4}, {1, 2, 3, 4});
  expect_tensor<int64_t>(sorted[1], {4}, {1, 0, 3, 4});
  expect_tensor<int64_t>(sorted[2], {6}, {1, 0, 0, 2, 3, 2});
  expect_tensor<int64_t>(sorted[3], {4}, {2, 1, 2, 1});
  expect_tensor<float>(unique(0)[0], {4}, {2, 1, 3, 4});
  const auto rows = OpCase("Unique")
                        .in<int64_t>({3, 2}, {1, 0, 1, 0, 0, 9})
                        .attr("axis", int64_t{0})
                        .outputs(2)
                        .run_all();
  expect_tensor<int64_t>(rows[0], {2, 2}, {0, 9, 1, 0});
  expect_tensor<int64_t>(rows[1], {2}, {2, 0});
}

TEST(OneHot, OnAndOff) {
  const auto one_hot = [](std::vector<int64_t> indices, int64_t depth, int64_t axis) {
    const auto count = static_cast<int64_t>(indices.size());
    return OpCase("OneHot")
        .in<int64_t>({count}, std::move(indices))
        .in(Tensor::scalar<int64_t>(depth))
        .in<float>({2}, {-1, 1})
        .attr("axis", axis);
  };
  expect_tensor<float>(one_hot({0, 2, -1}, 3, -1).run(), {3, 3}, {1, -1, -1, -1, -1, 1, -1, -1, 1});
  expect_tensor<float>(one_hot({1, 5}, 2, 0).run(), {2, 2}, {-1, -1, 1, -1});
  expect_error(one_hot({0}, 0, 0).infer_error(), ErrorCode::kInvalid, "depth is 0");
  expect_error(one_hot({0}, 2, 2).infer_error(), ErrorCode::kInvalid, "axis");
  expect_error(one_hot({0, 0}, int64_t{1} << 61, 0).run_error(), ErrorCode::kResource, "");
}

// Values: ONNX Runtime 1.31.1.
TEST(CumSum, ExclusiveAndReverse) {
  const auto cum_sum = [](int64_t exclusive, int64_t reverse) {
    return OpCase("CumSum")
        .in<float>({2, 3}, {0, 1, 2, 3, 4, 5})
        .in(Tensor::scalar<int32_t>(1))
        .attr("exclusive", exclusive)
        .attr("reverse", reverse)
        .run();
  };
  expect_tensor<float>(cum_sum(1, 1), {2, 3}, {3, 2, 0, 9, 5, 0});
  expect_tensor<float>(cum_sum(0, 0), {2, 3}, {0, 1, 3, 3, 7, 12});
  expect_error(OpCase("CumSum").in<float>({2}, {1, 2}).in(Tensor::scalar<int64_t>(1)).infer_error(),
               ErrorCode::kInvalid, "axis");
}

TEST(Matrices, EyeLikeAndTrilu) {
  expect_tensor<float>(
      OpCase("EyeLike").in(Tensor(DType::kF32, {2, 3})).attr("k", int64_t{1}).run(), {2, 3},
      {0, 1, 0, 0, 0, 1});
  expect_tensor<int64_t>(OpCase("EyeLike")
                             .in(Tensor(DType::kF32, {2, 2}))
                             .attr("dtype", int64_t{7})
                             .attr("k", std::numeric_limits<int64_t>::min())
                             .run(),
                         {2, 2}, {0, 0, 0, 0});
  expect_error(
      OpCase("EyeLike").in_type(DType::kF32, {2, 2}).attr("dtype", int64_t{99}).infer_error(),
      ErrorCode::kInvalid, "99");
  const auto trilu = [](int64_t upper, int64_t k) {
    return OpCase("Trilu")
        .in<int32_t>({2, 3}, {1, 2, 3, 4, 5, 6})
        .in(Tensor::scalar<int64_t>(k))
        .attr("upper", upper)
        .run();
  };
  expect_tensor<int32_t>(trilu(1, 0), {2, 3}, {1, 2, 3, 0, 5, 6});
  expect_tensor<int32_t>(trilu(0, -1), {2, 3}, {0, 0, 0, 4, 0, 0});
}

TEST(ReverseSequence, PartOfEachRow) {
  const auto reverse = [](std::vector<int64_t> lengths) {
    return OpCase("ReverseSequence")
        .in<float>({2, 3}, {1, 2, 3, 4, 5, 6})
        .in<int64_t>({2}, std::move(lengths))
        .attr("batch_axis", int64_t{0})
        .attr("time_axis", int64_t{1});
  };
  expect_tensor<float>(reverse({2, 3}).run(), {2, 3}, {2, 1, 3, 6, 5, 4});
  expect_error(reverse({4, 1}).run_error(), ErrorCode::kInvalid, "length is 4");
  expect_error(OpCase("ReverseSequence")
                   .in_type(DType::kF32, {2, 3})
                   .in_type(DType::kI64, {2})
                   .attr("batch_axis", int64_t{0})
                   .infer_error(),
               ErrorCode::kInvalid, "batch_axis");
}

// Values: ONNX Runtime 1.31.1.
TEST(Einsum, Equations) {
  const auto ramp = [](Shape shape) {
    Tensor t(DType::kF32, std::move(shape));
    for (size_t i = 0; i < t.mutable_data<float>().size(); ++i)
      t.mutable_data<float>()[i] = static_cast<float>(i);
    return t;
  };
  const auto einsum = [](const char* equation) {
    return OpCase("Einsum").attr("equation", std::string(equation));
  };
  expect_tensor<float>(einsum("ij,jk->ki").in(ramp({2, 3})).in(ramp({3, 2})).run(), {2, 2},
                       {10, 28, 13, 40});
  expect_tensor<float>(einsum("...ii->...i").in(ramp({2, 3, 3})).run(), {2, 3},
                       {0, 4, 8, 9, 13, 17});
  expect_tensor<float>(einsum("...ij,jk").in(ramp({2, 2, 3})).in(ramp({3, 2})).run(), {2, 2, 2},
                       {10, 13, 28, 40, 46, 67, 64, 94});
  expect_tensor<float>(einsum("ij->").in(ramp({2, 3})).run(), {}, {15});
  EXPECT_EQ(einsum("bhid,bhjd->bhij")
                .in_type(DType::kF32, {kN, 3, 197, 64})
                .in_type(DType::kF32, {kN, 3, 197, 64})
                .infer(),
            "float32[N,3,197,197]");
}

TEST(Einsum, RefusesWrongEquations) {
  const auto error = [](const char* equation) {
    return OpCase("Einsum")
        .attr("equation", std::string(equation))
        .in_type(DType::kF32, {2, 3})
        .in_type(DType::kF32, {4, 5})
        .infer_error();
  };
  for (const char* equation :
       {"ij,jk->ik", "ij", "ij,kl->im", "ij,kl->ii", "ijk,lm", "i,jk", "i1,jk", "......,ij", ""})
    EXPECT_EQ(static_cast<int>(error(equation).value().code()),
              static_cast<int>(ErrorCode::kInvalid))
        << equation;
}

TEST(Range, CountsUpAndDown) {
  const auto range = [](auto start, auto limit, auto delta) {
    return OpCase("Range")
        .in(Tensor::scalar(start))
        .in(Tensor::scalar(limit))
        .in(Tensor::scalar(delta));
  };
  expect_tensor<int64_t>(range(int64_t{10}, int64_t{4}, int64_t{-2}).run(), {3}, {10, 8, 6});
  expect_tensor<float>(range(1.0f, 5.0f, 2.5f).run(), {2}, {1, 3.5f});
  expect_tensor<int32_t>(range(3, 3, 1).run(), {0}, {});
  expect_tensor<int64_t>(range(int64_t{0}, int64_t{5}, int64_t{2}).run(), {3}, {0, 2, 4});
  expect_error(range(int64_t{0}, int64_t{5}, int64_t{0}).infer_error(), ErrorCode::kInvalid,
               "delta is 0");
  expect_error(range(0.0f, INFINITY, 1.0f).infer_error(), ErrorCode::kResource, "range");
  expect_error(
      range(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), int64_t{1})
          .infer_error(),
      ErrorCode::kResource, "range");
}

TEST(ConstantOfShape, FillsAndRefuses) {
  const auto fill = [](std::vector<int64_t> shape) {
    const auto rank = static_cast<int64_t>(shape.size());
    return OpCase("ConstantOfShape").in<int64_t>({rank}, std::move(shape));
  };
  expect_tensor<float>(fill({2}).run(), {2}, {0, 0});
  expect_tensor<int64_t>(fill({1, 2}).attr("value", Tensor::of<int64_t>({1}, {7})).run(), {1, 2},
                         {7, 7});
  expect_tensor<float>(fill({}).run(), {}, {0});
  expect_error(fill({1000000, 1000000, 1000000}).run_error(), ErrorCode::kResource, "bytes");
  expect_error(fill({int64_t{1} << 40, int64_t{1} << 40}).infer_error(), ErrorCode::kResource,
               "64 bits");
  expect_error(fill({-7}).infer_error(), ErrorCode::kInvalid, "negative");
  expect_error(fill({1}).attr("value", Tensor(DType::kF32, {0})).infer_error(), ErrorCode::kInvalid,
               "0 elements");
}

TEST(Constant, EveryForm) {
  const auto constant = [](const std::string& name, Attr value) {
    return OpCase("Constant").attr(name, std::move(value));
  };
  expect_tensor<float>(constant("value_float", 1.5f).run(), {}, {1.5f});
  expect_tensor<int64_t>(constant("value_ints", std::vector<int64_t>{1, -2}).run(), {2}, {1, -2});
  expect_tensor<float>(constant("value_floats", std::vector<float>{1}).run(), {1}, {1});
  expect_tensor<int64_t>(constant("value_int", int64_t{3}).run(), {}, {3});
  expect_tensor<std::string>(constant("value_string", std::string("a")).run(), {}, {"a"});
  expect_tensor<std::string>(constant("value_strings", std::vector<std::string>{"a", "b"}).run(),
                             {2}, {"a", "b"});
  expect_tensor<int8_t>(constant("value", Tensor::of<int8_t>({1}, {4})).run(), {1}, {4});
  expect_error(OpCase("Constant").run_error(), ErrorCode::kInvalid, "expected one");
  expect_error(constant("value_int", int64_t{3}).attr("value_float", 1.0f).run_error(),
               ErrorCode::kInvalid, "expected one");
  expect_error(constant("sparse_value", OpaqueAttr{}).run_error(), ErrorCode::kUnsupported,
               "sparse");
}

TEST(Random, TypesOnly) {
  EXPECT_EQ(OpCase("RandomNormal").ints("shape", {2, 3}).infer(), "float32[2,3]");
  EXPECT_EQ(OpCase("Bernoulli").in_type(DType::kF32, {kN, 3}).attr("dtype", int64_t{11}).infer(),
            "float64[N,3]");
  expect_error(OpCase("RandomUniformLike").in(Tensor(DType::kF32, {2})).run_error(),
               ErrorCode::kUnsupported, "evaluation");
  expect_error(OpCase("RandomUniform").ints("shape", {2, -3}).infer_error(), ErrorCode::kInvalid,
               "negative");
}

}  // namespace
}  // namespace lapidary
