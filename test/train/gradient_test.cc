#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "test/train/lowering_cases.h"

// Every row of lowerings.def: values and gradients against the reference executor in float64, the
// gradients by central differences of it.

namespace lapidary {
namespace {

/// Rows whose gradient is not that of their function, or whose op the opset of these graphs lacks:
/// where they are tested.
const std::map<std::string, std::string> kElsewhere = {
    {"ai.lapidary.Binarize", "binary_test.cc"},
    {"ai.lapidary.BinarizeWeight", "binary_test.cc"},
    {"ai.lapidary.TernarizeWeight", "binary_test.cc"},
    {"ai.lapidary.FakeQuantize", "fake_quant_test.cc"},
    {"ai.lapidary.FakeQuantizeBias", "fake_quant_test.cc"},
    {"RMSNormalization", "Opset23 below"},
    {"Swish", "Opset24 below"},
};

std::vector<std::string> rows() {
  std::vector<std::string> out;
#define LAPIDARY_LOWERING(domain, op, ...) \
  out.push_back(std::string(domain).empty() ? op : std::string(domain) + "." + op);
#include "src/train/lowerings.def"
#undef LAPIDARY_LOWERING
  return out;
}

std::vector<LoweringCase> all_cases() {
  std::vector<LoweringCase> out;
  for (const auto& part :
       {arithmetic_cases(), activation_cases(), product_cases(), recurrent_cases(), norm_cases(),
        loss_cases(), pool_cases(), reduce_cases(), movement_cases()})
    out.insert(out.end(), part.begin(), part.end());
  return out;
}

Tensor to_f64(const Tensor& t) {
  Tensor out(DType::kF64, t.shape());
  const auto from = t.data<float>();
  std::copy(from.begin(), from.end(), out.mutable_data<double>().begin());
  return out;
}

/// The graph with float64 in place of float32, its parameters inputs; BatchNormalization on batch
/// statistics where the case is.
Graph in_f64(const Net& net, bool batch_statistics) {
  Graph out = net.graph;
  std::vector<ValueId> inputs;
  for (const ValueId id : out.values()) {
    Value& value = out.mutable_value(id);
    if (!value.constant || value.constant->dtype() != DType::kF32 || value.name == "scales")
      continue;
    if (std::count(net.parameters.begin(), net.parameters.end(), value.name) == 0) {
      value.constant = to_f64(*value.constant);
      continue;
    }
    value.type = tensor_type(DType::kF64, value.constant->shape());
    value.constant.reset();
    inputs.push_back(id);
  }
  out.set_inputs(inputs);
  for (const NodeId id : out.nodes()) {
    if (out.node(id).is("Cast")) out.set_attr(id, "to", int64_t{11});
    if (out.node(id).is("BatchNormalization") && batch_statistics)
      out.set_attr(id, "training_mode", int64_t{1});
  }
  return out;
}

class Check {
 public:
  Check(Net& net, const LoweringCase& what)
      : net_(net),
        what_(what),
        reference_(reference_graph(), {.executor = ExecutorKind::kReference}) {
    for (const std::string& name : net.parameters) inputs_[name] = to_f64(element_of(name));
  }

  void run() {
    const Tensor y = reference_.run(inputs_).at("y");
    add_loss(y.shape());
    const auto trainer = open_trainer(net_.graph, net_.options());
    compare("y", trainer->forward({}, {"y"}, what_.batch_statistics).at("y"),
            {y.data<double>().begin(), y.data<double>().end()});
    const StepOptions options{.batch_statistics = what_.batch_statistics};
    const Gradients found = trainer->gradients({}, options);
    for (const std::string& name : net_.parameters)
      compare("gradient of " + name, found.at(name), differences(name));
  }

 private:
  Graph reference_graph() {
    net_.finish(what_.build(net_));
    return in_f64(net_, what_.batch_statistics);
  }
  const Tensor& element_of(const std::string& name) const {
    return *net_.graph.value(net_.graph.find_value(name)).constant;
  }
  /// loss = sum(weights y)
  void add_loss(const Shape& shape) {
    weights_ = net_.uniform(shape, -1, 1);
    const ValueId y = net_.graph.find_value("y");
    const ValueId product = net_.op("Mul", {y, net_.fixed(weights_)});
    net_.graph.rename_value(net_.op("ReduceSum", {product}, {{"keepdims", int64_t{0}}}), "loss");
  }
  double loss() {
    const Tensor y = reference_.run(inputs_).at("y");
    double sum = 0;
    for (size_t i = 0; i < y.data<double>().size(); ++i)
      sum += y.data<double>()[i] * weights_.data<float>()[i];
    return sum;
  }
  std::vector<double> differences(const std::string& name) {
    constexpr double kStep = 1e-5;
    std::vector<double> out;
    for (int64_t i = 0; i < inputs_[name].size(); ++i) {
      double& element = inputs_[name].mutable_data<double>()[static_cast<size_t>(i)];
      const double before = element;
      element = before + kStep;
      const double above = loss();
      inputs_[name].mutable_data<double>()[static_cast<size_t>(i)] = before - kStep;
      const double below = loss();
      inputs_[name].mutable_data<double>()[static_cast<size_t>(i)] = before;
      out.push_back((above - below) / (2 * kStep));
    }
    return out;
  }
  void compare(const std::string& which, const Tensor& found, const std::vector<double>& expected) {
    double largest = 1;
    for (const double v : expected) largest = std::max(largest, std::abs(v));
    ASSERT_EQ(found.size(), static_cast<int64_t>(expected.size()));
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(found.data<float>()[i], expected[i], 2e-5 * largest)
          << what_.op << what_.variant << ", " << which << ", element " << i;
  }

  Net& net_;
  const LoweringCase& what_;
  Executor reference_;
  std::map<std::string, Tensor> inputs_;
  Tensor weights_;
};

class EveryLowering : public testing::TestWithParam<std::string> {};

TEST_P(EveryLowering, ValuesAndGradientsAreTheReferences) {
  if (kElsewhere.contains(GetParam())) return;
  int count = 0;
  for (const LoweringCase& each : all_cases()) {
    if (each.op != GetParam()) continue;
    ++count;
    Net net;
    Check(net, each).run();
  }
  EXPECT_GT(count, 0) << "no case in lowering_cases.cc";
}

INSTANTIATE_TEST_SUITE_P(Rows, EveryLowering, testing::ValuesIn(rows()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

TEST(Lowerings, CasesAreOfRows) {
  const auto names = rows();
  for (const LoweringCase& each : all_cases())
    EXPECT_EQ(std::count(names.begin(), names.end(), each.op), 1) << each.op;
}

TEST(Lowerings, Opset23) {
  Net net;
  net.graph.set_opset("", 23);
  const LoweringCase rms{
      "RMSNormalization", "", [](Net& n) {
        return n.op("RMSNormalization", {n.param({2, 3, 4}), n.param({4})}, {{"epsilon", 1e-3f}});
      }};
  Check(net, rms).run();
}

TEST(Lowerings, Opset24) {
  Net net;
  net.graph.set_opset("", 24);
  const LoweringCase swish{"Swish", "", [](Net& n) {
                             return n.op("Swish", {n.param({2, 5})}, {{"alpha", .7f}});
                           }};
  Check(net, swish).run();
}

}  // namespace
}  // namespace lapidary
