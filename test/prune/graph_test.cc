#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "lapidary/error.h"
#include "test/prune/net.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::map<std::string, int64_t> sizes(const PruningGraph& graph) {
  std::map<std::string, int64_t> out;
  for (const PruneGroup& group : graph.groups()) out[group.name] = group.units;
  return out;
}

const PruneGroup& group_of(const PruningGraph& graph, const std::string& name) {
  for (const PruneGroup& group : graph.groups())
    if (group.name == name) return group;
  ADD_FAILURE() << "no group " << name;
  return graph.groups().front();
}

/// "conv1.w/0" of every member.
std::vector<std::string> members(const PruneGroup& group) {
  std::vector<std::string> out;
  for (const PruneMember& m : group.members) out.push_back(m.tensor + "/" + std::to_string(m.axis));
  return out;
}

std::string frozen_reason(const PruningGraph& graph, const std::string& tensor, int64_t axis) {
  for (const FrozenAxis& f : graph.frozen())
    if (f.tensor == tensor && f.axis == axis) return f.reason;
  return "";
}

Shape shape_of(const Graph& graph, const std::string& name) {
  return graph.constant(graph.find_value(name))->shape();
}

/// Removes a third of every group, several times over, and expects what the masked graph computes.
void expect_exact(const PruningGraph& graph) {
  ASSERT_THAT(graph.groups(), testing::Not(IsEmpty()));
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const RemovedUnits removed = some_units(graph, 0.34, seed);
    const Graph pruned = graph.prune(removed);
    EXPECT_LT(compare_with_masked(graph, removed, pruned, noise_for(graph.graph())), 1e-5);
    const PruneCost before = graph.cost(RemovedUnits(removed.size())), after = graph.cost(removed);
    EXPECT_LT(after.parameters, before.parameters);
    // What is counted is what is there.
    const PruneCost counted =
        PruningGraph(pruned).cost(RemovedUnits(PruningGraph(pruned).groups().size()));
    EXPECT_EQ(after.macs, counted.macs);
    EXPECT_EQ(after.parameters, counted.parameters);
  }
}

TEST(PruningGraph, ChainOfLayers) {
  PruneNet net;
  ValueId x = net.relu(net.norm("bn", net.conv("a", net.image(), 3, 8), 8));
  x = net.conv("b", x, 8, 4);
  const PruningGraph graph(net.take({x}));
  EXPECT_THAT(sizes(graph), ElementsAre(std::pair("a", 8)));
  EXPECT_THAT(members(graph.groups()[0]),
              UnorderedElementsAre("a.w/0", "a.b/0", "bn.gain/0", "bn.shift/0", "bn.mean/0",
                                   "bn.variance/0", "b.w/1"));
  EXPECT_THAT(frozen_reason(graph, "a.w", 1), HasSubstr("'x0' is an input"));
  EXPECT_THAT(frozen_reason(graph, "b.w", 0), HasSubstr("is an output"));
  const Graph pruned = graph.prune({{1, 6}});
  EXPECT_EQ(shape_of(pruned, "a.w"), (Shape{6, 3, 3, 3}));
  EXPECT_EQ(shape_of(pruned, "bn.mean"), (Shape{6}));
  EXPECT_EQ(shape_of(pruned, "b.w"), (Shape{4, 6, 3, 3}));
  expect_exact(graph);
}

TEST(PruningGraph, ResidualAddsCoupleTheirBranches) {
  PruneNet net;
  const ValueId stem = net.relu(net.conv("stem", net.image(), 3, 8));
  const ValueId inner = net.relu(net.conv("inner", stem, 8, 6));
  const ValueId sum = net.op("Add", {net.conv("outer", inner, 6, 8), stem});
  const PruningGraph graph(net.take({net.conv("last", net.relu(sum), 8, 4)}));
  EXPECT_THAT(sizes(graph), ElementsAre(std::pair("inner", 6), std::pair("stem", 8)));
  EXPECT_THAT(members(group_of(graph, "stem")),
              UnorderedElementsAre("stem.w/0", "stem.b/0", "inner.w/1", "outer.w/0", "outer.b/0",
                                   "last.w/1"));
  expect_exact(graph);
}

// He et al. 2016, option A: every second pixel, channels padded with zeros on both sides.
TEST(PruningGraph, ShortcutThroughSliceAndPad) {
  PruneNet net;
  const ValueId stem = net.relu(net.conv("stem", net.image(), 3, 4));
  const ValueId half = net.op("Slice", {stem, net.ints("starts", {0, 0}), net.ints("ends", {8, 8}),
                                        net.ints("axes", {2, 3}), net.ints("steps", {2, 2})});
  const ValueId padded = net.op("Pad", {half, net.ints("pads", {0, 2, 0, 0, 0, 2, 0, 0})});
  const ValueId down =
      net.op("Conv", {stem, net.weight("down.w", {8, 4, 3, 3}), net.weight("down.b", {8})},
             {{"strides", std::vector<int64_t>{2, 2}}, {"pads", std::vector<int64_t>{1, 1, 1, 1}}},
             "down");
  const ValueId sum = net.op("Add", {down, padded});
  const PruningGraph graph(net.take({net.conv("last", sum, 8, 4)}));
  // Channels 2 to 5 of `down` go with the stem's, the other four alone.
  EXPECT_EQ(group_of(graph, "stem").units, 4);
  EXPECT_EQ(group_of(graph, "down").units, 4);
  EXPECT_THAT(members(group_of(graph, "stem")), testing::IsSupersetOf({"stem.w/0", "down.w/0"}));
  const auto& groups = graph.groups();
  RemovedUnits removed(groups.size());
  for (size_t g = 0; g < groups.size(); ++g)
    removed[g] = groups[g].name == "down" ? std::vector<int64_t>{0} : std::vector<int64_t>{1, 2};
  const Graph pruned = graph.prune(removed);
  const auto pads = pruned.constant(pruned.find_value("pads"))->data<int64_t>();
  EXPECT_THAT(std::vector<int64_t>(pads.begin(), pads.end()), ElementsAre(0, 1, 0, 0, 0, 2, 0, 0));
  EXPECT_EQ(shape_of(pruned, "down.w"), (Shape{5, 2, 3, 3}));
  expect_exact(graph);
}

TEST(PruningGraph, ConcatSplitAndSliceShiftIndices) {
  PruneNet net;
  const ValueId x = net.image();
  const ValueId a = net.conv("a", x, 3, 6), b = net.conv("b", x, 3, 10);
  const ValueId joined = net.relu(net.op("Concat", {a, b}, {{"axis", int64_t{1}}}));
  const auto parts = net.builder().ops("Split", 2, {joined, net.ints("sizes", {9, 7})},
                                       {{"axis", int64_t{1}}}, "split");
  const ValueId middle =
      net.op("Slice", {joined, net.ints("from", {4}), net.ints("to", {12}), net.ints("at", {1})});
  const ValueId sum = net.op("Add", {net.conv("c", parts[0], 9, 4), net.conv("d", parts[1], 7, 4)});
  const PruningGraph graph(net.take({net.conv("last", sum, 4, 2), net.conv("side", middle, 8, 2)}));
  expect_exact(graph);
}

TEST(PruningGraph, SplitIntoEqualPartsGetsSizes) {
  PruneNet net;
  const ValueId x = net.conv("a", net.image(), 3, 8);
  const auto parts = net.builder().ops("Split", 2, {x}, {{"axis", int64_t{1}}}, "split");
  const ValueId gate = net.op("Sigmoid", {net.conv("c", parts[1], 4, 4)});
  const PruningGraph graph(
      net.take({net.op("Add", {net.conv("b", parts[0], 4, 2), net.conv("d", gate, 4, 2)})}));
  expect_exact(graph);
}

TEST(PruningGraph, DepthwiseAndSqueezeExcitation) {
  PruneNet net;
  const ValueId x = net.relu(net.conv("expand", net.image(), 3, 12, 1));
  const ValueId y = net.relu(net.conv("depthwise", x, 12, 12, 3, 12));
  const ValueId pooled = net.op("GlobalAveragePool", {y});
  const ValueId gate = net.op(
      "HardSigmoid", {net.conv("up", net.relu(net.conv("squeeze", pooled, 12, 4, 1)), 4, 12, 1)});
  const ValueId scaled = net.op("Mul", {y, gate});
  const PruningGraph graph(net.take({net.conv("project", scaled, 12, 5, 1)}));
  EXPECT_THAT(sizes(graph), ElementsAre(std::pair("expand", 12), std::pair("squeeze", 4)));
  const Graph pruned = graph.prune({{0, 1, 5}, {2}});
  for (NodeId id : pruned.nodes())
    if (pruned.node(id).name == "depthwise") {
      EXPECT_EQ(std::get<int64_t>(*pruned.node(id).attr("group")), 9);
    }
  expect_exact(graph);
}

TEST(PruningGraph, GroupedConvolutionLosesInEveryGroupOrWholeGroups) {
  PruneNet net;
  const ValueId x = net.relu(net.conv("a", net.image(), 3, 12, 1));
  const ValueId y = net.relu(net.conv("grouped", x, 12, 8, 3, 4));
  const PruningGraph graph(net.take({net.conv("last", y, 8, 4)}));
  // 4 groups, 3 inputs and 2 outputs of each
  std::vector<int64_t> units;
  for (const PruneGroup& group : graph.groups()) units.push_back(group.units);
  EXPECT_THAT(units, UnorderedElementsAre(4, 3, 2));
  expect_exact(graph);
}

// Zhang et al. 2018: Reshape, Transpose, Reshape.
TEST(PruningGraph, ChannelShuffle) {
  PruneNet net;
  const ValueId x = net.image();
  const ValueId joined =
      net.op("Concat", {net.conv("a", x, 3, 6), net.conv("b", x, 3, 6)}, {{"axis", int64_t{1}}});
  ValueId y = net.op("Reshape", {joined, net.ints("apart", {1, 2, 6, 8, 8})});
  y = net.op("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 2, 1, 3, 4}}});
  y = net.op("Reshape", {y, net.ints("together", {1, 12, 8, 8})});
  const PruningGraph graph(net.take({net.conv("last", y, 12, 4)}));
  EXPECT_THAT(sizes(graph), testing::Contains(std::pair("a", 6)));
  expect_exact(graph);
}

TEST(PruningGraph, FlattenAndReshapeToGemm) {
  for (const bool reshape : {false, true}) {
    PruneNet net;
    const ValueId x = net.op(
        "MaxPool", {net.conv("a", net.image(), 3, 6)},
        {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}});
    const ValueId flat = reshape ? net.op("Reshape", {x, net.ints("flat", {1, 96})})
                                 : net.op("Flatten", {x}, {{"axis", int64_t{1}}});
    const PruningGraph graph(
        net.take({net.gemm("last", net.relu(net.gemm("hidden", flat, 96, 10)), 10, 3)}));
    EXPECT_THAT(sizes(graph), ElementsAre(std::pair("a", 6), std::pair("hidden", 10)));
    for (const PruneMember& m : group_of(graph, "a").members)
      if (m.tensor == "hidden.w") {
        EXPECT_EQ(m.elements[2].size(), 16u);
      }
    expect_exact(graph);
  }
}

TEST(PruningGraph, TransposedConvolutionDepthToSpaceResize) {
  PruneNet net;
  const ValueId x = net.relu(net.conv("a", net.image(), 3, 8));
  const ValueId down = net.op(
      "MaxPool", {x},
      {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}});
  const ValueId low = net.relu(net.conv("low", down, 8, 6));
  const ValueId up =
      net.op("ConvTranspose", {low, net.weight("up.w", {6, 8, 2, 2}), net.weight("up.b", {8})},
             {{"strides", std::vector<int64_t>{2, 2}}}, "up");
  const ValueId skip = net.op("Concat", {x, up}, {{"axis", int64_t{1}}});
  const ValueId wide = net.conv("wide", skip, 16, 16);
  const ValueId pixels =
      net.op("DepthToSpace", {wide}, {{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}});
  const ValueId resized =
      net.op("Resize",
             {net.conv("b", pixels, 4, 5), ValueId{},
              net.builder().constant("scales", Tensor::of<float>({4}, {1, 1, 2, 2}))},
             {{"mode", std::string("nearest")}});
  const PruningGraph graph(net.take({net.conv("last", resized, 5, 2)}));
  EXPECT_EQ(group_of(graph, "wide").units, 4);
  expect_exact(graph);
}

/// Attention over 5 tokens of 12 features, 3 heads of 4.
Graph attention(bool fused) {
  PruneNet net;
  const ValueId x = net.image({1, 5, 12});
  const auto project = [&](const std::string& name, int64_t out) {
    return net.op("Add", {net.op("MatMul", {x, net.weight(name + ".w", {12, out})}, {}, name),
                          net.weight(name + ".b", {out})});
  };
  std::vector<ValueId> qkv;
  if (fused) {
    const ValueId all =
        net.op("Reshape", {project("qkv", 36), net.ints("heads5", {1, 5, 3, 3, 4})});
    const ValueId turned =
        net.op("Transpose", {all}, {{"perm", std::vector<int64_t>{2, 0, 3, 1, 4}}});
    for (int64_t i = 0; i < 3; ++i)
      qkv.push_back(net.op("Gather", {turned, net.builder().constant("at" + std::to_string(i),
                                                                     Tensor::scalar<int64_t>(i))}));
  } else {
    for (const char* name : {"q", "k", "v"})
      qkv.push_back(net.op(
          "Transpose",
          {net.op("Reshape",
                  {project(name, 12), net.ints(std::string("heads_") + name, {1, 5, 3, 4})})},
          {{"perm", std::vector<int64_t>{0, 2, 1, 3}}}));
  }
  const ValueId turned_k =
      net.op("Transpose", {qkv[1]}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
  const ValueId weights =
      net.op("Softmax", {net.op("MatMul", {qkv[0], turned_k})}, {{"axis", int64_t{-1}}});
  const ValueId mixed = net.op("Transpose", {net.op("MatMul", {weights, qkv[2]})},
                               {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
  const ValueId flat = net.op("Reshape", {mixed, net.ints("flat", {0, 0, 12})});
  return net.take({net.op("MatMul", {flat, net.weight("out.w", {12, 12})}, {}, "out")});
}

TEST(PruningGraph, HeadsOfAttention) {
  for (const bool fused : {false, true}) {
    const PruningGraph graph(attention(fused));
    std::vector<int64_t> units;
    for (const PruneGroup& group : graph.groups()) units.push_back(group.units);
    // heads; features of queries and keys; features of values. Fused, the slices of one reshaped
    // weight have their features in common.
    if (fused) {
      EXPECT_THAT(units, UnorderedElementsAre(3, 4));
    } else {
      EXPECT_THAT(units, UnorderedElementsAre(3, 4, 4));
    }
    expect_exact(graph);
  }
}

TEST(PruningGraph, NamesOfGroupsAreUnique) {
  // Features of queries and keys, and heads: both are first computed by q.
  EXPECT_THAT(sizes(PruningGraph(attention(false))),
              UnorderedElementsAre(std::pair("q", 4), std::pair("q #2", 3), std::pair("v", 4)));
}

TEST(PruningGraph, NormalizationOverTheAxisIsLossy) {
  PruneNet net;
  const ValueId x = net.op("MatMul", {net.image({1, 5, 6}), net.weight("a.w", {6, 8})}, {}, "a");
  const ValueId y =
      net.op("LayerNormalization", {x, net.weight("gain", {8}), net.weight("shift", {8})},
             {{"axis", int64_t{-1}}}, "ln");
  const PruningGraph graph(net.take({net.op("MatMul", {y, net.weight("b.w", {8, 3})}, {}, "b")}));
  ASSERT_THAT(sizes(graph), ElementsAre(std::pair("a", 8)));
  EXPECT_THAT(graph.groups()[0].lossy, HasSubstr("'ln'"));
  const Graph pruned = graph.prune({{3}});
  EXPECT_EQ(shape_of(pruned, "gain"), (Shape{7}));
}

TEST(PruningGraph, SharedWeightsGoTogether) {
  PruneNet net;
  const ValueId w = net.weight("shared.w", {8, 8, 1, 1});
  const ValueId x = net.conv("a", net.image(), 3, 8);
  const ValueId y = net.op("Conv", {net.relu(x), w}, {}, "first");
  const ValueId z = net.op("Conv", {net.relu(y), w}, {}, "second");
  const PruningGraph graph(net.take({net.conv("last", z, 8, 2)}));
  EXPECT_THAT(sizes(graph), ElementsAre(std::pair("a", 8)));
  EXPECT_THAT(members(graph.groups()[0]),
              UnorderedElementsAre("a.w/0", "a.b/0", "shared.w/0", "shared.w/1", "last.w/1"));
  expect_exact(graph);
}

TEST(PruningGraph, OpsWithoutARuleFreeze) {
  PruneNet net;
  const ValueId x = net.conv("a", net.image(), 3, 8);
  const ValueId y = net.op("LRN", {net.conv("b", x, 8, 8)}, {{"size", int64_t{3}}}, "lrn");
  const ValueId z = net.op("Einsum", {net.conv("c", y, 8, 8)},
                           {{"equation", std::string("nchw->nchw")}}, "einsum");
  const PruningGraph graph(net.take({net.conv("d", z, 8, 2)}));
  EXPECT_THAT(sizes(graph), ElementsAre(std::pair("a", 8)));
  EXPECT_THAT(frozen_reason(graph, "b.w", 0), HasSubstr("'lrn'"));
  EXPECT_THAT(frozen_reason(graph, "c.w", 0), HasSubstr("'einsum': the op has no rule"));
  EXPECT_THAT(frozen_reason(graph, "d.w", 1), HasSubstr("'einsum'"));
  expect_exact(graph);
}

// Behind an op that is not known nothing has a rank: no rule runs, and every weight is listed.
TEST(PruningGraph, WeightsBehindUnknownOpsAreListed) {
  PruneNet net;
  const ValueId x = net.op("Strange", {net.conv("a", net.image(), 3, 8)}, {}, "strange");
  const ValueId y = net.relu(net.conv("b", x, 8, 6));
  const PruningGraph graph(net.take({net.conv("c", y, 6, 4)}));
  EXPECT_THAT(graph.groups(), IsEmpty());
  EXPECT_THAT(frozen_reason(graph, "a.w", 0), HasSubstr("'strange': the op is not known"));
  for (const char* weight : {"b.w", "c.w"})
    for (int64_t axis = 0; axis < 4; ++axis)
      EXPECT_THAT(frozen_reason(graph, weight, axis),
                  axis < 2
                      ? testing::Matcher<const std::string&>(HasSubstr("'strange' is not known"))
                      : testing::Matcher<const std::string&>(""))
          << weight << axis;
}

TEST(PruningGraph, RefusesModelsThatAreQuantizedOrHalf) {
  const auto refusal = [](const Graph& graph) {
    try {
      PruningGraph refused(graph);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      return std::string(error.what());
    }
    return std::string();
  };
  PruneNet quantized;
  const ValueId scale = quantized.builder().constant("scale", Tensor::scalar(0.5f)),
                zero = quantized.builder().constant("zero", Tensor::scalar<uint8_t>(0));
  const ValueId q = quantized.op("QuantizeLinear", {quantized.image(), scale, zero}, {}, "q");
  const ValueId x = quantized.op("DequantizeLinear", {q, scale, zero});
  EXPECT_THAT(refusal(quantized.take({quantized.conv("b", quantized.conv("a", x, 3, 4), 4, 2)})),
              HasSubstr("is quantized; models are pruned before"));
  PruneNet half;
  const ValueId w = half.builder().constant("w", Tensor(DType::kF16, {4, 3, 1, 1}));
  EXPECT_THAT(refusal(half.take(
                  {half.op("Conv", {half.op("Cast", {half.image()}, {{"to", int64_t{10}}}), w})})),
              HasSubstr("'w' is float16"));
}

TEST(PruningGraph, SeveralInputsAndOutputs) {
  PruneNet net;
  const ValueId a = net.conv("a", net.image(), 3, 8), b = net.conv("b", net.image(), 3, 8);
  const ValueId sum = net.relu(net.op("Mul", {a, b}));
  const PruningGraph graph(
      net.take({net.conv("one", sum, 8, 2), net.conv("two", net.conv("c", sum, 8, 6), 6, 3)}));
  EXPECT_THAT(sizes(graph), ElementsAre(std::pair("a", 8), std::pair("c", 6)));
  expect_exact(graph);
}

// The batch is open; a shape is computed from Shape, as exporters write x.view(x.size(0), -1).
TEST(PruningGraph, ComputedShapes) {
  PruneNet net;
  const ValueId x =
      net.builder().input("x", DType::kF32, {Dim::named("N"), Dim(3), Dim(8), Dim(8)});
  const ValueId y = net.relu(net.conv("a", x, 3, 6));
  const ValueId sizes_of = net.op("Shape", {y});
  const ValueId batch = net.op("Gather", {sizes_of, net.ints("zero", {0})});
  const ValueId target = net.op("Concat", {batch, net.ints("rest", {384})}, {{"axis", int64_t{0}}});
  const ValueId flat = net.op("Reshape", {y, target});
  // A factor computed from a size stays what it was.
  const ValueId channels =
      net.op("Cast", {net.op("Gather", {sizes_of, net.ints("one", {1})})}, {{"to", int64_t{1}}});
  const ValueId scaled = net.op("Div", {flat, channels});
  const PruningGraph graph(net.take({net.gemm("last", scaled, 384, 3)}));
  EXPECT_THAT(sizes(graph), ElementsAre(std::pair("a", 6)));
  expect_exact(graph);
}

// x[:, indices]: a permutation, some, from the end, one twice.
TEST(PruningGraph, GatheredChannels) {
  for (const auto& indices : std::vector<std::vector<int64_t>>{
           {3, 1, 7, 5, 0, 2, 4, 6}, {6, 2, 4}, {-1, -3, 0}, {5, 5, 1}}) {
    PruneNet net;
    const ValueId x = net.relu(net.conv("a", net.image(), 3, 8));
    const ValueId y = net.op("Gather", {x, net.ints("picked", indices)}, {{"axis", int64_t{1}}});
    const auto count = static_cast<int64_t>(indices.size());
    const PruningGraph graph(net.take({net.conv("last", y, count, 2)}));
    EXPECT_FALSE(graph.groups().empty());
    expect_exact(graph);
  }
}

ValueId open_image(PruneNet& net, bool plane = false) {
  const Dim h = plane ? Dim::named("H") : Dim(8), w = plane ? Dim::named("W") : Dim(8);
  return net.builder().input("x", DType::kF32, {Dim::named("N"), Dim(3), h, w});
}

// b.expand_as(a), and a pyramid's upsampling: what Shape says is the size itself.
TEST(PruningGraph, SizesOfAnotherValue) {
  PruneNet expanded;
  const ValueId x = open_image(expanded);
  const ValueId a = expanded.conv("a", x, 3, 6);
  const ValueId pooled = expanded.op("GlobalAveragePool", {expanded.conv("b", x, 3, 6)});
  const ValueId wide = expanded.op("Expand", {pooled, expanded.op("Shape", {a})});
  const PruningGraph first(
      expanded.take({expanded.conv("last", expanded.op("Add", {a, wide}), 6, 2)}));
  EXPECT_THAT(sizes(first), ElementsAre(std::pair("a", 6)));
  expect_exact(first);

  PruneNet pyramid;
  const ValueId fine = pyramid.relu(pyramid.conv("fine", open_image(pyramid, true), 3, 6));
  const ValueId coarse = pyramid.conv("coarse",
                                      pyramid.op("MaxPool", {fine},
                                                 {{"kernel_shape", std::vector<int64_t>{2, 2}},
                                                  {"strides", std::vector<int64_t>{2, 2}}}),
                                      6, 6);
  const ValueId up =
      pyramid.op("Resize", {coarse, ValueId{}, ValueId{}, pyramid.op("Shape", {fine})},
                 {{"mode", std::string("nearest")}});
  const PruningGraph second(
      pyramid.take({pyramid.conv("last", pyramid.op("Add", {fine, up}), 6, 2)}));
  EXPECT_FALSE(second.groups().empty());
  const RemovedUnits removed = some_units(second, 0.34, 1);
  EXPECT_LT(
      compare_with_masked(second, removed, second.prune(removed), noise_for(second.graph(), 4)),
      1e-5);
}

TEST(PruningGraph, SizesThatAreAnOutputStay) {
  PruneNet net;
  const ValueId y = net.relu(net.conv("a", open_image(net), 3, 6));
  const ValueId told = net.op("Shape", {y});
  const PruningGraph graph(net.take({net.conv("last", y, 6, 2), told}));
  EXPECT_THAT(sizes(graph), ElementsAre(std::pair("a", 6)));
  expect_exact(graph);
}

std::shared_ptr<const Graph> branch(const std::string& op, ValueId* captured) {
  auto body = std::make_shared<Graph>();
  body->set_opset("", 17);
  GraphBuilder b(*body);
  *captured = body->add_value("outer", {DType::kI64, std::vector<Dim>{4}});
  b.output(b.op(op, {*captured}, {}, "inner"));
  return body;
}

// Branches see the sizes that were.
TEST(PruningGraph, SizesThatBranchesCapture) {
  PruneNet net;
  const ValueId y = net.relu(net.conv("a", open_image(net), 3, 6));
  const ValueId told = net.op("Shape", {y});
  const ValueId last = net.conv("last", y, 6, 2);
  Graph whole = net.take({last});
  ValueId in_then, in_else;
  Node node;
  node.op = "If";
  node.inputs = {whole.add_constant("c", Tensor::scalar(true))};
  node.outputs = {whole.add_value("sizes")};
  node.attrs = {{"then_branch", branch("Neg", &in_then)}, {"else_branch", branch("Abs", &in_else)}};
  node.captures = {{told, "then_branch", 0, in_then}, {told, "else_branch", 0, in_else}};
  const ValueId sizes_out = node.outputs[0];
  whole.add_node(std::move(node));
  whole.set_outputs({last, sizes_out});
  infer_types(whole);
  const PruningGraph graph(whole);
  EXPECT_THAT(sizes(graph), ElementsAre(std::pair("a", 6)));
  expect_exact(graph);
}

// One unit is left: Squeeze must go on leaving its axis.
TEST(PruningGraph, SqueezeWithoutAxes) {
  for (const int64_t opset : {11, 17}) {
    PruneNet net(opset);
    const ValueId x = net.op("GlobalAveragePool", {net.conv("a", net.image({2, 3, 8, 8}), 3, 3)});
    const PruningGraph graph(net.take({net.gemm("last", net.op("Squeeze", {x}), 3, 2)}));
    ASSERT_THAT(sizes(graph), ElementsAre(std::pair("a", 3)));
    const Graph pruned = graph.prune({{0, 2}});
    EXPECT_LT(compare_with_masked(graph, {{0, 2}}, pruned, noise_for(graph.graph())), 1e-5);
  }
}

// An embedding whose transpose scores: one constant before and after.
TEST(PruningGraph, WeightsTiedThroughTranspose) {
  PruneNet net;
  const ValueId table = net.weight("table", {20, 6});
  const ValueId hidden = net.op("MatMul", {net.image({1, 4, 20}), table}, {}, "embed");
  const ValueId mixed = net.op("MatMul", {hidden, net.weight("mix", {6, 6})}, {}, "mix");
  const ValueId turned = net.op("Transpose", {table}, {{"perm", std::vector<int64_t>{1, 0}}});
  const PruningGraph graph(net.take({net.op("MatMul", {net.relu(mixed), turned}, {}, "score")}));
  EXPECT_EQ(graph.cost(RemovedUnits(graph.groups().size())).parameters, 20 * 6 + 6 * 6);
  ASSERT_THAT(sizes(graph), ElementsAre(std::pair("embed", 6)));
  EXPECT_THAT(members(graph.groups()[0]), UnorderedElementsAre("table/1", "mix/0", "mix/1"));
  expect_exact(graph);
  EXPECT_EQ(shape_of(graph.prune({{1}}), "table"), (Shape{20, 5}));
}

// A slice of small numbers beside one of large ones.
TEST(CompareWithMasked, SeesSmallChannelsBesideLargeOnes) {
  PruneNet net;
  const ValueId x = net.relu(net.conv("a", net.image(), 3, 4));
  const ValueId large = net.op("Mul", {net.conv("boxes", net.image(), 3, 1),
                                       net.builder().constant("far", Tensor::scalar(6400.f))});
  const ValueId small = net.conv("b", x, 4, 2);
  const PruningGraph graph(net.take({net.op("Concat", {large, small}, {{"axis", int64_t{1}}})}));
  const Graph other = graph.prune({{1}});
  EXPECT_LT(compare_with_masked(graph, {{1}}, other, noise_for(graph.graph())), 1e-5);
  EXPECT_GT(compare_with_masked(graph, {{2}}, other, noise_for(graph.graph())), kMaskedTolerance);
}

TEST(PruningGraph, RefusesWhatWouldEmptyAGroup) {
  PruneNet net;
  const PruningGraph graph(net.take({net.conv("b", net.conv("a", net.image(), 3, 4), 4, 2)}));
  EXPECT_THROW((void)graph.prune({{0, 1, 2, 3}}), Error);
  EXPECT_THROW((void)graph.prune({{4}}), Error);
  EXPECT_THROW((void)graph.prune({}), Error);
}

TEST(CompareWithMasked, SeesAWrongIndex) {
  PruneNet net;
  const PruningGraph graph(
      net.take({net.conv("b", net.relu(net.conv("a", net.image(), 3, 4)), 4, 2)}));
  const Graph other = graph.prune({{1}});
  EXPECT_LT(compare_with_masked(graph, {{1}}, other, noise_for(graph.graph())), 1e-5);
  EXPECT_GT(compare_with_masked(graph, {{2}}, other, noise_for(graph.graph())), kMaskedTolerance);
}

}  // namespace
}  // namespace lapidary
