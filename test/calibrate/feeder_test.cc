#include "calibrate/feeder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/calibrate/tiny.h"

namespace lapidary {
namespace {

/// x [batch,3,H,W] -> convolution of 3 channels to 64.
Graph picture_net(const Dim& batch, const Dim& height, const Dim& width) {
  Graph graph = empty_graph(17);
  GraphBuilder build(graph);
  const ValueId x = build.input("x", DType::kF32, {batch, 3, height, width});
  build.output(build.op("Conv", {x, build.constant("w", ramp({64, 3, 1, 1}))}, {}, "conv"));
  infer_types(graph);
  return graph;
}
Graph open_net() { return picture_net(Dim::named("N"), Dim::named("H"), Dim::named("W")); }

Dataset pictures() { return dataset_of({{"x", tiny_samples(3, 0, {3, 128, 128})}}); }

TEST(SampleSizes, OpenSizesAreThoseOfTheSamples) {
  const Graph fixed = picture_net(4, 128, 128), open = open_net();
  for (const Graph* graph : {&fixed, &open}) {
    const SampleSizes sizes(*graph, pictures());
    EXPECT_EQ(sizes.bytes(graph->find_value("x")), 4 * 3 * 128 * 128);
    EXPECT_EQ(sizes.bytes(graph->find_value("conv")), 4 * 64 * 128 * 128);
    EXPECT_EQ(sizes.largest(), 4 * 64 * 128 * 128);
  }
}

// 64 channels of 128 x 128 floats are 4 MB: 4 of them in 16 MB, whoever fixes the sizes.
TEST(SuitableBatch, GoesByTheLargestValueOfASample) {
  EXPECT_EQ(suitable_batch(picture_net(Dim::named("N"), 128, 128), pictures()), 4);
  EXPECT_EQ(suitable_batch(open_net(), pictures()), 4);
  EXPECT_EQ(suitable_batch(open_net(), pictures(), 9), 9);
  const Dataset small = dataset_of({{"x", tiny_samples(3, 0, {3, 2, 2})}});
  EXPECT_EQ(suitable_batch(open_net(), small), 32);
}

TEST(SuitableBatch, OfSeveralGraphsIsTheSmallestThatOneFixes) {
  const Graph one = picture_net(1, 128, 128), seven = picture_net(7, 128, 128), open = open_net();
  const Graph* const all[] = {&open, &seven, &one};
  EXPECT_EQ(suitable_batch(all, pictures(), 9), 1);
  EXPECT_EQ(suitable_batch(std::span(all).first(2), pictures(), 9), 7);
  EXPECT_EQ(suitable_batch(std::span(all).first(1), pictures(), 9), 9);
}

TEST(Feeder, RepeatsTheLastSampleOfAShortBatch) {
  const Graph graph = picture_net(4, 2, 2);
  const Tensor x = tiny_samples(6, 0, {3, 2, 2});
  const Dataset data = dataset_of({{"x", x}});
  const Feeder feeder(graph, data);
  const Batch last = data.batch(4, 4);
  EXPECT_EQ(feeder.rows(last).ran, 4);
  EXPECT_EQ(feeder.rows(last).counted, 2);
  const Tensor fed = feeder.inputs(last).at("x");
  ASSERT_EQ(fed.shape(), (Shape{4, 3, 2, 2}));
  for (size_t i = 0; i < 48; ++i)
    EXPECT_EQ(fed.data<float>()[i],
              x.data<float>()[48 + std::min<size_t>(i / 12, 1) * 12 + i % 12]);
}

TEST(Feeder, AnInputWithADefaultMayBeGivenOrNot) {
  Graph graph = empty_graph(17);
  GraphBuilder build(graph);
  const ValueId x = build.input("x", DType::kF32, {Dim::named("N"), 4});
  const ValueId y = build.constant("offset", ramp({1, 4}));
  graph.mutable_value(y).type.shape = std::vector<Dim>{Dim::named("N"), 4};
  graph.set_inputs({x, y});
  build.output(build.op("Add", {x, y}, {}, "sum"));
  const Tensor values = tiny_samples(3, 0, {4});
  EXPECT_EQ(Feeder(graph, dataset_of({{"x", values}}))
                .inputs(dataset_of({{"x", values}}).batch(0, 3))
                .size(),
            1u);
  const Dataset both = dataset_of({{"x", values}, {"offset", values}});
  EXPECT_EQ(Feeder(graph, both).inputs(both.batch(0, 3)).size(), 2u);
  const Caught caught = error_of([&] { Feeder(graph, dataset_of({{"offset", values}})); });
  EXPECT_EQ(caught.code, ErrorCode::kUsage);
  EXPECT_THAT(caught.text, testing::HasSubstr("the graph takes 1 inputs (x)"));
}

}  // namespace
}  // namespace lapidary
