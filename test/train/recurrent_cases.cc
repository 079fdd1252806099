#include "test/train/lowering_cases.h"

// RNN, GRU and LSTM: every attribute and every input, all results of a node in one.

namespace lapidary {

namespace {

constexpr int64_t kSteps = 4, kBatch = 3, kInputs = 2, kHidden = 3;

/// What a node is given beside X, W, R and B.
struct Given {
  bool bias = true;
  Ints lengths = {};    ///< empty: absent
  bool states = false;  ///< the first h, and c
  bool peepholes = false;
};

LoweringCase recurrent(const std::string& op, int64_t gates, const std::string& variant,
                       const GraphBuilder::Attrs& attrs = {}, const Given& given = {},
                       int64_t directions = 1, bool batch_first = false) {
  const size_t outputs = op == "LSTM" ? 3 : 2;
  const auto build = [=](Net& n) {
    const int64_t rows = gates * kHidden;
    const Shape state =
        batch_first ? Shape{kBatch, directions, kHidden} : Shape{directions, kBatch, kHidden};
    std::vector<ValueId> inputs{
        n.param(batch_first ? Shape{kBatch, kSteps, kInputs} : Shape{kSteps, kBatch, kInputs}),
        n.param({directions, rows, kInputs}), n.param({directions, rows, kHidden})};
    inputs.push_back(given.bias ? n.param({directions, 2 * rows}) : ValueId{});
    std::vector<int32_t> lengths(given.lengths.begin(), given.lengths.end());
    inputs.push_back(lengths.empty() ? ValueId{} : n.fixed(Tensor::of<int32_t>({kBatch}, lengths)));
    for (size_t i = 1; i < outputs; ++i)
      inputs.push_back(given.states ? n.param(state) : ValueId{});
    if (given.peepholes) inputs.push_back(n.param({directions, 3 * kHidden}));
    while (!inputs.back()) inputs.pop_back();
    GraphBuilder::Attrs all = attrs;
    all.emplace_back("hidden_size", kHidden);
    if (batch_first) all.emplace_back("layout", int64_t{1});
    std::vector<ValueId> flat;
    for (const ValueId made : n.builder.ops(op, outputs, inputs, all))
      flat.push_back(n.op("Reshape", {made, n.ints({-1})}));
    return n.op("Concat", flat, {{"axis", int64_t{0}}});
  };
  return {op, variant, build};
}

Attr text(const char* v) { return std::string(v); }
Attr names(std::vector<std::string> v) { return v; }

/// RNN with one activation.
LoweringCase activation(const char* name, std::vector<float> alpha = {},
                        std::vector<float> beta = {}) {
  GraphBuilder::Attrs attrs{{"activations", names({name})}};
  if (!alpha.empty()) attrs.emplace_back("activation_alpha", alpha);
  if (!beta.empty()) attrs.emplace_back("activation_beta", beta);
  return recurrent("RNN", 1, name, attrs);
}

}  // namespace

std::vector<LoweringCase> recurrent_cases() {
  const Given all{.lengths = {4, 0, 2}, .states = true};
  const Given peepholes{.states = true, .peepholes = true};
  const std::pair<std::string, Attr> both{"direction", text("bidirectional")},
      reverse{"direction", text("reverse")}, clip{"clip", .4f};
  return {
      recurrent("RNN", 1, ""),
      recurrent("RNN", 1, "NoBias", {}, {.bias = false}),
      recurrent("RNN", 1, "Reverse", {reverse}),
      recurrent("RNN", 1, "BothWays", {both, {"activations", names({"Tanh", "Relu"})}}, all, 2),
      activation("Affine", {.7f}, {.2f}),
      activation("Elu", {.6f}),
      activation("HardSigmoid", {.4f}, {.3f}),
      activation("LeakyRelu", {.2f}),
      activation("ScaledTanh", {.8f}, {.6f}),
      activation("Softplus"),
      activation("Softsign"),
      activation("sigmoid"),
      activation("ThresholdedRelu", {.1f}),
      recurrent("GRU", 3, ""),
      recurrent("GRU", 3, "NoBias", {}, {.bias = false}),
      recurrent("GRU", 3, "LinearBeforeReset", {{"linear_before_reset", int64_t{1}}}, all),
      recurrent("GRU", 3, "LinearBeforeResetNoBias", {{"linear_before_reset", int64_t{1}}},
                {.bias = false}),
      recurrent("GRU", 3, "BothWays", {both, clip}, all, 2),
      recurrent("GRU", 3, "BatchFirst", {reverse}, all, 1, true),
      recurrent("LSTM", 4, ""),
      recurrent("LSTM", 4, "NoBias", {}, {.bias = false}),
      recurrent("LSTM", 4, "Reverse", {reverse}, {.lengths = {1, 4, 3}}),
      recurrent("LSTM", 4, "BothWays", {both, clip}, all, 2),
      recurrent("LSTM", 4, "BatchFirst", {both}, all, 2, true),
      recurrent("LSTM", 4, "Peepholes", {}, peepholes),
      recurrent("LSTM", 4, "Coupled", {{"input_forget", int64_t{1}}}),
      recurrent("LSTM", 4, "CoupledPeepholes", {{"input_forget", int64_t{1}}, clip}, peepholes),
      recurrent("LSTM", 4, "Activations",
                {{"activations", names({"HardSigmoid", "Softsign", "Affine"})},
                 {"activation_alpha", std::vector<float>{.3f, .9f}},
                 {"activation_beta", std::vector<float>{.4f, .1f}}}),
  };
}

}  // namespace lapidary
