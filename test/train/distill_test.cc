#include "lapidary/distill.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "test/train/net.h"

// Gradients of the losses of distillation through the trainer: against central differences of the
// reference executor in float64, and finite where roots and norms have none of their own.

namespace lapidary {
namespace {

struct Case {
  std::string name;
  DistillSpec spec;
  Shape student, teacher;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::vector<Case> cases() {
  const Shape scores{4, 5}, maps{3, 4, 2, 4}, tokens{3, 4, 5};
  return {
      {"kd", {.kind = "kd"}, scores, scores},
      {"kd_planes", {.kind = "kd", .params = {{"axis", {1}}}}, maps, maps},
      {"dkd", {.kind = "dkd", .params = {{"beta", {2}}}}, scores, scores},
      {"dist", {.kind = "dist", .params = {{"temperature", {2}}}}, scores, scores},
      {"hint", {.kind = "hint"}, maps, {3, 6, 2, 4}},
      {"hint_tokens", {.kind = "hint"}, tokens, {3, 4, 6}},
      {"attention", {.kind = "attention"}, maps, {3, 6, 2, 2}},
      {"attention_3", {.kind = "attention", .params = {{"power", {3}}}}, tokens, {3, 4, 2}},
      {"similarity", {.kind = "similarity"}, maps, {3, 7}},
      {"rkd", {.kind = "rkd", .params = {{"distance", {1}}, {"angle", {2}}}}, {4, 3, 2}, {4, 5}},
      {"layer_mse", {.kind = "layer_mse"}, tokens, tokens},
      {"cosine", {.kind = "cosine"}, maps, maps},
  };
}

/// A student whose layer is a trained constant "p", the loss built in, and what the loss reads.
struct Trial {
  Graph graph;
  Distillation made;
  Trainer::Values inputs;

  explicit Trial(const Case& c) {
    Net net;
    net.graph.set_outputs({net.builder.op("Identity", {net.param(c.student)}, {}, "layer")});
    Net teacher;
    teacher.graph.set_outputs({teacher.builder.op(
        "Identity", {teacher.fixed(Tensor(DType::kF32, c.teacher))}, {}, "layer")});
    DistillSpec spec = c.spec;
    spec.layers = {"layer"};
    graph = net.graph;
    made = attach_distillation(graph, teacher.graph, {spec}, 1);
    inputs["lapidary.teacher/layer"] = net.uniform(c.teacher, -1, 1);
    if (spec.kind == "dkd")
      inputs[std::string(kLabelInput)] = Tensor::of<int64_t>({4}, {2, 0, 3, 1});
  }
  std::vector<std::string> parameters() const {
    std::vector<std::string> names = {"p0"};
    for (const TrainedParameter& p : made.parameters) names.push_back(p.name);
    return names;
  }
  Tensor& constant(const std::string& name) {
    return *graph.mutable_value(graph.find_value(name)).constant;
  }
  Gradients gradients() const {
    TrainerOptions options{.loss = made.loss, .outputs = {}};
    for (const std::string& name : parameters()) options.parameters.push_back({.name = name});
    return open_trainer(graph, options)->gradients(inputs, {});
  }
};

Tensor to_f64(const Tensor& t) {
  if (t.dtype() != DType::kF32) return t;
  Tensor out(DType::kF64, t.shape());
  std::copy(t.data<float>().begin(), t.data<float>().end(), out.mutable_data<double>().begin());
  return out;
}

/// The loss in float64, a function of the parameters.
class Reference {
 public:
  explicit Reference(const Trial& trial)
      : loss_(trial.made.loss), executor_(in_f64(trial), {.executor = ExecutorKind::kReference}) {
    for (const auto& [name, tensor] : trial.inputs) inputs_[name] = to_f64(tensor);
    for (const std::string& name : trial.parameters())
      inputs_[name] = to_f64(*trial.graph.constant(trial.graph.find_value(name)));
  }
  std::vector<double> differences(const std::string& name) {
    constexpr double kStep = 1e-5;
    std::vector<double> out;
    for (size_t i = 0; i < static_cast<size_t>(inputs_[name].size()); ++i) {
      const double before = inputs_[name].data<double>()[i];
      const auto loss_at = [&](double v) {
        inputs_[name].mutable_data<double>()[i] = v;
        return executor_.run(inputs_).at(loss_).data<double>()[0];
      };
      const double above = loss_at(before + kStep), below = loss_at(before - kStep);
      loss_at(before);
      out.push_back((above - below) / (2 * kStep));
    }
    return out;
  }

 private:
  static Graph in_f64(const Trial& trial) {
    Graph graph = trial.graph;
    const std::vector<std::string> parameters = trial.parameters();
    auto inputs = graph.inputs();
    for (const ValueId id : graph.values()) {
      Value& value = graph.mutable_value(id);
      if (value.producer || value.type.dtype == DType::kI64) {
        if (value.producer) value.type = {};
        continue;
      }
      value.type.dtype = DType::kF64;
      if (!value.constant) continue;
      value.constant = to_f64(*value.constant);
      if (std::count(parameters.begin(), parameters.end(), value.name) == 0) continue;
      value.constant.reset();
      inputs.push_back(id);
    }
    graph.set_inputs(inputs);
    for (const NodeId id : graph.nodes())
      if (graph.node(id).is("Cast")) graph.set_attr(id, "to", static_cast<int64_t>(DType::kF64));
    graph.set_outputs({graph.find_value(trial.made.loss)});
    return graph;
  }

  std::string loss_;
  Executor executor_;
  Executor::Values inputs_;
};

class DistillGradient : public testing::TestWithParam<Case> {};

TEST_P(DistillGradient, IsThatOfDifferences) {
  const Trial trial(GetParam());
  const Gradients found = trial.gradients();
  Reference reference(trial);
  for (const std::string& name : trial.parameters()) {
    const std::vector<double> expected = reference.differences(name);
    double largest = 0;
    for (const double v : expected) largest = std::max(largest, std::abs(v));
    EXPECT_GT(largest, 1e-4) << name;
    ASSERT_EQ(found.at(name).size(), std::ssize(expected));
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(found.at(name).data<float>()[i], expected[i], 1e-4 * largest)
          << name << ", element " << i;
  }
}

/// All samples the same, all of them 0, or student and teacher the same.
TEST_P(DistillGradient, IsFiniteWhereNormsAreNot) {
  for (const std::string how : {"zero", "one sample", "two alike", "the teacher's"}) {
    Trial trial(GetParam());
    Tensor& p = trial.constant("p0");
    const auto values = p.mutable_data<float>();
    const size_t sample = values.size() / static_cast<size_t>(p.dim(0));
    if (how == "zero") std::fill(values.begin(), values.end(), 0.0f);
    for (size_t i = sample; i < values.size(); ++i)
      if (how == "one sample" || (how == "two alike" && i < 2 * sample))
        values[i] = values[i - sample];
    if (how == "the teacher's") {
      if (GetParam().student != GetParam().teacher) continue;
      p = trial.inputs.at("lapidary.teacher/layer");
    }
    for (const auto& [name, gradient] : trial.gradients())
      for (const float v : gradient.data<float>()) {
        ASSERT_TRUE(std::isfinite(v)) << how << ", " << name;
        ASSERT_LT(std::abs(v), 100) << how << ", " << name;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, DistillGradient, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST(DistillGradients, OfEveryLossAreTried) {
  const auto all = cases();
  for (const NamedHelp& loss : list_distill_losses())
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const Case& c) {
      return c.spec.kind == loss.name;
    })) << loss.name;
}

// -- what is learned

/// x [N,3] -> MatMul w -> "layer" [N, columns].
Net linear(const Tensor& w, bool trained) {
  Net net;
  const ValueId x = net.builder.input("x", DType::kF32, {Dim::named("N"), 3});
  const ValueId to = trained ? net.param(w) : net.fixed(w);
  net.graph.set_outputs({net.builder.op("MatMul", {x, to}, {}, "layer")});
  return net;
}

struct Learned {
  double first = 0, last = 0;
};
/// Losses of the first and the last of so many steps, without labels.
Learned learn(Net student, const Graph& teacher, const DistillSpec& spec, double lr) {
  const Distillation made = attach_distillation(student.graph, teacher, {spec}, 3);
  TrainerOptions options = student.options();
  options.loss = made.loss;
  options.parameters.insert(options.parameters.end(), made.parameters.begin(),
                            made.parameters.end());
  const auto trainer = open_trainer(student.graph, options);
  Teacher tell(teacher, made);
  Learned out;
  for (int i = 0; i < 200; ++i) {
    Trainer::Values batch = {{"x", student.uniform({16, 3}, -1, 1)}};
    tell(batch);
    out.last = trainer->step(batch, {.lr = lr}).loss;
    if (i == 0) out.first = out.last;
  }
  return out;
}

TEST(Distilled, ARegressorLearns) {
  Net net;
  const Tensor student = Tensor::of<float>({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1}),
               teacher = net.uniform({3, 6}, -1, 1);
  const Learned loss = learn(linear(student, false), linear(teacher, false).graph,
                             {.kind = "hint", .layers = {"layer"}}, 0.5);
  EXPECT_GT(loss.first, 0.1);
  EXPECT_LT(loss.last, 1e-4 * loss.first);
}

TEST(Distilled, AStudentLearnsScoresWithoutLabels) {
  Net net;
  const Tensor student = net.uniform({3, 4}, -1, 1), teacher = net.uniform({3, 4}, -2, 2);
  const Learned loss =
      learn(linear(student, true), linear(teacher, false).graph, {.kind = "kd"}, 0.5);
  EXPECT_GT(loss.first, 0.1);
  EXPECT_LT(loss.last, 1e-3 * loss.first);
}

}  // namespace
}  // namespace lapidary
