#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <span>

#include "lapidary/error.h"
#include "lapidary/evaluate.h"
#include "src/base/signal.h"
#include "src/ir/builder.h"
#include "src/ops/infer.h"
#include "src/pipeline/evaluate_models.h"
#include "src/pipeline/metric.h"

namespace lapidary {
namespace {

Batch labelled(std::vector<int64_t> labels) {
  Batch b;
  for (size_t i = 0; i < labels.size(); ++i) b.indices.push_back(static_cast<int64_t>(i));
  b.labels = std::move(labels);
  return b;
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

Outputs only(const Tensor& output) { return {{{"y", output}}}; }

std::optional<double> measured(const char* name, const Batch& data, const Tensor& output,
                               const Tensor* reference = nullptr) {
  auto metric = find_metric(name)->make();
  const Outputs outputs = only(output), against = reference ? only(*reference) : Outputs();
  metric->see({data, outputs, reference ? &against : nullptr});
  return metric->value();
}

double measure(const char* name, const Batch& data, const Tensor& output,
               const Tensor* reference = nullptr) {
  return measured(name, data, output, reference).value();
}

TEST(Metrics, Top1CountsTheFirstOfEqualOutputs) {
  const Tensor y = Tensor::of<float>({3, 2}, {1, 0, 2, 2, 2, 2});
  EXPECT_DOUBLE_EQ(measure("top1", labelled({0, 0, 1}), y), 2.0 / 3);
}

TEST(Metrics, Top5NeedsMoreThanFiveClasses) {
  const Tensor five = Tensor::of<float>({1, 5}, {1, 2, 3, 4, 5});
  EXPECT_FALSE(measured("top5", labelled({0}), five).has_value());
  const Tensor six = Tensor::of<float>({2, 6}, {0, 1, 2, 3, 4, 5, 9, 1, 2, 3, 4, 5});
  EXPECT_DOUBLE_EQ(measure("top5", labelled({0, 1}), six), 0.0);  // both labels rank sixth
  EXPECT_DOUBLE_EQ(measure("top5", labelled({1, 0}), six), 1.0);
}

TEST(Metrics, Top1OfOutputsWithTrailingOnes) {
  const Tensor y = Tensor::of<float>({1, 3, 1, 1}, {0, 7, 1});
  EXPECT_DOUBLE_EQ(measure("top1", labelled({1}), y), 1.0);
}

TEST(Metrics, AgreementHoldsTwoModelsTogether) {
  const Tensor y = Tensor::of<float>({2, 2}, {1, 0, 0, 1});
  const Tensor f = Tensor::of<float>({2, 2}, {3, 2, 5, 1});
  EXPECT_DOUBLE_EQ(measure("agreement_with_fp32", labelled({-1, -1}), y, &f), 0.5);
}

TEST(Metrics, AgreementIsOfClassesNotOfBoxes) {
  const Tensor boxes = Tensor::of<float>({1, 2, 2}, {1, 0, 0, 1});
  EXPECT_FALSE(measured("agreement_with_fp32", labelled({-1}), boxes, &boxes).has_value());
  const Tensor classes = Tensor::of<float>({1, 4, 1, 1}, {1, 0, 0, 1});
  EXPECT_DOUBLE_EQ(measure("agreement_with_fp32", labelled({-1}), classes, &classes), 1);
}

// By hand: sample 1: 10 log10(25 / 0.25) = 20; sample 2: 10 log10(100 / 1) = 20; sample 3: 40.
TEST(Metrics, SqnrIsTheMeanOverSamples) {
  const Tensor f = Tensor::of<float>({3, 2}, {3, 4, 10, 0, 0, 100});
  const Tensor y = Tensor::of<float>({3, 2}, {3.5f, 4, 10, 1, 0, 99});
  EXPECT_NEAR(measure("sqnr_db", labelled({-1, -1, -1}), y, &f), (20 + 20 + 40) / 3.0, 1e-9);
}

TEST(Metrics, ScoresThatAreNotFiniteAreMisses) {
  const Tensor y =
      Tensor::of<float>({6, 2}, {kNan, kNan, 1, kNan, kNan, 1, kInf, 0, -kInf, -kInf, 1, -kInf});
  EXPECT_DOUBLE_EQ(measure("top1", labelled({0, 0, 1, 0, 0, 0}), y),
                   1.0 / 6);  // the last one alone
  const Tensor nan = Tensor::of<float>({1, 6}, {kNan, kNan, kNan, kNan, kNan, kNan});
  EXPECT_DOUBLE_EQ(measure("top5", labelled({3}), nan), 0);
}

TEST(Metrics, OutputsThatAreNotFiniteAgreeWithNothing) {
  const Tensor y = Tensor::of<float>({4, 2}, {kNan, kNan, 2, kNan, kInf, 0, 1, -kInf});
  const Tensor f = Tensor::of<float>({4, 2}, {1, 0, 1, 0, 1, 0, 1, 0});
  const Batch data = labelled({-1, -1, -1, -1});
  EXPECT_DOUBLE_EQ(measure("agreement_with_fp32", data, y, &f), 0.25);  // the last one alone
  EXPECT_DOUBLE_EQ(measure("agreement_with_fp32", data, y, &y), 0.25);
}

TEST(Metrics, SqnrOfOutputsThatAreNotFiniteHasNoValue) {
  const Tensor f = Tensor::of<float>({2, 2}, {3, 4, 10, 0});
  const Tensor y = Tensor::of<float>({2, 2}, {3, 4, kNan, 0});
  EXPECT_TRUE(std::isnan(measure("sqnr_db", labelled({-1, -1}), y, &f)));
}

/// y = Relu(x), i = ArgMax of y's last axis, m = the mean of all; x [batch,2].
Graph three_outputs(Dim batch) {
  Graph graph;
  graph.set_opset("", 13);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {batch, 2});
  const ValueId y = b.op("Relu", {x}, {}, "y");
  b.output(y);
  b.output(b.op("ArgMax", {y}, {{"axis", int64_t{1}}}, "i"));
  b.output(b.op("ReduceMean", {y}, {}, "m"));
  infer_types(graph);
  return graph;
}

TEST(Metrics, SeeEveryOutputByName) {
  const Graph graph = three_outputs(4);
  Batch three = labelled({0, 1, 1});  // the fourth row repeats the third sample
  const Executor::Values made = {{"y", Tensor::of<float>({4, 2}, {3, 1, 1, 2, 0, 5, 0, 5})},
                                 {"i", Tensor::of<int64_t>({4, 1}, {0, 1, 1, 1})},
                                 {"m", Tensor::of<float>({1}, {2.125f})}};
  const Outputs seen = outputs_of(graph, made, 4, three);
  ASSERT_EQ(seen.entries.size(), 3u);
  EXPECT_EQ(&seen.first(), seen.find("y"));
  EXPECT_EQ(seen.first().shape(), (Shape{3, 2}));
  ASSERT_NE(seen.find("i"), nullptr);
  EXPECT_EQ(seen.find("i")->dtype(), DType::kI64);
  EXPECT_EQ(seen.find("i")->shape(), (Shape{3, 1}));
  EXPECT_EQ(seen.find("i")->data<int64_t>()[1], 1);
  EXPECT_EQ(seen.find("m")->shape(), (Shape{1}));
  EXPECT_EQ(seen.find("x"), nullptr);
}

TEST(Evaluate, TheDataDecideOnLabelsNotTheFirstBatch) {
  const Graph graph = three_outputs(Dim::named("N"));
  const Tensor x = Tensor::of<float>({3, 2}, {3, 1, 1, 2, 5, 0});
  const Dataset late = dataset_of({{"x", x}}, {-1, 1, 0}), none = dataset_of({{"x", x}});
  EXPECT_TRUE(late.labelled());
  EXPECT_FALSE(none.labelled());
  const Validation with = evaluate(graph, late, {.batch = 1});
  EXPECT_TRUE(with.labelled);
  EXPECT_DOUBLE_EQ(with.top1, 2.0 / 3);  // a sample without a label is a miss
  EXPECT_DOUBLE_EQ(with.metric("top1"), with.top1);
  const Validation without = evaluate(graph, none, {.batch = 1});
  EXPECT_FALSE(without.labelled);
  EXPECT_TRUE(without.metrics.empty());
  for (const double figure : {without.top1, without.top5, without.agreement, without.sqnr_db})
    EXPECT_TRUE(std::isnan(figure));  // not measured is not 0
  EXPECT_THROW(evaluate(graph, none, {.metrics = {"top1"}}), Error);
}

TEST(Signal, NotFinite) {
  const std::vector<float> y = {1, 2};
  for (float bad : {kNan, kInf, -kInf}) {
    const std::vector<float> other = {1, bad};
    EXPECT_TRUE(std::isnan(sqnr_db(y, other))) << bad;
    EXPECT_TRUE(std::isnan(sqnr_db(other, y))) << bad;
    EXPECT_TRUE(std::isnan(sqnr_db(other, other))) << bad;
    EXPECT_TRUE(std::isnan(cosine(y, other))) << bad;
  }
}

// y = 1..20, x = y + 1: sum y^2 = 20 * 21 * 41 / 6 = 2870, sum (y - x)^2 = 20, sum y x = 2870 +
// 210, sum x^2 = 2870 + 2 * 210 + 20.
TEST(Signal, OfAnyLength) {
  std::vector<float> y, x;
  for (int i = 1; i <= 20; ++i) {
    y.push_back(static_cast<float>(i));
    x.push_back(static_cast<float>(i + 1));
  }
  EXPECT_NEAR(sqnr_db(y, x), 10 * std::log10(2870.0 / 20), 1e-12);
  EXPECT_NEAR(cosine(y, x), 3080 / std::sqrt(2870.0 * 3310.0), 1e-12);
  PairSums parts;
  for (const size_t first : {size_t{0}, size_t{7}, size_t{14}})
    parts.add(std::span(y).subspan(first, first == 14 ? 6 : 7),
              std::span(x).subspan(first, first == 14 ? 6 : 7));
  EXPECT_NEAR(parts.sqnr_db(), 10 * std::log10(2870.0 / 20), 1e-12);
}

TEST(Signal, Ends) {
  const std::vector<float> zero = {0, 0}, one = {1, 0}, other = {0, 1};
  EXPECT_EQ(sqnr_db(one, one), kMaxSqnrDb);
  EXPECT_EQ(sqnr_db(zero, one), 0);
  EXPECT_EQ(cosine(one, other), 0);
  EXPECT_EQ(cosine(zero, zero), 1);
  EXPECT_EQ(cosine(zero, one), 0);
  EXPECT_NEAR(cosine(std::vector<float>{1, 1}, one), std::sqrt(0.5), 1e-12);
}

}  // namespace
}  // namespace lapidary
