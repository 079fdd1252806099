#include "lapidary/exec.h"

#include "src/exec/parts.h"
#include "src/exec/prepare.h"
#include "src/exec/samples.h"
#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

/// A graph over x [N, ...], N known or not.
template <class Build>
Graph graph_of(std::vector<Dim> shape, Build&& build, DType dtype = DType::kF32) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", dtype, std::move(shape));
  b.output(build(b, x));
  return graph;
}

Tensor ints(std::vector<int64_t> values) {
  return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
}

/// The shape of "y" for `fewer` samples of `samples`; empty where the samples are not apart.
Shape result_of_fewer(Graph graph, int64_t samples, int64_t fewer) {
  InputShapes shapes;
  for (const ValueId id : graph.inputs()) {
    Shape shape;
    for (const Dim& dim : *graph.value(id).type.shape)
      shape.push_back(dim.known() ? dim.value : samples);
    shapes.emplace(graph.value(id).name, shape);
  }
  bind_shapes(graph, shapes);
  if (sample_count(graph) != samples) return {};
  const auto some = with_fewer_samples(graph, samples, fewer);
  if (!some) return {};
  return some->value(some->outputs()[0]).type.static_shape();
}

TEST(Samples, ApartWhereEveryNodeKeepsThemApart) {
  const auto apart = [](auto build, std::vector<Dim> shape = {Dim::named("N"), 3, 4, 4}) {
    return result_of_fewer(graph_of(std::move(shape), build), 6, 2);
  };
  using B = GraphBuilder;
  EXPECT_EQ(apart([](B& b, ValueId x) { return b.op("Relu", {x}, {}, "y"); }), (Shape{2, 3, 4, 4}));
  // Sizes of the batch in the file: 6 x 3 x 4 x 4 as 18 rows, three of each sample.
  EXPECT_EQ(apart(
                [](B& b, ValueId x) {
                  return b.op("Reshape", {x, b.constant("s", ints({18, 16}))}, {}, "y");
                },
                {6, 3, 4, 4}),
            (Shape{6, 16}));
  EXPECT_EQ(apart([](B& b, ValueId x) {
              return b.op("Transpose", {x}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}}}, "y");
            }),
            (Shape{2, 4, 4, 3}));
  EXPECT_EQ(apart([](B& b, ValueId x) {
              const ValueId w = b.constant("w", random_floats({4, 5}, 1));
              return b.op("MatMul", {x, w}, {}, "y");
            }),
            (Shape{2, 3, 4, 5}));
  EXPECT_EQ(
      apart([](B& b, ValueId x) {
        const ValueId t = b.op("Transpose", {x}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
        return b.op("MatMul", {x, t}, {}, "y");
      }),
      (Shape{2, 3, 4, 4}));
  // The same token before every sample's.
  EXPECT_EQ(apart(
                [](B& b, ValueId x) {
                  Tensor token(DType::kF32, {6, 1, 4});
                  for (size_t i = 0; i < 24; ++i)
                    token.mutable_data<float>()[i] = static_cast<float>(i % 4);
                  return b.op("Concat", {b.constant("t", token), x}, {{"axis", int64_t{1}}}, "y");
                },
                {6, 3, 4}),
            (Shape{2, 4, 4}));
}

TEST(Samples, TogetherWhereANodeMixesThem) {
  using B = GraphBuilder;
  const auto together = [](auto build, std::vector<Dim> shape = {6, 3, 4, 4}) {
    return result_of_fewer(graph_of(std::move(shape), build), 6, 2).empty();
  };
  const auto perm = [](std::vector<int64_t> p) {
    return [p](B& b, ValueId x) { return b.op("Transpose", {x}, {{"perm", p}}, "y"); };
  };
  EXPECT_TRUE(together(perm({1, 0, 2, 3})));
  EXPECT_FALSE(together(perm({0, 1, 3, 2})));
  EXPECT_TRUE(together([](B& b, ValueId x) {
    return b.op("Softmax", {x}, {{"axis", int64_t{0}}}, "y");
  }));
  EXPECT_TRUE(together([](B& b, ValueId x) {
    return b.op("ReduceMean", {x}, {{"axes", std::vector<int64_t>{0, 1}}}, "y");
  }));
  EXPECT_TRUE(together([](B& b, ValueId x) {  // all axes
    return b.op("ReduceMean", {x}, {}, "y");
  }));
  EXPECT_TRUE(together([](B& b, ValueId x) {
    return b.op("Reshape", {x, b.constant("s", ints({4, 72}))}, {}, "y");
  }));
  EXPECT_TRUE(together([](B& b, ValueId x) {
    return b.op("Concat", {x, x}, {{"axis", int64_t{0}}}, "y");
  }));
  EXPECT_TRUE(together([](B& b, ValueId x) {  // another constant for every sample
    return b.op("Add", {x, b.constant("c", random_floats({6, 3, 4, 4}, 1))}, {}, "y");
  }));
  EXPECT_FALSE(together([](B& b, ValueId x) {
    return b.op("Add", {x, b.constant("c", random_floats({1, 3, 4, 4}, 1))}, {}, "y");
  }));
  EXPECT_TRUE(together([](B& b, ValueId x) {  // rows of the batch on a later axis
    const ValueId t = b.op("Transpose", {x}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}}});
    const ValueId r = b.op("Reshape", {t, b.constant("s", ints({1, 6, 4, 12}))});
    return b.op("Relu", {r}, {}, "y");
  }));
  EXPECT_TRUE(together(  // one scale of all samples
      [](B& b, ValueId x) { return b.ops("DynamicQuantizeLinear", 3, {x})[0]; }, {6, 3}));
  EXPECT_TRUE(together(  // a scale for each sample
      [](B& b, ValueId x) {
        const ValueId s = b.constant("s", Tensor::of<float>({6}, {1, 2, 3, 4, 5, 6}));
        const ValueId z = b.constant("z", Tensor(DType::kU8, {6}));
        return b.op("QuantizeLinear", {x, s, z}, {{"axis", int64_t{0}}}, "y");
      },
      {6, 3}));
  EXPECT_TRUE(together(  // sums over samples
      [](B& b, ValueId x) {
        return b.op("Gemm", {x, b.constant("w", random_floats({6, 2}, 1))},
                    {{"transA", int64_t{1}}}, "y");
      },
      {6, 3}));
}

/// x [N,3,8,8] -> Conv, Relu -> QDQ -> Conv -> Add -> pooling -> Gemm.
Graph small_net(Dim batch) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const auto qdq = [&](ValueId v, float scale, const std::string& name) {
    const ValueId s = b.constant(name + "_s", Tensor::scalar(scale));
    const ValueId z = b.constant(name + "_z", Tensor::scalar<uint8_t>(128));
    return b.op("DequantizeLinear", {b.op("QuantizeLinear", {v, s, z}), s, z});
  };
  const auto weights = [&](Shape shape, const std::string& name) {
    const ValueId q = b.constant(name, random_bytes(DType::kI8, std::move(shape), 5));
    const ValueId s = b.constant(name + "_s", Tensor::scalar(0.01f));
    return b.op("DequantizeLinear", {q, s});
  };
  const std::vector<int64_t> pads = {1, 1, 1, 1};
  const ValueId x = qdq(b.input("x", DType::kF32, {batch, 3, 8, 8}), 0.05f, "x");
  const ValueId c = qdq(b.op("Conv", {x, weights({8, 3, 3, 3}, "w")}, {{"pads", pads}}), 0.1f, "c");
  const ValueId d = qdq(b.op("Conv", {c, weights({8, 8, 3, 3}, "v")}, {{"pads", pads}}), 0.2f, "d");
  const ValueId sum = qdq(b.op("Add", {c, d}), 0.3f, "sum");
  const ValueId mean = qdq(b.op("GlobalAveragePool", {sum}), 0.1f, "mean");
  const ValueId flat =
      b.op("Reshape", {mean, b.constant("shape", ints({batch.known() ? 6 : -1, 8}))});
  b.output(qdq(b.op("Gemm", {flat, weights({8, 5}, "g")}), 0.3f, "out"));
  return graph;
}

TEST(Samples, ApartInALoweredNet) {
  for (const Dim& batch : {Dim::named("N"), Dim(6)}) {
    Prepared net = prepare(small_net(batch), {});
    EXPECT_EQ(result_of_fewer(std::move(net.graph), 6, 3), (Shape{3, 5}));
  }
}

TEST(Batch, PartsAreAsManyForEachThread) {
  EXPECT_EQ(part_size(32, 1), 4);
  EXPECT_EQ(part_size(32, 2), 4);
  EXPECT_EQ(part_size(8, 8), 1);
  EXPECT_EQ(part_size(6, 2), 3);  // 2 parts; of 2 samples 3
  EXPECT_EQ(part_size(6, 3), 2);
  EXPECT_EQ(part_size(8, 3), 2);  // 4 parts, one of them on all threads
  EXPECT_EQ(part_size(7, 2), 1);
  EXPECT_EQ(part_size(3, 8), 3);  // whole: fewer samples than threads
  EXPECT_EQ(part_size(4, 1), 4);
}

TEST(Batch, PartsGiveTheBitsOfTheLoweredGraph) {
  for (const Dim& batch : {Dim::named("N"), Dim(6)}) {
    const Graph graph = small_net(batch);
    Graph lowered = graph;
    lower_qdq(lowered);
    Executor reference(lowered, {.executor = ExecutorKind::kReference});
    const std::string y = graph.value(graph.outputs()[0]).name;
    for (const int threads : {1, 2, 3, 8}) {
      Executor fast(graph, {.threads = threads});
      // 7 parts leave some on one, two and three threads.
      for (const int64_t samples :
           batch.known() ? std::vector<int64_t>{6, 6} : std::vector<int64_t>{1, 6, 7, 2, 6}) {
        const Executor::Values inputs = {
            {"x", random_floats({samples, 3, 8, 8}, static_cast<uint64_t>(samples))}};
        EXPECT_TRUE(fast.run(inputs).at(y).equals(reference.run(inputs).at(y)))
            << samples << " samples, " << threads << " threads";
      }
    }
  }
}

TEST(Batch, StepsAreThoseOfTheWholeBatch) {
  const Graph graph = small_net(Dim::named("N"));
  const auto macs = [](const std::vector<StepInfo>& steps) {
    int64_t all = 0;
    for (const StepInfo& step : steps) all += step.macs;
    return all;
  };
  Executor fast(graph, {.threads = 2});
  fast.run({{"x", random_floats({6, 3, 8, 8}, 1)}});
  // Of a sample: 8 x 8 pixels x 8 channels x 27 and x 72 products, and 8 x 5.
  EXPECT_EQ(macs(fast.steps()), 6 * (64 * 8 * 27 + 64 * 8 * 72 + 40));
}

TEST(Batch, OutputsAreIndependentOfLaterRuns) {
  Executor fast(small_net(Dim::named("N")), {.threads = 2});
  const std::string y = fast.graph().value(fast.graph().outputs()[0]).name;
  const Tensor first = fast.run({{"x", random_floats({6, 3, 8, 8}, 1)}}).at(y);
  const Tensor copy = Tensor::of<float>(first.shape(), first.data<float>());
  fast.run({{"x", random_floats({6, 3, 8, 8}, 2)}});
  EXPECT_TRUE(first.equals(copy));
}

TEST(Batch, InputsMayBeOutputs) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), 4});
  const ValueId r = b.op("Relu", {x}, {}, "r");
  const ValueId flat = b.op("Reshape", {r, b.constant("s", ints({-1, 2, 2}))}, {}, "flat");
  for (const ValueId v : {x, r, flat}) b.output(v);
  const Tensor given = random_floats({6, 4}, 3);
  Executor fast(graph, {.threads = 2}), reference(graph, {.executor = ExecutorKind::kReference});
  const auto got = fast.run({{"x", given}}), expected = reference.run({{"x", given}});
  for (const auto& [name, tensor] : expected) EXPECT_TRUE(got.at(name).equals(tensor)) << name;
}

}  // namespace
}  // namespace lapidary::exec
