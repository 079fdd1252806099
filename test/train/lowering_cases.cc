#include "test/train/lowering_cases.h"

namespace lapidary {

namespace {

using Cases = std::vector<LoweringCase>;
using A = GraphBuilder::Attrs;

Attr i(int64_t v) { return v; }
Attr f(float v) { return v; }
Attr s(const char* v) { return std::string(v); }
Attr l(Ints v) { return v; }

/// Of one input uniform in [low, high).
LoweringCase unary(const std::string& op, double low = -2, double high = 2, A attrs = {},
                   const std::string& variant = "") {
  return {op, variant, [=](Net& n) { return n.op(op, {n.param({2, 7}, low, high)}, attrs); }};
}

/// Of two inputs that are broadcast.
LoweringCase binary(const std::string& op, double low = -2, double high = 2) {
  return {op, "", [=](Net& n) {
            return n.op(op, {n.param({2, 3, 4}, low, high), n.param({3, 1}, low, high)});
          }};
}

LoweringCase same_shape(const std::string& op) {
  return {op, "SameShape", [=](Net& n) {
            const ValueId made = n.op("Mul", {n.param({2, 3}), n.param({2, 3})});
            return n.op(op, {n.op("Add", {made, n.param({2, 3})}), n.param({2, 3})});
          }};
}

LoweringCase variadic(const std::string& op) {
  return {op, "", [=](Net& n) {
            return n.op(op, {n.param({2, 3}), n.param({3}), n.param({2, 1})});
          }};
}

/// A comparison chooses between two values.
LoweringCase comparison(const std::string& op) {
  return {op, "", [=](Net& n) {
            const ValueId a = n.param({2, 5}), b = n.param({5});
            return n.op("Where", {n.op(op, {a, b}), a, n.op("Mul", {a, b})});
          }};
}

LoweringCase logic(const std::string& op) {
  return {op, "", [=](Net& n) {
            const ValueId a = n.param({4, 5}), b = n.param({5});
            std::vector<ValueId> inputs{n.op("Less", {a, b})};
            if (op != "Not") inputs.push_back(n.op("Greater", {a, n.fixed(Tensor::scalar(.1f))}));
            return n.op("Where", {n.op(op, inputs), a, n.op("Mul", {a, b})});
          }};
}

}  // namespace

Cases arithmetic_cases() {
  return {
      binary("Add"),
      same_shape("Add"),
      binary("Sub"),
      same_shape("Sub"),
      binary("Mul"),
      binary("Div", 0.5, 2),
      binary("Pow", 0.5, 2),
      {"Pow", "Scalar",
       [](Net& n) {
         return n.op("Pow", {n.param({2, 3}), n.fixed(Tensor::scalar(2.f))});
       }},
      {"Add", "IntoSecond",
       [](Net& n) {
         const ValueId a = n.param({2, 3});
         return n.op("Add", {a, n.op("Add", {n.param({2, 3}), n.param({3})})});
       }},
      {"Add", "Relu",
       [](Net& n) {
         return n.op("Relu", {n.op("Add", {n.param({4, 5}), n.param({4, 5})})});
       }},
      {"Add", "ReluIntoFirst",
       [](Net& n) {
         const ValueId a = n.op("Sub", {n.param({4, 5}), n.param({5})});
         return n.op("Relu", {n.op("Add", {a, n.param({4, 5})})});
       }},
      {"Add", "ReluIntoSecond",
       [](Net& n) {
         const ValueId a = n.param({4, 5});
         return n.op("Relu", {n.op("Add", {a, n.op("Sub", {n.param({4, 5}), n.param({5})})})});
       }},
      {"Add", "ReluOfBroadcast",
       [](Net& n) {
         return n.op("Relu", {n.op("Add", {n.param({4, 5}), n.param({5})})});
       }},
      {"Add", "ReluOfTheSame",
       [](Net& n) {
         const ValueId a = n.op("Sub", {n.param({4, 5}), n.param({5})});
         return n.op("Relu", {n.op("Add", {a, a})});
       }},
      variadic("Min"),
      variadic("Max"),
      variadic("Sum"),
      variadic("Mean"),
      {"Where", "",
       [](Net& n) {
         const ValueId chosen = n.fixed(Tensor::of<bool>({2, 1}, {true, false}));
         return n.op("Where", {chosen, n.param({2, 3}), n.param({3})});
       }},
      comparison("Less"),
      comparison("Greater"),
      comparison("LessOrEqual"),
      comparison("GreaterOrEqual"),
      {"Equal", "",
       [](Net& n) {
         const ValueId a = n.param(Tensor::of<float>({4}, {1, 2, 3, 4}));
         const ValueId b = n.fixed(Tensor::of<float>({4}, {1, 0, 3, 0}));
         return n.op("Mul", {n.op("Where", {n.op("Equal", {n.op("Round", {a}), b}), a, b}), a});
       }},
      logic("And"),
      logic("Or"),
      logic("Xor"),
      logic("Not"),
      {"Cast", "",
       [](Net& n) {
         return n.op("Cast", {n.op("Cast", {n.param({2, 3})}, {{"to", i(11)}})}, {{"to", i(1)}});
       }},
  };
}

Cases activation_cases() {
  return {
      unary("Abs"),
      unary("Neg"),
      unary("Sqrt", 0.5, 3),
      unary("Exp"),
      unary("Log", 0.5, 3),
      unary("Sin"),
      unary("Cos"),
      unary("Atan"),
      unary("Erf"),
      unary("Tanh"),
      unary("Sigmoid"),
      unary("Reciprocal", 0.5, 2),
      unary("Sign"),
      unary("Round"),
      unary("Floor"),
      unary("Ceil"),
      unary("Relu"),
      {"Relu", "InPlace",
       [](Net& n) {
         return n.op("Relu", {n.op("Add", {n.param({2, 7}), n.param({7})})});
       }},
      {"Relu", "InPlaceTwice",
       [](Net& n) {
         const ValueId x = n.op("Add", {n.param({2, 7}), n.param({7})});
         const ValueId y = n.op("Relu", {n.op("Sub", {x, n.param({2, 7})})});
         return n.op("Add", {n.op("Mul", {y, y}), x});
       }},
      unary("LeakyRelu", -2, 2, {{"alpha", f(.1f)}}),
      unary("ThresholdedRelu", -2, 2, {{"alpha", f(.5f)}}),
      {"PRelu", "",
       [](Net& n) {
         return n.op("PRelu", {n.param({2, 3, 4}), n.param({3, 1}, .1, .5)});
       }},
      {"Clip", "Scalars",
       [](Net& n) {
         return n.op("Clip", {n.param({2, 7}), n.fixed(Tensor::scalar(-.5f)),
                              n.fixed(Tensor::scalar(.6f))});
       }},
      {"Clip", "Low",
       [](Net& n) {
         return n.op("Clip", {n.param({2, 7}), n.fixed(Tensor::scalar(-.5f))});
       }},
      {"Clip", "Trained",
       [](Net& n) {
         return n.op("Clip", {n.param({2, 7}), ValueId{}, n.param(Tensor::scalar(.6f))});
       }},
      unary("HardSigmoid", -4, 4, {{"alpha", f(.3f)}, {"beta", f(.4f)}}),
      unary("HardSwish", -4, 4),
      unary("Gelu"),
      unary("Gelu", -2, 2, {{"approximate", s("tanh")}}, "Tanh"),
      unary("Elu", -2, 2, {{"alpha", f(.7f)}}),
      unary("Selu"),
      unary("Celu", -2, 2, {{"alpha", f(.7f)}}),
      unary("Softplus"),
      unary("Softsign"),
      unary("Mish"),
      unary("Identity"),
  };
}

Cases product_cases() {
  const auto conv = [](const std::string& variant, Shape x, Shape w, A attrs, bool bias = true) {
    return LoweringCase{"Conv", variant, [=](Net& n) {
                          std::vector<ValueId> inputs{n.param(x), n.param(w)};
                          if (bias) inputs.push_back(n.param({w[0]}));
                          return n.op("Conv", inputs, attrs);
                        }};
  };
  const auto transposed = [](const std::string& variant, Shape x, Shape w, A attrs,
                             int64_t channels) {
    return LoweringCase{
        "ConvTranspose", variant, [=](Net& n) {
          return n.op("ConvTranspose", {n.param(x), n.param(w), n.param({channels})}, attrs);
        }};
  };
  return {
      conv("", {2, 3, 5, 4}, {4, 3, 3, 3}, {{"pads", l({1, 1, 1, 1})}}),
      conv("Strided", {1, 2, 6, 5}, {3, 2, 3, 2}, {{"strides", l({2, 1})}}, false),
      conv("Depthwise", {2, 4, 5, 5}, {4, 1, 3, 3}, {{"group", i(4)}, {"pads", l({1, 1, 1, 1})}}),
      conv("Groups", {1, 4, 4, 4}, {6, 2, 1, 1}, {{"group", i(2)}}),
      conv("Dilated", {1, 2, 7, 7}, {2, 2, 3, 3}, {{"dilations", l({2, 3})}}),
      conv("Uneven", {1, 2, 5, 5}, {2, 2, 3, 3}, {{"pads", l({0, 1, 2, 0})}}),
      conv("SameUpper", {1, 2, 5, 6}, {2, 2, 3, 2},
           {{"auto_pad", s("SAME_UPPER")}, {"strides", l({2, 2})}}),
      conv("OneAxis", {2, 3, 8}, {4, 3, 3}, {{"pads", l({1, 1})}}),
      conv("ThreeAxes", {1, 2, 4, 4, 3}, {2, 2, 2, 3, 2}, {{"pads", l({0, 1, 1, 0, 1, 1})}}),
      transposed("", {1, 3, 3, 4}, {3, 2, 3, 3},
                 {{"strides", l({2, 2})}, {"pads", l({1, 1, 1, 1})}}, 2),
      transposed("OutputPadding", {1, 2, 3, 3}, {2, 2, 2, 2},
                 {{"strides", l({3, 3})}, {"output_padding", l({1, 2})}}, 2),
      transposed("Groups", {1, 4, 3, 3}, {4, 1, 3, 3},
                 {{"group", i(2)}, {"pads", l({0, 1, 1, 0})}, {"dilations", l({1, 2})}}, 2),
      {"Gemm", "",
       [](Net& n) {
         return n.op("Gemm", {n.param({3, 4}), n.param({4, 2}), n.param({2})});
       }},
      {"Gemm", "Scaled",
       [](Net& n) {
         return n.op("Gemm", {n.param({4, 3}), n.param({2, 4}), n.param({3, 1})},
                     {{"transA", i(1)}, {"transB", i(1)}, {"alpha", f(.5f)}, {"beta", f(2)}});
       }},
      {"Gemm", "NoBias",
       [](Net& n) {
         return n.op("Gemm", {n.param({3, 4}), n.param({4, 2})}, {{"alpha", f(.5f)}});
       }},
      {"MatMul", "",
       [](Net& n) {
         return n.op("MatMul", {n.param({2, 3, 4}), n.param({4, 2})});
       }},
      {"MatMul", "Vector",
       [](Net& n) {
         return n.op("MatMul", {n.param({2, 3, 4}), n.param({4})});
       }},
      {"Einsum", "",
       [](Net& n) {
         return n.op("Einsum", {n.param({2, 3, 4}), n.param({2, 4, 5})},
                     {{"equation", s("bij, bjk -> bik")}});
       }},
  };
}

Cases norm_cases() {
  const auto batch_norm = [](const std::string& variant, Shape x, bool statistics) {
    return LoweringCase{"BatchNormalization", variant,
                        [=](Net& n) {
                          const int64_t c = x[1];
                          return n.op(
                              "BatchNormalization",
                              {n.param(x), n.param({c}), n.param({c}),
                               n.fixed(n.uniform({c}, -1, 1)), n.fixed(n.uniform({c}, .5, 2))},
                              {{"epsilon", f(1e-3f)}});
                        },
                        statistics};
  };
  /// Of images behind a Conv: channels innermost, computed with what follows.
  const auto followed = [](const std::string& variant, int64_t channels, bool statistics,
                           std::function<ValueId(Net&, ValueId)> then) {
    return LoweringCase{
        "BatchNormalization", variant,
        [=](Net& n) {
          const ValueId x =
              n.op("Conv", {n.fixed(n.uniform({3, 2, 3, 3}, -1, 1)), n.param({channels, 2, 1, 1})});
          const ValueId y =
              n.op("BatchNormalization",
                   {x, n.param({channels}, .5, 2), n.param({channels}, -.5, .5),
                    n.fixed(n.uniform({channels}, -1, 1)), n.fixed(n.uniform({channels}, .5, 2))},
                   {{"epsilon", f(1e-3f)}});
          return then(n, y);
        },
        statistics};
  };
  const auto scalar = [](Net& n, float v) { return n.fixed(Tensor::scalar(v)); };
  const auto nothing = [](Net&, ValueId y) { return y; };
  const auto relu = [](Net& n, ValueId y) { return n.op("Relu", {y}); };
  const auto relu1 = [=](Net& n, ValueId y) {
    return n.op("Clip", {n.op("Relu", {y}), scalar(n, -3), scalar(n, 1)});
  };
  const auto clip = [=](Net& n, ValueId y) {
    return n.op("Clip", {y, scalar(n, -.7f), scalar(n, .8f)});
  };
  const auto clip_relu = [=](Net& n, ValueId y) { return n.op("Relu", {clip(n, y)}); };
  const auto moving_clip = [=](Net& n, ValueId y) {
    return n.op("Clip", {y, n.op("Neg", {n.param({}, .3, .6)}), scalar(n, .8f)});
  };
  const auto read_twice = [](Net& n, ValueId y) { return n.op("Mul", {n.op("Relu", {y}), y}); };
  const auto scaled = [](const std::string& op, const std::string& variant, Shape x, Shape scale,
                         bool bias, A attrs) {
    return LoweringCase{op, variant, [=](Net& n) {
                          std::vector<ValueId> inputs{n.param(x), n.param(scale)};
                          if (bias) inputs.push_back(n.param(scale));
                          return n.op(op, inputs, attrs);
                        }};
  };
  return {
      batch_norm("Running", {3, 2, 2, 3}, false),
      batch_norm("Batch", {3, 2, 2, 3}, true),
      batch_norm("BatchOfRows", {5, 3}, true),
      followed("OfImages", 5, true, nothing),
      followed("OfImagesRunning", 5, false, nothing),
      followed("Relu", 3, true, relu),
      followed("ReluRunning", 3, false, relu),
      followed("ReluClip", 4, true, relu1),
      followed("Clip", 16, true, clip),
      followed("ClipRelu", 1, true, clip_relu),
      followed("ClipByWhatMoves", 3, true, moving_clip),
      followed("ReadTwice", 3, true, read_twice),
      scaled("LayerNormalization", "", {2, 3, 4}, {4}, true, {{"epsilon", f(1e-3f)}}),
      scaled("LayerNormalization", "TwoAxes", {2, 3, 4}, {3, 4}, false, {{"axis", i(1)}}),
      scaled("GroupNormalization", "", {2, 4, 3}, {4}, true, {{"num_groups", i(2)}}),
      scaled("InstanceNormalization", "", {2, 3, 4}, {3}, true, {}),
      {"MeanVarianceNormalization", "",
       [](Net& n) {
         return n.op("MeanVarianceNormalization", {n.param({2, 2, 3, 2})});
       }},
      {"LRN", "",
       [](Net& n) {
         return n.op("LRN", {n.param({2, 5, 2, 2})},
                     {{"size", i(4)}, {"alpha", f(.5f)}, {"beta", f(.6f)}, {"bias", f(1.5f)}});
       }},
      {"Dropout", "NothingDropped",
       [](Net& n) {
         return n.op("Dropout", {n.param({2, 3}), n.fixed(Tensor::scalar(0.f))});
       }},
  };
}

Cases loss_cases() {
  const auto labels = [](Net& n, Shape shape, Ints values) {
    return n.fixed(Tensor::of<int64_t>(std::move(shape), values));
  };
  return {
      unary("Softmax"),
      unary("Softmax", -2, 2, {{"axis", i(0)}}, "FirstAxis"),
      unary("LogSoftmax"),
      {"SoftmaxCrossEntropyLoss", "",
       [=](Net& n) {
         return n.op("SoftmaxCrossEntropyLoss", {n.param({3, 4}), labels(n, {3}, {2, 0, 3})});
       }},
      {"SoftmaxCrossEntropyLoss", "Weights",
       [=](Net& n) {
         return n.op(
             "SoftmaxCrossEntropyLoss",
             {n.param({2, 3, 2}), labels(n, {2, 2}, {2, 0, 1, 2}), n.fixed(n.uniform({3}, .5, 2))},
             {{"ignore_index", i(0)}});
       }},
      {"SoftmaxCrossEntropyLoss", "None",
       [=](Net& n) {
         return n.op("SoftmaxCrossEntropyLoss", {n.param({3, 4}), labels(n, {3}, {2, 0, 3})},
                     {{"reduction", s("none")}});
       }},
      {"NegativeLogLikelihoodLoss", "",
       [=](Net& n) {
         return n.op(
             "NegativeLogLikelihoodLoss",
             {n.op("LogSoftmax", {n.param({3, 4})}, {{"axis", i(1)}}), labels(n, {3}, {2, 0, 3})},
             {{"reduction", s("sum")}});
       }},
  };
}

Cases pool_cases() {
  const auto pool = [](const std::string& op, const std::string& variant, Shape x, A attrs) {
    return LoweringCase{op, variant, [=](Net& n) { return n.op(op, {n.param(x)}, attrs); }};
  };
  const std::pair<std::string, Attr> two{"kernel_shape", l({2, 2})},
      three{"kernel_shape", l({3, 3})};
  return {
      pool("MaxPool", "", {1, 2, 6, 6}, {two, {"strides", l({2, 2})}}),
      pool("MaxPool", "Padded", {1, 2, 5, 5}, {three, {"pads", l({1, 1, 1, 1})}}),
      pool("MaxPool", "Uneven", {1, 2, 5, 5}, {three, {"pads", l({0, 2, 1, 0})}}),
      pool("MaxPool", "Ceil", {1, 2, 6, 6}, {three, {"strides", l({2, 2})}, {"ceil_mode", i(1)}}),
      pool("MaxPool", "Dilated", {1, 2, 6, 6}, {two, {"dilations", l({2, 2})}}),
      pool("MaxPool", "SameLower", {1, 2, 5, 5},
           {two, {"auto_pad", s("SAME_LOWER")}, {"strides", l({2, 2})}}),
      pool("MaxPool", "OneAxis", {1, 2, 6}, {{"kernel_shape", l({3})}}),
      pool("MaxPool", "ThreeAxes", {1, 1, 4, 4, 4}, {{"kernel_shape", l({2, 2, 2})}}),
      pool("AveragePool", "", {1, 2, 6, 6}, {two, {"strides", l({2, 2})}}),
      pool("AveragePool", "Padded", {1, 2, 5, 5}, {three, {"pads", l({1, 1, 1, 1})}}),
      pool("AveragePool", "CountPadding", {1, 2, 5, 5},
           {three, {"pads", l({0, 1, 2, 0})}, {"count_include_pad", i(1)}}),
      pool("AveragePool", "Uneven", {1, 2, 5, 5}, {three, {"pads", l({0, 2, 1, 0})}}),
      pool("AveragePool", "Ceil", {1, 2, 6, 6},
           {three, {"strides", l({2, 2})}, {"ceil_mode", i(1)}}),
      pool("AveragePool", "CeilCountPadding", {1, 2, 6, 6},
           {three,
            {"strides", l({2, 2})},
            {"ceil_mode", i(1)},
            {"count_include_pad", i(1)},
            {"pads", l({1, 0, 0, 1})}}),
      pool("AveragePool", "OneAxis", {1, 2, 6}, {{"kernel_shape", l({3})}}),
      pool("AveragePool", "ThreeAxes", {1, 1, 4, 4, 4}, {{"kernel_shape", l({2, 2, 2})}}),
      pool("GlobalAveragePool", "", {2, 3, 3, 4}, {}),
      pool("GlobalMaxPool", "", {2, 3, 3, 4}, {}),
  };
}

Cases reduce_cases() {
  Cases out;
  for (const char* op :
       {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
        "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"}) {
    const std::string name = op;
    const double low = name == "ReduceLogSum" ? 0.5 : -2;
    out.push_back(
        {name, "Axes", [=](Net& n) {
           return n.op(name, {n.param({2, 3, 4}, low, 2), n.ints({-1, 0})}, {{"keepdims", i(0)}});
         }});
    out.push_back({name, "All", [=](Net& n) { return n.op(name, {n.param({2, 3}, low, 2)}); }});
    out.push_back({name, "None", [=](Net& n) {
                     return n.op(name, {n.param({2, 3}, low, 2), n.ints({})},
                                 {{"noop_with_empty_axes", i(1)}});
                   }});
  }
  out.push_back({"CumSum", "", [](Net& n) {
                   return n.op("CumSum", {n.param({2, 4}), n.fixed(Tensor::scalar<int64_t>(1))});
                 }});
  out.push_back({"CumSum", "Back", [](Net& n) {
                   return n.op("CumSum", {n.param({2, 4}), n.fixed(Tensor::scalar<int64_t>(-1))},
                               {{"reverse", i(1)}, {"exclusive", i(1)}});
                 }});
  out.push_back({"TopK", "", [](Net& n) {
                   return n.builder.ops("TopK", 2, {n.param({2, 6}), n.ints({3})})[0];
                 }});
  return out;
}

Cases movement_cases() {
  const auto one = [](const std::string& op, const std::string& variant, Shape x, A attrs,
                      std::vector<Ints> rest = {}) {
    return LoweringCase{op, variant, [=](Net& n) {
                          std::vector<ValueId> inputs{n.param(x)};
                          for (const Ints& each : rest) inputs.push_back(n.ints(each));
                          return n.op(op, inputs, attrs);
                        }};
  };
  const auto resize = [](const std::string& variant, Shape x, std::vector<float> scales, A attrs) {
    return LoweringCase{"Resize", variant, [=](Net& n) {
                          const ValueId given = n.builder.constant(
                              "scales",
                              Tensor::of<float>({static_cast<int64_t>(scales.size())}, scales));
                          return n.op("Resize", {n.param(x), ValueId{}, given}, attrs);
                        }};
  };
  const auto indices = [](Net& n, Shape shape, Ints v) {
    return n.fixed(Tensor::of<int64_t>(std::move(shape), v));
  };
  return {
      one("Reshape", "", {2, 3, 4}, {}, {{0, -1}}),
      one("Flatten", "", {2, 3, 2}, {{"axis", i(2)}}),
      one("Transpose", "", {2, 3, 4}, {{"perm", l({1, 2, 0})}}),
      one("Transpose", "Reversed", {2, 3, 4}, {}),
      one("Squeeze", "", {2, 1, 3, 1}, {}, {{-1}}),
      one("Squeeze", "All", {2, 1, 3, 1}, {}),
      one("Unsqueeze", "", {2, 3}, {}, {{-1, 0}}),
      one("Expand", "", {3, 1}, {}, {{2, 1, 4}}),
      one("Tile", "", {2, 3}, {}, {{2, 2}}),
      {"Concat", "",
       [](Net& n) {
         return n.op("Concat", {n.param({2, 3}), n.param({2, 1})}, {{"axis", i(-1)}});
       }},
      {"Split", "Sizes",
       [](Net& n) {
         const auto parts =
             n.builder.ops("Split", 2, {n.param({2, 5}), n.ints({2, 3})}, {{"axis", i(1)}});
         return n.op("Concat", {parts[1], parts[0]}, {{"axis", i(1)}});
       }},
      {"Split", "Number",
       [](Net& n) {
         const auto parts = n.builder.ops("Split", 2, {n.param({5, 2})}, {{"num_outputs", i(2)}});
         return n.op("Concat", {parts[1], parts[0]}, {{"axis", i(0)}});
       }},
      one("Slice", "", {4, 5}, {}, {{1, -3}, {1000, -1}, {0, 1}}),
      one("Slice", "Steps", {4, 5}, {}, {{-1, 0}, {-1000, 5}, {0, 1}, {-2, 2}}),
      {"Gather", "",
       [=](Net& n) {
         return n.op("Gather", {n.param({3, 4}), indices(n, {2, 2}, {1, -1, 0, 1})},
                     {{"axis", i(1)}});
       }},
      {"GatherElements", "",
       [=](Net& n) {
         return n.op("GatherElements", {n.param({3, 2}), indices(n, {2, 2}, {1, -1, 0, 1})});
       }},
      {"GatherND", "",
       [=](Net& n) {
         return n.op("GatherND", {n.param({3, 2, 4}), indices(n, {2, 1, 2}, {1, -1, -3, 0})});
       }},
      {"GatherND", "Batch",
       [=](Net& n) {
         return n.op("GatherND", {n.param({2, 3, 4}), indices(n, {2, 2, 1}, {1, -1, 0, 2})},
                     {{"batch_dims", i(1)}});
       }},
      {"ScatterND", "",
       [=](Net& n) {
         return n.op("ScatterND",
                     {n.param({3, 2, 4}), indices(n, {2, 2}, {1, -1, -3, 0}), n.param({2, 4})});
       }},
      {"ScatterND", "Add",
       [=](Net& n) {
         return n.op("ScatterND",
                     {n.param({3, 2}), indices(n, {3, 1}, {1, -2, 0}), n.param({3, 2})},
                     {{"reduction", s("add")}});
       }},
      {"ScatterElements", "",
       [=](Net& n) {
         return n.op("ScatterElements",
                     {n.param({3, 2}), indices(n, {2, 2}, {1, -1, 0, 1}), n.param({2, 2})});
       }},
      {"ScatterElements", "Add",
       [=](Net& n) {
         return n.op("ScatterElements",
                     {n.param({3, 2}), indices(n, {2, 2}, {1, 1, 1, 0}), n.param({2, 2})},
                     {{"reduction", s("add")}});
       }},
      {"Trilu", "",
       [](Net& n) {
         return n.op("Trilu", {n.param({3, 4}), n.fixed(Tensor::scalar<int64_t>(1))});
       }},
      one("Trilu", "Lower", {3, 4}, {{"upper", i(0)}}),
      one("DepthToSpace", "", {1, 8, 2, 3}, {{"blocksize", i(2)}}),
      one("DepthToSpace", "Crd", {1, 8, 2, 3}, {{"blocksize", i(2)}, {"mode", s("CRD")}}),
      one("SpaceToDepth", "", {1, 2, 4, 6}, {{"blocksize", i(2)}}),
      {"Pad", "",
       [](Net& n) {
         return n.op("Pad", {n.param({2, 3, 4}), n.ints({0, 1, -1, 1, 0, 2}),
                             n.fixed(Tensor::scalar(.5f))});
       }},
      {"Pad", "Axes",
       [](Net& n) {
         return n.op("Pad", {n.param({2, 3}), n.ints({1, 2}), ValueId{}, n.ints({-1})});
       }},
      one("Pad", "Reflect", {3, 4}, {{"mode", s("reflect")}}, {{2, 1, 0, 3}}),
      one("Pad", "Edge", {3, 4}, {{"mode", s("edge")}}, {{2, 1, 0, 3}}),
      one("Pad", "Wrap", {3, 4}, {{"mode", s("wrap")}}, {{2, 1, 0, 3}}),
      resize("Nearest", {1, 2, 3, 2}, {1, 1, 2, 2},
             {{"mode", s("nearest")},
              {"coordinate_transformation_mode", s("asymmetric")},
              {"nearest_mode", s("floor")}}),
      resize("Linear", {1, 2, 3, 4}, {1, 1, 2, .6f}, {{"mode", s("linear")}}),
      resize("Cubic", {1, 1, 4, 4}, {1, 1, 1.5f, 1}, {{"mode", s("cubic")}}),
      {"Resize", "Sizes",
       [](Net& n) {
         return n.op("Resize", {n.param({1, 2, 3, 4}), ValueId{}, ValueId{}, n.ints({5, 6})},
                     {{"mode", s("linear")},
                      {"axes", l({2, 3})},
                      {"coordinate_transformation_mode", s("align_corners")}});
       }},
  };
}

}  // namespace lapidary
