#include "kernels/sign_b1/sign_b1.h"

#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

class SignB1Row : public testing::TestWithParam<SignB1Kernel> {};

TEST_P(SignB1Row, PacksOneBitAChannel) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const float special[] = {0.0f, -0.0f, std::numeric_limits<float>::quiet_NaN(), -1e-45f, 1e-45f};
  Draw draw(5);
  for (int i = 0; i < 200 && !HasFailure(); ++i) {
    SignB1Args a;
    a.batch = draw.in(1, 3);
    a.pixels = draw.in(1, 50);
    a.channels = draw.one_in(3) ? 32 * draw.in(1, 4) : draw.in(1, 100);
    a.planar = draw.one_in(2);
    Array<float> x = draw.reals(a.batch * a.pixels * a.channels, -1, 1);
    for (float& v : x)
      if (draw.one_in(10)) v = special[draw.in(0, 4)];
    const int64_t words = (a.channels + 31) / 32, all = a.batch * a.pixels;
    Array<uint32_t> y(all * words, 77);
    a.x = x.data();
    a.y = y.data();
    a.begin = draw.in(0, all);
    a.end = draw.one_in(2) ? -1 : draw.in(a.begin, all);
    GetParam().call->run(a);
    int64_t differing = 0;
    for (int64_t bit = 0; bit < y.size() * 32; ++bit) {
      const int64_t pixel = bit / (32 * words), c = bit % (32 * words);
      bool expected = true;
      if (pixel < a.begin || pixel >= (a.end < 0 ? all : a.end)) {
        expected = (77u >> bit % 32 & 1u) != 0;
      } else if (c < a.channels) {
        const int64_t n = pixel / a.pixels, at = pixel % a.pixels;
        expected = x[a.planar ? (n * a.channels + c) * a.pixels + at : pixel * a.channels + c] >= 0;
      }
      differing += (y[bit / 32] >> bit % 32 & 1u) != expected;
    }
    EXPECT_EQ(differing, 0) << a.batch << " x " << a.pixels << " x " << a.channels
                            << (a.planar ? " planar" : "");
  }
}

LAPIDARY_EACH_ROW(SignB1Row, sign_b1_kernels());

}  // namespace
}  // namespace lapidary::kernels
