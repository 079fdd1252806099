#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31.1 (float32) on the same node.

namespace lapidary {
namespace {

/// ((7 i + 3 k) mod 11 - 5) / 8: small numbers that float32 holds exactly.
Tensor pattern(Shape shape, int k) {
  Tensor t(DType::kF32, std::move(shape));
  auto data = t.mutable_data<float>();
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<float>((static_cast<int>(i) * 7 + 3 * k) % 11 - 5) / 8;
  return t;
}

/// X [3,2,2] and two hidden units: W, R and B of `gates` gates in `directions` directions.
OpCase recurrent(const std::string& op, int64_t gates, int64_t directions) {
  OpCase c(op, 14);
  c.in(pattern({3, 2, 2}, 1))
      .in(pattern({directions, gates * 2, 2}, 1))
      .in(pattern({directions, gates * 2, 2}, 2))
      .in(pattern({directions, 2 * gates * 2}, 3))
      .attr("hidden_size", int64_t{2})
      .outputs(op == "LSTM" ? 3 : 2);
  if (directions == 2) c.attr("direction", std::string("bidirectional"));
  return c;
}

OpCase& with_lengths(OpCase& c) { return c.in<int32_t>({2}, {3, 2}).in(pattern({1, 2, 2}, 4)); }

TEST(RNN, Forward) {
  const auto out = recurrent("RNN", 1, 1).run_all();
  expect_tensor<float>(
      out[0], {3, 1, 2, 2},
      {0.424464345f, 0.108940959f, -0.25954926f, 0.486336112f, -0.112318873f, 0.571489692f,
       0.143556714f, 0.0420755148f, -0.528256357f, 0.491162062f, -0.213259518f, 0.516664147f});
  expect_tensor<float>(out[1], {1, 2, 2},
                       {-0.528256357f, 0.491162062f, -0.213259518f, 0.516664147f});
}

TEST(RNN, ActivationAndLengths) {
  OpCase c = recurrent("RNN", 1, 1);
  c.attr("activations", std::vector<std::string>{"LeakyRelu"})
      .attr("activation_alpha", std::vector<float>{0.1f});
  const auto out = with_lengths(c).run_all();
  expect_tensor<float>(out[0], {3, 1, 2, 2},
                       {0.25f, -0.0140625f, -0.0046875f, 0.46875f, -0.00884765666f, 0.5625f,
                        0.183007807f, 0.169531256f, -0.0571418479f, 0.589326143f, 0, 0});
  expect_tensor<float>(out[1], {1, 2, 2},
                       {-0.0571418479f, 0.589326143f, 0.183007807f, 0.169531256f});
}

TEST(GRU, Bidirectional) {
  const auto out = recurrent("GRU", 3, 2).run_all();
  expect_tensor<float>(out[0], {3, 2, 2, 2},
                       {-0.160705283f,  -0.207135081f,  -0.104477644f,  0,
                        0.00894792378f, 0.243441015f,   -0.0861971974f, 0.0740346387f,
                        -0.276115745f,  -0.132243723f,  -0.227172136f,  -0.223629519f,
                        -0.259203106f,  0.0347211361f,  0.113779306f,   0.212559775f,
                        -0.20978421f,   -0.116116628f,  -0.273498684f,  -0.153138593f,
                        -0.12026377f,   -0.0582941175f, -0.175735265f,  0.016351562f});
  expect_tensor<float>(out[1], {2, 2, 2},
                       {-0.20978421f, -0.116116628f, -0.273498684f, -0.153138593f, 0.00894792378f,
                        0.243441015f, -0.0861971974f, 0.0740346387f});
}

TEST(GRU, LinearBeforeResetReversedWithLengths) {
  OpCase c = recurrent("GRU", 3, 1);
  c.attr("linear_before_reset", int64_t{1}).attr("direction", std::string("reverse"));
  const auto out = with_lengths(c).run_all();
  expect_tensor<float>(
      out[0], {3, 1, 2, 2},
      {-0.410547882f, -0.451406956f, -0.135745883f, -0.407280684f, -0.353905857f, -0.201780632f,
       -0.17902258f, -0.558095276f, -0.310344517f, -0.0422476679f, 0, 0});
  expect_tensor<float>(out[1], {1, 2, 2},
                       {-0.410547882f, -0.451406956f, -0.135745883f, -0.407280684f});
}

TEST(LSTM, Forward) {
  const auto out = recurrent("LSTM", 4, 1).run_all();
  expect_tensor<float>(
      out[0], {3, 1, 2, 2},
      {0.105150677f, 0.011248827f, 0.117977656f, -0.198758647f, 0.207478821f, -0.178651288f,
       0.0756564364f, -0.0140218055f, 0.138570592f, -0.254352361f, 0.171465233f, -0.195582628f});
  expect_tensor<float>(out[2], {1, 2, 2},
                       {0.630361855f, -0.388332784f, 0.619010806f, -0.306357741f});
}

TEST(LSTM, PeepholesReversedWithLengths) {
  OpCase c = recurrent("LSTM", 4, 1);
  c.attr("direction", std::string("reverse"));
  with_lengths(c).in(pattern({1, 2, 2}, 4)).in(pattern({1, 6}, 5));
  const auto out = c.run_all();
  expect_tensor<float>(
      out[0], {3, 1, 2, 2},
      {0.141042426f, 0.00340688298f, 0.134388104f, -0.19422105f, 0.199049801f, -0.219712257f,
       0.00529222982f, 0.0530517548f, 0.0855573341f, -0.145557716f, 0, 0});
  expect_tensor<float>(out[2], {1, 2, 2},
                       {0.599777937f, 0.00429388136f, 0.426013768f, -0.297982603f});
}

TEST(LSTM, ClipAndCoupledGates) {
  OpCase c = recurrent("LSTM", 4, 1);
  c.attr("clip", 0.3f).attr("input_forget", int64_t{1});
  expect_tensor<float>(c.run_all()[1], {1, 2, 2},
                       {0.11173664f, -0.131722674f, 0.110460073f, -0.109785058f});
}

// The numbers of activation_alpha and activation_beta go to the activations that take them, in
// order.
TEST(LSTM, Activations) {
  OpCase c = recurrent("LSTM", 4, 1);
  c.attr("activations", std::vector<std::string>{"HardSigmoid", "Softsign", "ScaledTanh"})
      .attr("activation_alpha", std::vector<float>{0.3f, 1.5f})
      .attr("activation_beta", std::vector<float>{0.4f, 0.5f});
  expect_tensor<float>(c.run_all()[1], {1, 2, 2},
                       {0.0300648157f, -0.0983362645f, 0.0518407114f, -0.0786807165f});
}

TEST(LSTM, LayoutPutsTheBatchFirst) {
  const Tensor x = pattern({3, 2, 2}, 1);
  Tensor batch_first(DType::kF32, {2, 3, 2});
  for (size_t t = 0; t < 3; ++t)
    for (size_t b = 0; b < 2; ++b)
      for (size_t i = 0; i < 2; ++i)
        batch_first.mutable_data<float>()[(b * 3 + t) * 2 + i] =
            x.data<float>()[(t * 2 + b) * 2 + i];
  OpCase c("LSTM", 14);
  c.in(batch_first).in(pattern({1, 8, 2}, 1)).in(pattern({1, 8, 2}, 2)).in(pattern({1, 16}, 3));
  const auto out = c.attr("layout", int64_t{1}).outputs(3).run_all();
  const auto y = recurrent("LSTM", 4, 1).run_all();
  ASSERT_EQ(shape_text(out[0].shape()), "[2,3,1,2]");
  EXPECT_EQ(out[0].data<float>()[2], y[0].data<float>()[4]);  // batch 0, step 1
  EXPECT_EQ(shape_text(out[1].shape()), "[2,1,2]");
}

TEST(LSTM, TypesAndRefusals) {
  const auto lstm = [](Dim gates) {
    return OpCase("LSTM", 14)
        .in_type(DType::kF32, {Dim::named("T"), Dim::named("N"), 3})
        .in_type(DType::kF32, {1, gates, 3})
        .in_type(DType::kF32, {1, 20, 5})
        .outputs(3);
  };
  EXPECT_EQ(lstm(20).infer_all()[0].text(), "float32[T,1,N,5]");
  EXPECT_EQ(lstm(20).infer_all()[2].text(), "float32[1,N,5]");
  expect_error(lstm(16).infer_error(), ErrorCode::kInvalid, "16 and 20");
  OpCase direction = lstm(20);
  direction.attr("direction", std::string("both"));
  expect_error(direction.infer_error(), ErrorCode::kInvalid, "both");
  OpCase activation = recurrent("LSTM", 4, 1);
  activation.attr("activations", std::vector<std::string>{"Gelu", "Tanh", "Tanh"});
  expect_error(activation.run_error(), ErrorCode::kInvalid, "gelu");
}

}  // namespace
}  // namespace lapidary
