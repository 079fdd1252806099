#include "src/base/rng.h"
#include "src/ops/fake_quantize.h"
#include "test/ops/op_case.h"

namespace lapidary {
namespace {

OpCase fake_bias() { return OpCase("FakeQuantizeBias", 1, std::string(kOwnDomain)); }

using testing::ElementsAre;
using testing::FloatEq;

TEST(FakeQuantizeBias, RoundsToTheProductOfScales) {
  // Units .5 * .5 and .5 * 2: .9 / .25 = 3.6, -2.5 / 1 (half to even).
  const Tensor y =
      fake_bias().in<float>({2}, {.9f, -2.5f}).in<float>({}, {.5f}).in<float>({2}, {.5f, 2}).run();
  EXPECT_THAT(y.data<float>(), ElementsAre(1, -2));
}

TEST(FakeQuantizeBias, RoundsWhatTheFoldedBiasWillBe) {
  // r = 3 / sqrt(4) = 1.5 and -1.5; o = (0 - 1) r = -1.5 and (2 - 1) -1.5 = -1.5.
  // Units .5 * 1 * 1.5 = .75: (.4 - 1.5) / .75 = -1.47 -> -1, y = -.75 + 1.5.
  //                           (1 - 1.5) / .75 = -.67 -> -1, y = .75.
  const auto made = [](bool own, bool folded) {
    OpCase c = fake_bias();
    c.attr("epsilon", 0.0f);
    if (folded) c.attr("folded_scale", int64_t{1});
    c.in<float>({2}, {.4f, 1})
        .in<float>({}, {.5f})
        .in<float>({}, {1})
        .in<float>({2}, {3, -3})
        .in<float>({2}, {1, 1})
        .in<float>({2}, {4, 4});
    if (own) c.in<float>({2}, {0, 2});
    return c.run();
  };
  EXPECT_THAT(made(true, false).data<float>(), ElementsAre(FloatEq(.75f), FloatEq(.75f)));
  // Without a bias of its own the second o is 1.5: 2.5 / .75 = 3.33 -> 3, y = 2.25 - 1.5.
  EXPECT_THAT(made(false, false).data<float>(), ElementsAre(FloatEq(.75f), FloatEq(.75f)));
  // Units .5: -1.1 / .5 = -2.2 -> -2, y = .5; -.5 / .5 = -1, y = 1.
  EXPECT_THAT(made(true, true).data<float>(), ElementsAre(FloatEq(.5f), FloatEq(1)));
}

TEST(FakeQuantizeBias, ChannelsWithoutAUnitStay) {
  const Tensor y = fake_bias()
                       .in<float>({1}, {.3f})
                       .in<float>({}, {1})
                       .in<float>({1}, {1})
                       .in<float>({1}, {0})
                       .in<float>({1}, {5})
                       .in<float>({1}, {1})
                       .run();
  EXPECT_THAT(y.data<float>(), ElementsAre(.3f));
}

}  // namespace
}  // namespace lapidary
