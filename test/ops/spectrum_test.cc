#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31.1 on the same node (its float32 residue of exact zeros
// dropped).

namespace lapidary {
namespace {

constexpr double kTolerance = 1e-5;

OpCase dft() { return OpCase("DFT", 17).in<float>({1, 5, 1}, {1, 2, 0.5f, -1, 3}); }

TEST(DFT, RealSignal) {
  expect_tensor<float>(dft().run(), {1, 5, 2},
                       {5.5f, 0, 2.94959378f, 0.0693768263f, -3.19959211f, 2.01437306f,
                        -3.19959593f, -2.01436925f, 2.94959307f, -0.0693808794f},
                       kTolerance, kTolerance);
  expect_tensor<float>(dft().attr("onesided", int64_t{1}).run(), {1, 3, 2},
                       {5.5f, 0, 2.94959378f, 0.0693768263f, -3.19959211f, 2.01437306f}, kTolerance,
                       kTolerance);
  expect_tensor<float>(dft().in(Tensor::scalar<int64_t>(4)).run(), {1, 4, 2},
                       {2.5f, 0, 0.5f, -3, 0.5f, 0, 0.5f, 3}, kTolerance, kTolerance);
}

TEST(DFT, InverseOfAComplexSpectrum) {
  expect_tensor<float>(OpCase("DFT", 17)
                           .in<float>({1, 3, 2}, {1, 0, 2, -1, 0, 0.5f})
                           .attr("inverse", int64_t{1})
                           .run(),
                       {1, 3, 2},
                       {1, -0.166666895f, 0.433012843f, 0.660683453f, -0.433012664f, -0.494016856f},
                       kTolerance, kTolerance);
}

TEST(DFT, Refusals) {
  expect_error(dft().attr("axis", int64_t{2}).infer_error(), ErrorCode::kInvalid, "axis");
  expect_error(dft().in(Tensor::scalar<int64_t>(0)).infer_error(), ErrorCode::kInvalid,
               "dft_length");
  expect_error(dft().in(Tensor::scalar<int64_t>(int64_t{1} << 40)).infer_error(),
               ErrorCode::kResource, "dft_length");
  expect_error(OpCase("DFT", 17).in_type(DType::kF32, {1, 4, 3}).infer_error(), ErrorCode::kInvalid,
               "last axis");
}

TEST(STFT, OneSidedFrames) {
  const Tensor out = OpCase("STFT", 17)
                         .in<float>({1, 8, 1}, {0, 1, 2, 3, 4, 5, 6, 7})
                         .in(Tensor::scalar<int64_t>(2))
                         .in<float>({4}, {0.5f, 1, 1, 0.5f})
                         .run();
  expect_tensor<float>(
      out, {1, 3, 3, 2},
      {4.5f, 0, -2, 0.5f, -0.5f, 0, 10.5f, 0, -3, -0.5f, -0.5f, 0, 16.5f, 0, -4, -1.5f, -0.5f, 0},
      kTolerance, kTolerance);
  expect_error(OpCase("STFT", 17)
                   .in_type(DType::kF32, {1, 8, 1})
                   .in(Tensor::scalar<int64_t>(0))
                   .in_type(DType::kF32, {4})
                   .infer_error(),
               ErrorCode::kInvalid, "frame_step");
}

TEST(WindowFunctions, PeriodicAndSymmetric) {
  const auto window = [](const std::string& op, int64_t periodic) {
    return OpCase(op, 17).in(Tensor::scalar<int64_t>(5)).attr("periodic", periodic).run();
  };
  expect_tensor<float>(window("HannWindow", 1), {5},
                       {0, 0.345491499f, 0.904508471f, 0.904508471f, 0.345491499f});
  expect_tensor<float>(window("HannWindow", 0), {5}, {0, 0.5f, 1, 0.5f, 0});
  expect_tensor<float>(window("HammingWindow", 0), {5},
                       {0.086956501f, 0.543478251f, 1, 0.543478251f, 0.086956501f});
  expect_tensor<float>(window("BlackmanWindow", 1), {5},
                       {0, 0.200770155f, 0.849229872f, 0.849229872f, 0.200770155f});
}

TEST(MelWeightMatrix, Triangles) {
  const auto mel = [](float upper) {
    OpCase c("MelWeightMatrix", 17);
    for (int64_t size : {3, 8, 8192}) c.in(Tensor::scalar<int64_t>(size));
    c.in(Tensor::scalar<float>(0)).in(Tensor::scalar<float>(upper));
    return c;
  };
  expect_tensor<float>(mel(4096).run(), {5, 3}, {1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  expect_error(mel(1e9f).run_error(), ErrorCode::kInvalid, "spectrum bin");
}

}  // namespace
}  // namespace lapidary
