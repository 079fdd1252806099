#include "src/exec/steps/groups.h"

#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

/// Groups are computed as one with zeros between them; what is not finite stays in its own group.
TEST(JoinedGroups, KeepInfinityAndNanApart) {
  const kernels::ConvShape shape{.in_c = 8, .out_c = 12, .groups = 4};
  ASSERT_GT(groups_to_join(shape), 1);
  under_each_isa([&] {
    for (const float bad : {INFINITY, NAN})
      for (int64_t group = 0; group < 4; ++group) {
        Graph graph = new_graph();
        GraphBuilder b(graph);
        Tensor x = random_floats({1, 8, 5, 5}, 1);
        x.mutable_data<float>()[static_cast<size_t>(group * 2 * 25 + 12)] = bad;
        b.output(b.op("Conv",
                      {b.input("x", DType::kF32, {1, 8, 5, 5}),
                       b.constant("w", random_weights({12, 2, 3, 3}, 2))},
                      {{"group", int64_t{4}}}, "y"));
        const Tensor y = expect_same(graph, {{"x", x}}, "conv_f32", 1e-5, 2).at("y");
        for (const FloatArithmetic arithmetic :
             {FloatArithmetic::kBf16, FloatArithmetic::kF16Storage}) {
          Executor narrow(graph, {.float_arithmetic = arithmetic});
          const Tensor got = narrow.run({{"x", x}}).at("y");
          for (int64_t i = 0; i < got.size(); ++i)
            EXPECT_EQ(std::isfinite(got.data<float>()[static_cast<size_t>(i)]),
                      std::isfinite(y.data<float>()[static_cast<size_t>(i)]))
                << i;
        }
      }
  });
}

TEST(AllFinite, SeesOneElementAnywhere) {
  for (const float bad : {INFINITY, -INFINITY, NAN, 3.4e38f})
    for (const size_t place : {size_t{0}, size_t{49'999}, size_t{99'999}}) {
      std::vector<float> x(100'000, -3e38f);
      EXPECT_TRUE(all_finite(x.data(), std::ssize(x), 2));
      x[place] = bad;
      EXPECT_FALSE(all_finite(x.data(), std::ssize(x), 2)) << bad << " at " << place;
    }
}

}  // namespace
}  // namespace lapidary::exec
