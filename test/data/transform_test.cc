#include "src/data/transform.h"

#include <cmath>
#include <limits>

#include "test/data/data_test_util.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_data::error_of;

Stored stored(Tensor tensor) {
  Stored out;
  out.tensor = std::move(tensor);
  return out;
}

// torchvision 0.x Resize(256) on H x W: short side 256, long int(256 * long / short);
// CenterCrop(224): int(round((side - 224) / 2)) with Python's round, half to even. Worked out by
// hand.
TEST(Place, ResizeAndCropAsTorchvision) {
  const DatasetSpec spec{.kind = "images", .resize = {256}, .crop = {224}};
  EXPECT_EQ(place(spec, 375, 500), (Placement{256, 341, 224, 224, -16, -58}));  // 58.5 -> 58
  EXPECT_EQ(place(spec, 500, 375), (Placement{341, 256, 224, 224, -58, -16}));
  EXPECT_EQ(place(spec, 224, 224), (Placement{256, 256, 224, 224, -16, -16}));
  EXPECT_EQ(place(spec, 427, 640), (Placement{256, 383, 224, 224, -16, -80}));  // 79.5 -> 80
}

// CenterCrop of a smaller picture: floor of half the difference before it.
TEST(Place, SmallPicturesArePadded) {
  const DatasetSpec spec{.kind = "images", .crop = {10, 7}};
  EXPECT_EQ(place(spec, 5, 20), (Placement{5, 20, 10, 7, 2, -6}));  // 6.5 -> 6
}

TEST(Place, LetterboxKeepsTheAspect) {
  DatasetSpec spec{.kind = "images", .letterbox = Letterbox{{416, 416}}};
  EXPECT_EQ(place(spec, 427, 640), (Placement{277, 416, 416, 416, 0, 0}));  // 427 * .65 = 277.55
  EXPECT_EQ(place(spec, 640, 480), (Placement{416, 312, 416, 416, 0, 0}));
  spec.letterbox->align = "centre";
  EXPECT_EQ(place(spec, 427, 640), (Placement{277, 416, 416, 416, 69, 0}));  // 139 / 2
  EXPECT_EQ(place(spec, 1, 65000), (Placement{1, 416, 416, 416, 207, 0}));
}

TEST(Transform, CropFillsWithItsValue) {
  const DatasetSpec spec{.kind = "raw", .crop = {1, 4}, .crop_fill = 9};
  const Transform transform(spec, {}, true);
  const Tensor out = transform(stored(Tensor::of<uint8_t>({1, 1, 2}, {5, 6})));
  EXPECT_EQ(out.shape(), (Shape{1, 1, 4}));
  EXPECT_THAT(out.data<float>(), ElementsAre(9, 5, 6, 9));
}

// numpy: ((x.astype(f4) * f4(1/255)) - f4(mean)) / f4(std), printed with repr as C literals.
TEST(Transform, NormalisesInFloat32) {
  const DatasetSpec spec{.kind = "raw",
                         .scale = 0.00392156862745098,
                         .mean = {0.485, 0.456, 0.406},
                         .std = {0.229, 0.224, 0.225}};
  const Tensor pixel = Tensor::of<uint8_t>({3, 1, 1}, {10, 128, 255});
  const auto expected = ElementsAre(-1.9466564655303955f, 0.20518219470977783f, 2.640000104904175f);
  EXPECT_THAT(Transform(spec, {}, true)(stored(pixel)).data<float>(), expected);
  // The same arithmetic without the table of 256 values.
  EXPECT_THAT(Transform(spec, {}, false)(stored(pixel)).data<float>(), expected);
}

TEST(Transform, LayoutsAndChannels) {
  const Tensor rows = Tensor::of<uint8_t>({1, 2, 3}, {1, 2, 3, 4, 5, 6});  // [H, W, C]
  DatasetSpec spec{.kind = "raw", .layout = "nhwc"};
  const Tensor planes = Transform(spec, {}, true)(stored(rows));
  EXPECT_EQ(planes.shape(), (Shape{3, 1, 2}));
  EXPECT_THAT(planes.data<float>(), ElementsAre(1, 4, 2, 5, 3, 6));
  const InputRequest nhwc{.layout = Layout::kNhwc};
  EXPECT_THAT(Transform(spec, nhwc, true)(stored(rows)).data<float>(),
              ElementsAre(1, 2, 3, 4, 5, 6));
  spec.channels = "bgr";
  EXPECT_THAT(Transform(spec, {}, true)(stored(rows)).data<float>(), ElementsAre(3, 6, 2, 5, 1, 4));
  const InputRequest bytes{.dtype = DType::kU8};
  EXPECT_THAT(Transform(spec, bytes, true)(stored(rows)).data<uint8_t>(),
              ElementsAre(3, 6, 2, 5, 1, 4));

  const Tensor floats = Tensor::of<float>({1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const DatasetSpec stored_nhwc{.kind = "npy", .layout = "nhwc", .mean = {1, 2, 3}};
  EXPECT_THAT(Transform(stored_nhwc, {}, false)(stored(floats)).data<float>(),
              ElementsAre(0, 3, 0, 3, 0, 3));
}

TEST(Transform, TypesAreConvertedOrRefused) {
  const DatasetSpec spec{.kind = "npy"};
  const Tensor doubles = Tensor::of<double>({2}, {0.1, 1e300});
  EXPECT_EQ(Transform(spec, {}, false)(stored(doubles)).dtype(), DType::kF64);
  const Tensor half =
      Transform(spec, {.dtype = DType::kF16}, false)(stored(Tensor::of<float>({1}, {1.5f})));
  EXPECT_EQ(half.data<Half>()[0].bits, 0x3E00);
  EXPECT_THAT(error_of([&] { Transform(spec, {.dtype = DType::kI64}, false)(stored(doubles)); }),
              HasSubstr("3: samples are float64, the graph input wants int64"));
}

TEST(Transform, ShapesAreChecked) {
  const DatasetSpec spec{.kind = "npy"};
  const InputRequest wants{.shape = {3, -1, 32}};
  const auto run = [&](Shape shape) {
    return error_of([&] { Transform(spec, wants, false)(stored(Tensor(DType::kF32, shape))); });
  };
  EXPECT_EQ(run({3, 5, 32}), "no error");
  EXPECT_THAT(run({5, 32, 3}),
              HasSubstr("3: shape [5,32,3], the graph input wants [3,-1,32]; it looks "
                        "like height, width, channels: say 'layout: nhwc'"));
  EXPECT_THAT(run({4, 5, 6}), HasSubstr("3: shape [4,5,6], the graph input wants [3,-1,32]"));
}

TEST(Transform, FindsNonFiniteValues) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(first_nonfinite(Tensor::of<float>({3}, {1, 2, inf})), 2);
  EXPECT_EQ(first_nonfinite(Tensor::of<double>({2}, {std::nan(""), 0})), 0);
  EXPECT_EQ(first_nonfinite(Tensor::of<Half>({2}, {Half{0x3C00}, Half{0x7C00}})), 1);
  EXPECT_EQ(first_nonfinite(Tensor::of<BFloat16>({1}, {BFloat16{0x3F80}})), -1);
  EXPECT_EQ(first_nonfinite(Tensor::of<int64_t>({1}, {1})), -1);
}

}  // namespace
}  // namespace lapidary
