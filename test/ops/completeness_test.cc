#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "lapidary/ops.h"
#include "src/ops/opdef.h"

namespace lapidary {
namespace {

// Every since-version that an opset of 7 to 28 can mean, by the schemas of the onnx package 1.23.2
// (onnx.defs.get_all_schemas_with_history).
const std::map<std::string, std::vector<int>> kHistory{
    {"Abs", {6, 13}},
    {"Acos", {7, 22}},
    {"Acosh", {9, 22}},
    {"Add", {7, 13, 14}},
    {"AffineGrid", {20}},
    {"And", {7}},
    {"ArgMax", {1, 11, 12, 13}},
    {"ArgMin", {1, 11, 12, 13}},
    {"Asin", {7, 22}},
    {"Asinh", {9, 22}},
    {"Atan", {7, 22}},
    {"Atanh", {9, 22}},
    {"Attention", {23, 24, 25}},
    {"AveragePool", {7, 10, 11, 19, 22}},
    {"BatchNormalization", {7, 9, 14, 15}},
    {"Bernoulli", {15, 22}},
    {"BitShift", {11, 28}},
    {"BitwiseAnd", {18}},
    {"BitwiseNot", {18}},
    {"BitwiseOr", {18}},
    {"BitwiseXor", {18}},
    {"BlackmanWindow", {17}},
    {"Cast", {6, 9, 13, 19, 21, 23, 24, 25, 28}},
    {"CastLike", {15, 19, 21, 23, 24, 25}},
    {"Ceil", {6, 13}},
    {"Celu", {12, 28}},
    {"CenterCropPad", {18}},
    {"Clip", {6, 11, 12, 13}},
    {"Col2Im", {18}},
    {"Compress", {9, 11, 28}},
    {"Concat", {4, 11, 13}},
    {"ConcatFromSequence", {11}},
    {"Constant", {1, 9, 11, 12, 13, 19, 21, 23, 24, 25}},
    {"ConstantOfShape", {9, 20, 21, 23, 24, 25}},
    {"Conv", {1, 11, 22}},
    {"ConvInteger", {10}},
    {"ConvTranspose", {1, 11, 22}},
    {"Cos", {7, 22}},
    {"Cosh", {9, 22}},
    {"CumSum", {11, 14}},
    {"DFT", {17, 20}},
    {"DeformConv", {19, 22}},
    {"DepthToSpace", {1, 11, 13, 28}},
    {"DequantizeLinear", {10, 13, 19, 21, 23, 24, 25, 28}},
    {"Det", {11, 22}},
    {"Div", {7, 13, 14}},
    {"Dropout", {7, 10, 12, 13, 22}},
    {"DynamicQuantizeLinear", {11}},
    {"Einsum", {12, 28}},
    {"Elu", {6, 22}},
    {"Equal", {7, 11, 13, 19}},
    {"Erf", {9, 13}},
    {"Exp", {6, 13}},
    {"Expand", {8, 13}},
    {"EyeLike", {9, 22}},
    {"Flatten", {1, 9, 11, 13, 21, 23, 24, 25}},
    {"Floor", {6, 13}},
    {"GRU", {7, 14, 22}},
    {"Gather", {1, 11, 13}},
    {"GatherElements", {11, 13}},
    {"GatherND", {11, 12, 13}},
    {"Gelu", {20}},
    {"Gemm", {7, 9, 11, 13}},
    {"GlobalAveragePool", {1, 22}},
    {"GlobalLpPool", {2, 22}},
    {"GlobalMaxPool", {1, 22}},
    {"Greater", {7, 9, 13}},
    {"GreaterOrEqual", {12, 16}},
    {"GridSample", {16, 20, 22}},
    {"GroupNormalization", {18, 21}},
    {"HammingWindow", {17}},
    {"HannWindow", {17}},
    {"HardSigmoid", {6, 22}},
    {"HardSwish", {14, 22}},
    {"Hardmax", {1, 11, 13}},
    {"Identity", {1, 13, 14, 16, 19, 21, 23, 24, 25}},
    {"If", {1, 11, 13, 16, 19, 21, 23, 24, 25}},
    {"ImageDecoder", {20}},
    {"InstanceNormalization", {6, 22}},
    {"IsInf", {10, 20}},
    {"IsNaN", {9, 13, 20}},
    {"LRN", {1, 13}},
    {"LSTM", {7, 14, 22}},
    {"LayerNormalization", {17}},
    {"LeakyRelu", {6, 16}},
    {"Less", {7, 9, 13}},
    {"LessOrEqual", {12, 16}},
    {"Log", {6, 13}},
    {"LogSoftmax", {1, 11, 13}},
    {"Loop", {1, 11, 13, 16, 19, 21, 23, 24, 25}},
    {"LpNormalization", {1, 22}},
    {"LpPool", {2, 11, 18, 22}},
    {"MatMul", {1, 9, 13}},
    {"MatMulInteger", {10}},
    {"Max", {6, 8, 12, 13}},
    {"MaxPool", {1, 8, 10, 11, 12, 22}},
    {"MaxRoiPool", {1, 22}},
    {"MaxUnpool", {9, 11, 22}},
    {"Mean", {6, 8, 13}},
    {"MeanVarianceNormalization", {9, 13}},
    {"MelWeightMatrix", {17}},
    {"Min", {6, 8, 12, 13}},
    {"Mish", {18, 22}},
    {"Mod", {10, 13, 28}},
    {"Mul", {7, 13, 14}},
    {"Multinomial", {7, 22}},
    {"Neg", {6, 13}},
    {"NegativeLogLikelihoodLoss", {12, 13, 22}},
    {"NonMaxSuppression", {10, 11}},
    {"NonZero", {9, 13}},
    {"Not", {1}},
    {"OneHot", {9, 11, 28}},
    {"Optional", {15}},
    {"OptionalGetElement", {15, 18}},
    {"OptionalHasElement", {15, 18}},
    {"Or", {7}},
    {"PRelu", {7, 9, 16}},
    {"Pad", {2, 11, 13, 18, 19, 21, 23, 24, 25}},
    {"Pow", {7, 12, 13, 15}},
    {"QLinearConv", {10}},
    {"QLinearMatMul", {10, 21}},
    {"QuantizeLinear", {10, 13, 19, 21, 23, 24, 25, 28}},
    {"RMSNormalization", {23}},
    {"RNN", {7, 14, 22}},
    {"RandomNormal", {1, 22}},
    {"RandomNormalLike", {1, 22}},
    {"RandomUniform", {1, 22}},
    {"RandomUniformLike", {1, 22}},
    {"Range", {11, 27}},
    {"Reciprocal", {6, 13}},
    {"ReduceL1", {1, 11, 13, 18}},
    {"ReduceL2", {1, 11, 13, 18}},
    {"ReduceLogSum", {1, 11, 13, 18, 28}},
    {"ReduceLogSumExp", {1, 11, 13, 18, 28}},
    {"ReduceMax", {1, 11, 12, 13, 18, 20}},
    {"ReduceMean", {1, 11, 13, 18}},
    {"ReduceMin", {1, 11, 12, 13, 18, 20}},
    {"ReduceProd", {1, 11, 13, 18}},
    {"ReduceSum", {1, 11, 13}},
    {"ReduceSumSquare", {1, 11, 13, 18}},
    {"RegexFullMatch", {20}},
    {"Relu", {6, 13, 14}},
    {"Reshape", {5, 13, 14, 19, 21, 23, 24, 25}},
    {"Resize", {10, 11, 13, 18, 19}},
    {"ReverseSequence", {10, 28}},
    {"RoiAlign", {10, 16, 22}},
    {"RotaryEmbedding", {23}},
    {"Round", {11, 22}},
    {"STFT", {17}},
    {"Scan", {8, 9, 11, 16, 19, 21, 23, 24, 25}},
    {"Scatter", {9, 11}},
    {"ScatterElements", {11, 13, 16, 18}},
    {"ScatterND", {11, 13, 16, 18}},
    {"Selu", {6, 22}},
    {"SequenceAt", {11}},
    {"SequenceConstruct", {11}},
    {"SequenceEmpty", {11}},
    {"SequenceErase", {11}},
    {"SequenceInsert", {11}},
    {"SequenceLength", {11}},
    {"SequenceMap", {17}},
    {"Shape", {1, 13, 15, 19, 21, 23, 24, 25}},
    {"Shrink", {9}},
    {"Sigmoid", {6, 13}},
    {"Sign", {9, 13}},
    {"Sin", {7, 22}},
    {"Sinh", {9, 22}},
    {"Size", {1, 13, 19, 21, 23, 24, 25}},
    {"Slice", {1, 10, 11, 13}},
    {"Softmax", {1, 11, 13}},
    {"SoftmaxCrossEntropyLoss", {12, 13}},
    {"Softplus", {1, 22}},
    {"Softsign", {1, 22}},
    {"SpaceToDepth", {1, 13, 28}},
    {"Split", {2, 11, 13, 18}},
    {"SplitToSequence", {11, 24}},
    {"Sqrt", {6, 13}},
    {"Squeeze", {1, 11, 13, 21, 23, 24, 25}},
    {"StringConcat", {20}},
    {"StringNormalizer", {10}},
    {"StringSplit", {20}},
    {"Sub", {7, 13, 14}},
    {"Sum", {6, 8, 13}},
    {"Swish", {24}},
    {"Tan", {7, 22}},
    {"Tanh", {6, 13}},
    {"TensorScatter", {24}},
    {"TfIdfVectorizer", {9}},
    {"ThresholdedRelu", {10, 22}},
    {"Tile", {6, 13}},
    {"TopK", {1, 10, 11, 24}},
    {"Transpose", {1, 13, 21, 23, 24, 25}},
    {"Trilu", {14}},
    {"Unique", {11, 28}},
    {"Unsqueeze", {1, 11, 13, 21, 23, 24, 25}},
    {"Upsample", {7, 9, 10}},
    {"Where", {9, 16}},
    {"Xor", {7}},
};

// Last versions in which a float32 input or output cannot be float16, by the schemas of the onnx
// package 1.16.2 (type constraints of the formal parameters); 99: a type is an attribute's matter.
const std::map<std::string, int> kFloatOnly{
    {"Bernoulli", 99},
    {"Cast", 99},
    {"Celu", 12},
    {"CumSum", 11},
    {"DequantizeLinear", 13},
    {"DynamicQuantizeLinear", 11},
    {"EyeLike", 99},
    {"IsInf", 10},
    {"LayerNormalization", 17},
    {"MelWeightMatrix", 99},
    {"Multinomial", 99},
    {"NonMaxSuppression", 11},
    {"QLinearConv", 10},
    {"QLinearMatMul", 10},
    {"QuantizeLinear", 13},
    {"RandomNormalLike", 99},
    {"RandomUniformLike", 99},
    {"Range", 11},
    {"Resize", 19},
    {"Upsample", 10},
};

std::string label(const OpDef& def) {
  return (def.domain.empty() ? "" : std::string(def.domain) + ".") + std::string(def.name);
}

TEST(Completeness, EveryRowSaysAllThereIsToSay) {
  ASSERT_GT(all_ops().size(), 100u);
  for (const OpDef* def : all_ops()) {
    SCOPED_TRACE(label(*def));
    EXPECT_NE(def->infer, nullptr);
    // Only what is random has no reference.
    EXPECT_TRUE(def->evaluate != nullptr || !def->foldable);
    EXPECT_FALSE(def->versions.empty());
    EXPECT_TRUE(std::ranges::is_sorted(def->versions));
    EXPECT_TRUE(std::ranges::is_sorted(def->later));
    EXPECT_GE(def->inputs.min, 0);
    EXPECT_TRUE(def->inputs.max < 0 || def->inputs.max >= def->inputs.min);
    EXPECT_TRUE(def->outputs.max < 0 || def->outputs.max >= std::max(1, def->outputs.min));
    std::set<std::string_view> names;
    for (const AttrSpec& spec : def->attrs) {
      EXPECT_LE(spec.since, spec.until) << spec.name;
      names.insert(spec.name);
    }
    for (const UpgradeRule& rule : def->upgrades) {
      EXPECT_NE(rule.apply, nullptr);
      // A version that is not understood can be the one that took the op away: its rule replaces
      // it.
      EXPECT_EQ(std::ranges::count(def->versions, rule.to_version) +
                    std::ranges::count(def->later, rule.to_version),
                1)
          << rule.to_version;
    }
    if (def->weight.input >= 0) {
      EXPECT_NE(def->weight.channel_axis, nullptr);
    }
  }
}

TEST(Completeness, NoVersionIsForgotten) {
  for (const OpDef* def : all_ops()) {
    if (!def->domain.empty()) continue;
    SCOPED_TRACE(label(*def));
    const auto known = kHistory.find(std::string(def->name));
    ASSERT_NE(known, kHistory.end());
    std::vector<int> listed = def->versions;
    listed.insert(listed.end(), def->later.begin(), def->later.end());
    std::ranges::sort(listed);
    // A row may understand definitions from before opset 7 too.
    std::erase_if(listed, [&](int v) { return v < known->second.front(); });
    EXPECT_EQ(listed, known->second);
  }
}

TEST(Completeness, NoVersionHasAHalfFormThatItsSchemaForbids) {
  for (const auto& [name, last] : kFloatOnly) {
    const OpDef* def = find_op("", name);
    ASSERT_NE(def, nullptr) << name;
    for (const int version : def->versions) {
      const ResolvedOp op{def, version};
      EXPECT_FALSE(version <= last && op.has_half_form()) << name << " " << version;
    }
  }
}

TEST(Completeness, RowsAreSortedAndFound) {
  const auto rows = all_ops();
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(find_op(rows[i]->domain, rows[i]->name), rows[i]);
    if (i > 0) {
      EXPECT_LT(std::pair(rows[i - 1]->domain, rows[i - 1]->name),
                std::pair(rows[i]->domain, rows[i]->name));
    }
  }
  EXPECT_EQ(find_op("ai.onnx", "Conv"), find_op("", "Conv"));
  EXPECT_EQ(find_op("", "QLinearAdd"), nullptr);
  EXPECT_EQ(find_op("com.microsoft", "Conv"), nullptr);
}

TEST(Completeness, OpsetsMeanVersions) {
  const OpDef& softmax = *find_op("", "Softmax");
  EXPECT_EQ(op_version(softmax, 7), 1);
  EXPECT_EQ(op_version(softmax, 12), 11);
  EXPECT_EQ(op_version(softmax, 28), 13);
  EXPECT_EQ(op_version(softmax, 29), 0);
  EXPECT_EQ(op_version(*find_op("", "Add"), 6), 0);
  EXPECT_EQ(op_version(*find_op("", "Gelu"), 19), 0);
  EXPECT_EQ(op_version(*find_op("com.microsoft", "QGemm"), 1), 1);
}

TEST(Completeness, SupportListHasEveryRow) {
  const auto list = list_ops();
  ASSERT_EQ(list.size(), all_ops().size());
  const auto conv = std::ranges::find_if(list, [](const OpSupport& s) { return s.name == "Conv"; });
  ASSERT_NE(conv, list.end());
  EXPECT_TRUE(conv->shape && conv->reference && conv->quantize);
}

}  // namespace
}  // namespace lapidary
