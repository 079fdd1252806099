#include "lapidary/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "lapidary/arrays.h"
#include "lapidary/evaluate.h"
#include "lapidary/model_io.h"
#include "src/ops/infer.h"
#include "test/fit/folder.h"
#include "test/train/net.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

constexpr int64_t kClasses = 3, kTrain = 192, kTest = 96;

/// Pictures of two channels in which a class is a direction of the channels' means, under noise.
void write_data(const std::string& x_file, const std::string& label_file, int64_t count,
                uint64_t seed) {
  Rng rng(seed);
  Tensor x(DType::kF32, {count, 2, 6, 6}), labels(DType::kI64, {count});
  auto xs = x.mutable_data<float>();
  auto ls = labels.mutable_data<int64_t>();
  for (int64_t n = 0; n < count; ++n) {
    ls[static_cast<size_t>(n)] = n % kClasses;
    const double angle = 2 * 3.14159265 * static_cast<double>(n % kClasses) / kClasses;
    for (int64_t i = 0; i < 72; ++i)
      xs[static_cast<size_t>(n * 72 + i)] = static_cast<float>(
          (i < 36 ? std::cos(angle) : std::sin(angle)) + 3 * rng.uniform() - 1.5);
  }
  write_npy(x_file, x);
  write_npy(label_file, labels);
}

/// Conv, BatchNormalization, Relu, Conv, Relu, mean over pixels, Gemm; all weights 0.
Graph untrained() {
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  const auto zeros = [&](const char* name, Shape shape) {
    return b.constant(name, Tensor(DType::kF32, shape));
  };
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), Dim(2), Dim(6), Dim(6)});
  const GraphBuilder::Attrs pads = {{"pads", Ints{1, 1, 1, 1}}};
  ValueId y = b.op("Conv", {x, zeros("w1", {6, 2, 3, 3})}, pads, "conv1");
  y = b.op("BatchNormalization",
           {y, zeros("gamma", {6}), zeros("beta", {6}), zeros("mean", {6}), zeros("variance", {6})},
           {}, "norm1");
  y = b.op("Relu", {y}, {}, "relu1");
  y = b.op("Conv", {y, zeros("w2", {6, 6, 3, 3}), zeros("b2", {6})}, pads, "conv2");
  y = b.op("Relu", {y}, {}, "relu2");
  y = b.op("GlobalAveragePool", {y}, {}, "pool");
  y = b.op("Flatten", {y}, {}, "flat");
  y = b.op("Gemm", {y, zeros("w3", {kClasses, 6}), zeros("b3", {kClasses})},
           {{"transB", int64_t{1}}}, "scores");
  b.output(y);
  infer_types(graph);
  return graph;
}

class TrainingRecipe : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    if (const std::string why = training_unavailable(); !why.empty()) GTEST_SKIP() << why;
    write_data(at("train.npy"), at("train_labels.npy"), kTrain, 1);
    write_data(at("test.npy"), at("test_labels.npy"), kTest, 2);
    save_onnx(untrained(), at("net.onnx"));
  }

  /// The recipe with these steps; `more` replaces data or adds keys.
  std::string recipe(const std::string& steps, const std::string& model = "net.onnx") const {
    return "lapidary: 1\nmodel: " + at(model) + "\noutput: " + at("out") +
           "\nevaluate: {bench: null, layer_samples: 0}\ndata:\n" +
           "  train: {kind: npy, path: " + at("train.npy") + ", labels: " + at("train_labels.npy") +
           "}\n  eval: {kind: npy, path: " + at("test.npy") + ", labels: " + at("test_labels.npy") +
           "}\nsteps:\n" + steps;
  }
  Report run(const std::string& steps, const RunOptions& options = {}) const {
    return run_recipe(Recipe::parse(recipe(steps)), options);
  }
  std::string refusal(const std::string& steps) const {
    return error_of([&] { Recipe::parse(recipe(steps), "recipe.yaml"); });
  }
  std::string bytes(const std::string& file) const {
    std::ifstream in(at(file), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

constexpr const char* kTrain20 = "  - train: {epochs: 6, batch: 32, lr: 0.1, log_every: 4}\n";

TEST_F(TrainingRecipe, TrainsFromScratchAndMeasuresTheFile) {
  const Report report = run(kTrain20);
  ASSERT_EQ(report.stages.size(), 2u);
  EXPECT_LT(report.stages[0].metrics.at("top1"), 0.5) << "all weights are 0";
  EXPECT_GT(report.stages[1].metrics.at("top1"), 0.9);
  ASSERT_EQ(report.trainings.size(), 1u);
  const TrainingRecord& t = report.trainings[0];
  EXPECT_EQ(t.steps, 36);
  ASSERT_EQ(t.log.epochs.size(), 6u);
  EXPECT_EQ(t.log.intervals.size(), 9u);
  EXPECT_LT(t.log.epochs[5].loss, t.log.epochs[0].loss);
  EXPECT_EQ(t.measured_on, "eval");
  EXPECT_EQ(t.log.epochs[5].metrics.at("top1"), report.stages[1].metrics.at("top1"));
  const Graph shipped = load_onnx(at("out/model.onnx"));
  EXPECT_EQ(shipped.inputs().size(), 1u);
  EXPECT_EQ(shipped.nodes().size(), untrained().nodes().size());
  EXPECT_TRUE(fs::exists(at("out/1-train.best.onnx")));
  EXPECT_EQ(t.best_file, at("out/1-train.best.onnx"));
  EXPECT_TRUE(fs::exists(at("out/checkpoints/1-train.safetensors")));
}

TEST_F(TrainingRecipe, CurvesAreInEveryFormOfTheReport) {
  const Report report = run("  - train: {epochs: 3, batch: 32, lr: 0.1, log_every: 2}\n");
  EXPECT_THAT(report_html(report), AllOf(HasSubstr("<polyline"), HasSubstr(">Loss<"),
                                         HasSubstr("Accuracy, %"), HasSubstr("top1 (eval)")));
  EXPECT_THAT(report_markdown(report), HasSubstr("## Training"));
  EXPECT_THAT(report_console(report, false), HasSubstr("Training"));
  EXPECT_THAT(report_json(report), AllOf(HasSubstr("\"trainings\""), HasSubstr("\"intervals\"")));
}

TEST_F(TrainingRecipe, BestEpochIsToldFromTheLastAndMayBeKept) {
  // At this rate the last epochs are no better than the first.
  const Report report =
      run("  - train: {epochs: 6, batch: 32, lr: 0.1, keep: best, schedule: constant}\n");
  const TrainingRecord& t = report.trainings[0];
  ASSERT_GE(t.best_epoch, 0);
  EXPECT_EQ(report.stages[1].metrics.at("top1"),
            t.log.epochs[static_cast<size_t>(t.best_epoch)].metrics.at("top1"));
  EXPECT_EQ(bytes("out/1-train.onnx"), bytes("out/1-train.best.onnx"));
}

TEST_F(TrainingRecipe, ValidDataAreMeasuredBetweenEpochsInsteadOfEval) {
  std::string text = recipe("  - train: {epochs: 2, batch: 32, lr: 0.1}\n");
  text.insert(text.find("steps:"), "  valid: {kind: npy, path: " + at("train.npy") +
                                       ", labels: " + at("train_labels.npy") + ", limit: 30}\n");
  const Report report = run_recipe(Recipe::parse(text), {});
  EXPECT_EQ(report.trainings[0].measured_on, "valid");
  // 30 samples: a multiple of 1 / 30.
  const double thirty = 30 * report.trainings[0].log.epochs[0].metrics.at("top1");
  EXPECT_NEAR(thirty, std::round(thirty), 1e-9);
  EXPECT_EQ(report.stages[1].samples, kTest);
}

TEST_F(TrainingRecipe, QatReportsTheLoweredFile) {
  for (const int bits : {8, 4, 2}) {
    const Report report =
        run(std::string(kTrain20) + "  - qat: {epochs: 2, batch: 32, lr: 0.02, bits: {weights: " +
            std::to_string(bits) + ", activations: " + std::to_string(bits) + "}}\n");
    ASSERT_EQ(report.stages.size(), 3u);
    const Graph shipped = load_onnx(at("out/model.onnx"));
    int64_t quantizers = 0, fakes = 0;
    for (const NodeId id : shipped.nodes()) {
      quantizers += shipped.node(id).op == "QuantizeLinear";
      fakes += shipped.node(id).op == "FakeQuantize";
    }
    EXPECT_GT(quantizers, 0);
    EXPECT_EQ(fakes, 0);
    EXPECT_FALSE(report.quantized.empty());
    EXPECT_EQ(report.stages[2].metrics.at("top1"),
              report.trainings[1].log.epochs.back().metrics.at("top1"))
        << "what is measured between epochs is the lowered graph";
    EXPECT_GT(report.stages[2].metrics.at("top1"), bits == 2 ? 0.6 : 0.9) << bits;
  }
}

/// Steps `binarize` in ONNX's own operators.
std::string binarize(const std::string& params) {
  return "  - binarize: {epochs: 6, batch: 32, lr: 0.01, format: standard" + params + "}\n";
}
int64_t count_ops(const std::string& file, const std::string& op) {
  const Graph graph = load_onnx(file);
  const auto nodes = graph.nodes();
  return std::count_if(nodes.begin(), nodes.end(),
                       [&](NodeId id) { return graph.node(id).op == op; });
}

TEST_F(TrainingRecipe, BinarizeReportsTheLoweredFile) {
  struct Case {
    const char* params;
    std::pair<int, int> bits;  ///< of the layer between the ends
    bool signs;
  };
  for (const Case& c :
       {Case{"", {1, 1}, true}, Case{", method: irnet, first_last: 32, padding: one", {1, 1}, true},
        Case{", react: true, estimator: bireal", {1, 1}, true},
        Case{", weights: ternary, activations: 8", {2, 8}, false},
        Case{", weights: ternary, method: ttq, activations: 32", {2, 32}, false}}) {
    const Report report = run(std::string(kTrain20) + binarize(c.params));
    ASSERT_EQ(report.stages.size(), 3u);
    const std::string shipped = at("out/model.onnx");
    EXPECT_EQ(count_ops(shipped, "Where"), c.signs ? 1 : 0) << c.params;
    EXPECT_EQ(load_onnx(shipped).opset("ai.lapidary"), 0);
    EXPECT_EQ(report.stages[2].metrics.at("top1"),
              report.trainings[1].log.epochs.back().metrics.at("top1"))
        << "what is measured between epochs is the lowered graph";
    EXPECT_GT(report.stages[2].metrics.at("top1"), 0.8) << c.params;
    const auto bits = std::find_if(report.layer_bits.begin(), report.layer_bits.end(),
                                   [](const LayerBits& layer) { return layer.node == "conv2"; });
    ASSERT_NE(bits, report.layer_bits.end());
    EXPECT_EQ(std::pair(bits->weights, bits->activations), c.bits) << c.params;
  }
}

TEST_F(TrainingRecipe, BinarizeInTwoStagesAndFurther) {
  const Report report = run(std::string(kTrain20) + binarize(", weights: float") + binarize("") +
                            "  - finetune: {steps: 1, batch: 32, lr: 0}\n");
  ASSERT_EQ(report.stages.size(), 5u);
  for (const char* file : {"out/2-binarize.onnx", "out/3-binarize.onnx"})
    EXPECT_EQ(count_ops(at(file), "Where"), 1) << file;
  const auto sizes = [&](const char* file) {  // how many magnitudes the weights of conv2 have
    const Graph graph = load_onnx(at(file));
    std::set<float> out;
    for (const NodeId id : graph.nodes())
      if (node_key(graph, id) == "conv2")
        for (const float v : graph.constant(graph.node(id).inputs[1])->data<float>())
          out.insert(std::fabs(v));
    return out.size();
  };
  EXPECT_GT(sizes("out/2-binarize.onnx"), 300u);
  EXPECT_LE(sizes("out/3-binarize.onnx"), 6u) << "one for each channel";
  EXPECT_EQ(report.stages[4].metrics.at("top1"), report.stages[3].metrics.at("top1"));
  EXPECT_GT(report.stages[3].metrics.at("top1"), 0.8);
}

TEST_F(TrainingRecipe, BinarizeResumesToTheSameBytes) {
  const std::string steps = std::string(kTrain20) + binarize(", method: irnet");
  run(steps);
  const std::string whole = bytes("out/model.onnx");
  fs::remove_all(at("out"));
  int64_t asked = 0;
  EXPECT_NE(run(steps, {.resume = true, .stop = [&] { return asked++ == 55; }}).interrupted, "");
  EXPECT_EQ(run(steps, {.resume = true}).interrupted, "");
  EXPECT_EQ(bytes("out/model.onnx"), whole);
}

TEST_F(TrainingRecipe, BinarizeRefusesWhatItCannotDo) {
  const auto dry = [&](const std::string& steps) {
    return error_of([&] { run(steps, {.dry_run = true}); });
  };
  EXPECT_EQ(dry(binarize("")), "no error");
  EXPECT_THAT(dry(binarize(", layers: [conv9]")),
              AllOf(HasSubstr("'binarize'"), HasSubstr("conv9")));
  EXPECT_THAT(dry(binarize(", method: twn")), HasSubstr("xnor, irnet, sign"));
  EXPECT_THAT(dry("  - qat: {batch: 32}\n" + binarize("")), HasSubstr("trains with quantization"));
  EXPECT_THAT(dry(binarize("") + "  - qat: {batch: 32}\n"), HasSubstr("quantized it already"));
  EXPECT_THAT(refusal(binarize(", activations: 4")), HasSubstr("one of 1, 8, 32"));
  const Report planned = run(binarize(""), {.dry_run = true});
  ASSERT_EQ(planned.layer_bits.size(), 3u);
  EXPECT_EQ(planned.layer_bits[1].node, "conv2");
  EXPECT_EQ(planned.layer_bits[1].weights, 1);
}

TEST_F(TrainingRecipe, QatAfterQuantizeStartsFromItsRanges) {
  std::string text =
      recipe(std::string(kTrain20) + "  - quantize: {}\n  - qat: {steps: 1, batch: 32, lr: 0}\n");
  text.insert(text.find("steps:"), "  calib: {kind: npy, path: " + at("train.npy") + "}\n");
  run_recipe(Recipe::parse(text), {});
  const auto scales = [&](const char* file) {
    std::map<std::string, std::vector<float>> out;
    const Graph graph = load_onnx(at(file));
    for (const NodeId id : graph.nodes())
      if (const Node& node = graph.node(id); node.op == "QuantizeLinear") {
        const auto data = graph.constant(node.inputs[1])->data<float>();
        out[graph.value(node.inputs[0]).name].assign(data.begin(), data.end());
      }
    return out;
  };
  EXPECT_EQ(scales("out/2-quantize.onnx"), scales("out/3-qat.onnx"));
}

TEST_F(TrainingRecipe, StepsAfterQatGoOnFromItsFloatWeights) {
  const Report report = run(std::string(kTrain20) +
                            "  - qat: {epochs: 1, batch: 32, bits: {weights: 3, activations: 4}}\n"
                            "  - finetune: {steps: 1, batch: 32, lr: 0}\n");
  ASSERT_EQ(report.stages.size(), 4u);
  EXPECT_EQ(report.stages[3].metrics.at("top1"), report.stages[2].metrics.at("top1"));
  const auto integers = [&](const char* file) {
    const Graph graph = load_onnx(at(file));
    std::map<std::string, Tensor> out;
    for (const ValueId id : graph.values())
      if (const Tensor* t = graph.constant(id); t && t->dtype() == DType::kI8)
        out[graph.value(id).name] = *t;
    return out;
  };
  const auto before = integers("out/2-qat.onnx"), after = integers("out/3-finetune.onnx");
  ASSERT_FALSE(before.empty());
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) EXPECT_TRUE(after.at(name).equals(tensor)) << name;
}

TEST_F(TrainingRecipe, DistillsWithoutLabels) {
  ASSERT_GT(run(kTrain20).stages[1].metrics.at("top1"), 0.9);
  fs::rename(at("out/model.onnx"), at("teacher.onnx"));
  std::string text = recipe(
      "  - name: student\n    train: {epochs: 8, batch: 32, lr: 0.1, labels: false, teacher: " +
      at("teacher.onnx") + ", losses: [{kd: {temperature: 2}}]}\n");
  const std::string labels = ", labels: " + at("train_labels.npy");
  text.erase(text.find(labels), labels.size());
  const Report report = run_recipe(Recipe::parse(text), {});
  EXPECT_GT(report.stages[1].metrics.at("top1"), 0.9);
}

TEST_F(TrainingRecipe, EarlyStopEndsBeforeTheLastEpoch) {
  const Report report =
      run("  - train: {epochs: 50, batch: 32, lr: 0.1, patience: 2, schedule: constant}\n");
  EXPECT_TRUE(report.trainings[0].stopped_early);
  EXPECT_LT(report.trainings[0].log.epochs.size(), 50u);
}

TEST_F(TrainingRecipe, StoppedAndResumedEndsAsUninterrupted) {
  const std::string steps =
      std::string(kTrain20) + "  - qat: {epochs: 2, batch: 32, teacher: original, ema: 0.9}\n";
  run(steps);
  const std::string whole = bytes("out/model.onnx");
  fs::remove_all(at("out"));
  for (const int64_t limit : {7, 30, 6}) {
    int64_t asked = 0;
    const Report report = run(steps, {.resume = true, .stop = [&] { return asked++ == limit; }});
    EXPECT_NE(report.interrupted, "") << limit;
    EXPECT_FALSE(fs::exists(at("out/model.onnx")));
  }
  EXPECT_EQ(run(steps, {.resume = true}).interrupted, "");
  EXPECT_EQ(bytes("out/model.onnx"), whole);
}

TEST_F(TrainingRecipe, CheckpointOfAnotherRecipeIsRefused) {
  run("  - train: {epochs: 1, batch: 32, lr: 0.1}\n");
  EXPECT_THAT(
      error_of([&] { run("  - train: {epochs: 1, batch: 32, lr: 0.2}\n", {.resume = true}); }),
      AllOf(HasSubstr("3: "), HasSubstr("1-train.safetensors")));
}

TEST_F(TrainingRecipe, RefusedCheckpointsSayWhatDiffers) {
  run("  - train: {epochs: 1, batch: 32, lr: 0.1}\n");
  const auto refused = [&](const std::string& steps) {
    return error_of([&] { run(steps, {.resume = true}); });
  };
  EXPECT_THAT(refused("  - train: {epochs: 1, batch: 32, lr: 0.2}\n"),
              AllOf(HasSubstr("of another recipe"), HasSubstr("lr: 0.1 there, 0.2 here")));
  EXPECT_THAT(refused("  - train: {epochs: 2, batch: 16, lr: 0.1}\n"),
              AllOf(HasSubstr("epochs: 1 there, 2 here"), HasSubstr("batch: 32 there, 16 here")));
  write_data(at("train.npy"), at("train_labels.npy"), kTrain, 7);
  EXPECT_THAT(refused("  - train: {epochs: 1, batch: 32, lr: 0.1}\n"),
              AllOf(HasSubstr("of another run"), HasSubstr("training data (SHA-256): ")));
}

TEST_F(TrainingRecipe, DryRunTellsBitsAndMemory) {
  const std::string steps =
      "  - qat: {batch: 32, bits: {weights: 4, activations: 3, layers: {conv2: 2}}}\n";
  const Report report = run(steps, {.dry_run = true});
  const auto bits = [](const Report& r) {
    std::map<std::string, std::pair<int, int>> out;
    for (const LayerBits& l : r.layer_bits) out[l.node] = {l.weights, l.activations};
    return out;
  };
  const std::map<std::string, std::pair<int, int>> expected = {
      {"conv1", {8, 8}}, {"conv2", {2, 2}}, {"scores", {8, 8}}};
  EXPECT_EQ(bits(report), expected);
  EXPECT_THAT(report_json(report), HasSubstr("\"layer_bits\""));
  EXPECT_THAT(report_console(report, false),
              AllOf(HasSubstr("Bits of layers"), HasSubstr("memory in training"),
                    HasSubstr("counted, not measured")));
  ASSERT_TRUE(report.estimate.has_value());
  EXPECT_GT(report.estimate->training_bytes, 10'000'000) << "a process with libtorch";
  EXPECT_LE(report.estimate->training_bytes, report.estimate->memory_bytes);
  EXPECT_FALSE(fs::exists(at("out")));
  EXPECT_EQ(bits(run(steps)), expected) << "what a dry run says is what a run does";
}

TEST_F(TrainingRecipe, DryRunRefusesWhatARunWould) {
  const auto dry = [&](const std::string& steps) {
    return error_of([&] { run(steps, {.dry_run = true}); });
  };
  EXPECT_EQ(dry("  - distill: {batch: 32, losses: [{attention: {layers: ['relu*']}}]}\n"),
            "no error");
  EXPECT_THAT(dry("  - distill: {batch: 32, losses: [{attention: {layers: ['rellu*']}}]}\n"),
              HasSubstr("'rellu*'"));
  EXPECT_THAT(dry("  - distill: {batch: 32, teacher: " + at("nobody.onnx") + "}\n"),
              HasSubstr("nobody.onnx"));
  Graph other;
  other.set_opset("", 17);
  GraphBuilder b(other);
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), Dim(5)});
  b.output(b.op("MatMul", {x, b.constant("w", Tensor(DType::kF32, {5, kClasses}))}, {}, "y"));
  infer_types(other);
  save_onnx(other, at("other.onnx"));
  EXPECT_THAT(dry("  - distill: {batch: 32, teacher: " + at("other.onnx") + "}\n"),
              HasSubstr("the teacher reads other data"));
  EXPECT_THAT(dry("  - qat: {batch: 32, bits: {layers: {convv2: 4}}}\n"),
              AllOf(HasSubstr("step 'qat'"), HasSubstr("convv2")));
  EXPECT_THAT(dry("  - qat: {batch: 32, bits: {layers: {relu2: 4}}}\n"),
              HasSubstr("no layer whose weights are quantized"));
  EXPECT_THAT(dry("  - finetune: {batch: 1000}\n"), HasSubstr("do not fill one batch"));
  EXPECT_THAT(dry("  - finetune: {batch: 32, device: 'cuda:99'}\n"), HasSubstr("cuda"));
}

TEST_F(TrainingRecipe, QatReportsTensorsAsQuantizeDoes) {
  const Report report =
      run(std::string(kTrain20) + "  - qat: {epochs: 1, batch: 32, method: lsq}\n");
  const Graph shipped = load_onnx(at("out/model.onnx"));
  size_t activations = 0, weights = 0, biases = 0;
  for (const TensorQuant& t : report.tensors) {
    activations += t.role == "activation";
    weights += t.role == "weight";
    biases += t.role == "bias";
    ASSERT_FALSE(t.params.scale.empty()) << t.tensor;
    EXPECT_EQ(t.params.scale.size(), t.params.zero_point.size()) << t.tensor;
  }
  EXPECT_EQ(weights, 3u);
  EXPECT_EQ(biases, 3u);
  size_t quantizers = 0;
  for (const NodeId id : shipped.nodes()) {
    const Node& node = shipped.node(id);
    if (node.op != "QuantizeLinear") continue;
    ++quantizers;
    const std::string& name = shipped.value(node.inputs[0]).name;
    const auto at = std::find_if(report.tensors.begin(), report.tensors.end(), [&](const auto& t) {
      return t.role == "activation" && name.starts_with(t.tensor);
    });
    ASSERT_NE(at, report.tensors.end()) << name;
    EXPECT_EQ(at->params.scale[0], shipped.constant(node.inputs[1])->data<float>()[0]) << name;
    EXPECT_EQ(at->calibrator, "lsq");
  }
  EXPECT_GT(quantizers, 2u);
  EXPECT_LE(quantizers, activations);
  EXPECT_THAT(report_json(report), HasSubstr("\"bits\": 8"));
}

TEST_F(TrainingRecipe, LsqPlusSaysWhereItLearnsNoZeroPoint) {
  const auto warned = [&](const std::string& target) {
    const Report report =
        run("  - qat: {batch: 32, method: lsq+, target: " + target + "}\n", {.dry_run = true});
    return std::count_if(report.warnings.begin(), report.warnings.end(), [](const std::string& w) {
      return w.find("learns no zero point") != std::string::npos;
    });
  };
  EXPECT_EQ(warned("onnxruntime-cpu"), 0) << "the input takes either sign";
  EXPECT_EQ(warned("tensorrt"), 1) << "zero points are 0";
}

TEST_F(TrainingRecipe, AFixedBatchSaysWhatToDo) {
  Graph graph = untrained();
  graph.mutable_value(graph.inputs()[0]).type.shape->front() = Dim(1);
  infer_types(graph);
  save_onnx(graph, at("one.onnx"));
  const auto with_batch = [&](int batch) {
    return error_of([&] {
      run_recipe(Recipe::parse(recipe(
                     "  - train: {steps: 1, batch: " + std::to_string(batch) + "}\n", "one.onnx")),
                 {});
    });
  };
  EXPECT_THAT(with_batch(32), AllOf(HasSubstr("2: "), HasSubstr("input 'x'"),
                                    HasSubstr("`batch: 1` (--batch 1"), HasSubstr("symbolic")));
  EXPECT_EQ(with_batch(1), "no error");
}

TEST_F(TrainingRecipe, WeightsOutOfReachNameTheNode) {
  auto body = std::make_shared<Graph>();
  body->set_opset("", 17);
  GraphBuilder in(*body);
  in.input("i", DType::kI64, {});
  const ValueId going = in.input("going", DType::kBool, {});
  const ValueId h = in.input("h", DType::kF32, {Dim::named("N"), Dim(72)});
  in.output(in.op("Identity", {going}, {}, "go_on"));
  in.output(in.op("MatMul", {h, in.constant("w", Tensor(DType::kF32, {72, 72}))}, {}, "next"));
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), Dim(2), Dim(6), Dim(6)});
  const ValueId flat = b.op("Flatten", {x}, {}, "flat");
  b.output(b.op("Loop", {b.constant("trips", Tensor::scalar<int64_t>(2)), ValueId{}, flat},
                {{"body", std::shared_ptr<const Graph>(body)}}, "again"));
  infer_types(graph);
  save_onnx(graph, at("loop.onnx"));
  for (const char* steps : {"  - finetune: {steps: 1, batch: 32}\n",
                            "  - finetune: {steps: 1, batch: 32, losses: [mse]}\n"})
    EXPECT_THAT(error_of([&] { run_recipe(Recipe::parse(recipe(steps, "loop.onnx")), {}); }),
                AllOf(HasSubstr("4: "), HasSubstr("'again'")));
}

TEST_F(TrainingRecipe, AskedToStopWhileMeasuringItEndsBehindTheCheckpoint) {
  const std::string steps = "  - train: {epochs: 1, batch: 32, lr: 0.1}\n";
  run(steps);
  const std::string whole = bytes("out/model.onnx");
  fs::remove_all(at("out"));
  bool asked = false;
  RunOptions options{.stop = [&] { return asked; }};
  options.log.progress = [&](const Progress& p) { asked |= p.step == "evaluate"; };
  EXPECT_EQ(run(steps, options).interrupted, "evaluation");
  EXPECT_TRUE(asked);
  EXPECT_FALSE(fs::exists(at("out/report.json")));
  EXPECT_EQ(run(steps, {.resume = true}).interrupted, "");
  EXPECT_TRUE(fs::exists(at("out/report.json")));
  EXPECT_EQ(bytes("out/model.onnx"), whole);
}

TEST_F(TrainingRecipe, MoreFrequentRecordsDoNotMakeItAnotherRecipe) {
  run("  - train: {epochs: 1, batch: 32, lr: 0.1}\n");
  EXPECT_EQ(run("  - train: {epochs: 1, batch: 32, lr: 0.1, log_every: 1}\n", {.resume = true})
                .trainings[0]
                .steps,
            6);
}

TEST_F(TrainingRecipe, EffectiveRecipesOfAllStepsAreRecipes) {
  for (const char* steps :
       {"  - train: {losses: [{cross_entropy: {label_smoothing: 0.1}}], schedule: {step: {every: "
        "0.3}}}\n",
        "  - finetune: {metric: top5}\n",
        "  - qat: {bits: {weights: 4, layers: {'op:Gemm': 8}}, teacher: original}\n",
        "  - distill: {losses: [{kd: {temperature: 1}}, {attention: {layers: ['relu*']}}]}\n"}) {
    const std::string once = Recipe::parse(recipe(steps)).effective_yaml();
    EXPECT_EQ(Recipe::parse(once).effective_yaml(), once);
  }
}

TEST_F(TrainingRecipe, ContradictionsAreRefusedBeforeWork) {
  EXPECT_THAT(refusal("  - train: {losses: [kd]}\n"),
              AllOf(HasSubstr("recipe.yaml:9:12"), HasSubstr("needs a teacher")));
  EXPECT_THAT(refusal("  - train: {losses: [crossentropy]}\n"), HasSubstr("cross_entropy"));
  EXPECT_THAT(refusal("  - train: {labels: false}\n"), HasSubstr("name a `teacher`"));
  EXPECT_THAT(refusal("  - train: {optimiser: adam}\n"), HasSubstr("did you mean 'optimizer'"));
  EXPECT_THAT(refusal("  - train: {evaluate: false, keep: best}\n"), HasSubstr("evaluate: true"));
  EXPECT_THAT(refusal("  - qat: {bits: {weights: 1}}\n"), HasSubstr("2..8"));
  EXPECT_THAT(refusal("  - qat: {bits: {first_last: 1}}\n"),
              AllOf(HasSubstr("recipe.yaml:9:"), HasSubstr("'first_last' is '1'")));
  EXPECT_THAT(refusal("  - finetune: {optimiser: adam}\n"), HasSubstr("in 'finetune'"));
  EXPECT_THAT(refusal("  - train: {losses: [{mse: {weight: -1}}]}\n"), HasSubstr("'weight' is -1"));
  EXPECT_THAT(refusal("  - distill: {losses: [{kd: {weight: -0.5}}]}\n"),
              HasSubstr("'weight' is -0.5"));
  EXPECT_THAT(refusal("  - train: {device: tpu}\n"), HasSubstr("cpu, cuda or cuda:N"));
  EXPECT_THAT(refusal("  - qat: {}\n  - quantize: {}\n"), HasSubstr("cannot follow"));
  EXPECT_THAT(refusal("  - qat: {}\n  - qat: {bits: {weights: 4}}\n"),
              HasSubstr("train on with its bits"));
  EXPECT_THAT(refusal("  - train: {labels: false, teacher: original, losses: [dkd]}\n"),
              HasSubstr("contradict"));
  EXPECT_THAT(refusal("  - qat: {}\n  - train: {}\n"), HasSubstr("`finetune` trains on"));
  EXPECT_THAT(refusal("  - fp16: {}\n  - finetune: {}\n"), HasSubstr("float16"));
  EXPECT_THAT(error_of([&] {
                std::string text = recipe("  - train: {}\n");
                text.erase(text.find("  train: {kind"),
                           text.find("  eval:") - text.find("  train: {kind"));
                Recipe::parse(text, "recipe.yaml");
              }),
              HasSubstr("needs training data"));
}

TEST_F(TrainingRecipe, QuantizedFileIsForQatAlone) {
  run(std::string(kTrain20) + "  - qat: {epochs: 1, batch: 32}\n");
  fs::rename(at("out/model.onnx"), at("int8.onnx"));
  const auto with_int8 = [&](const char* steps) {
    return run_recipe(Recipe::parse(recipe(steps, "int8.onnx")), {});
  };
  EXPECT_THAT(error_of([&] { with_int8("  - finetune: {epochs: 1, batch: 32}\n"); }),
              AllOf(HasSubstr("4: "), HasSubstr("`qat` trains quantized models")));
  EXPECT_THAT(error_of([&] { with_int8("  - qat: {epochs: 1, batch: 32, bits: {weights: 4}}\n"); }),
              AllOf(HasSubstr("2: "), HasSubstr("keeps its bits")));
  EXPECT_GT(with_int8("  - qat: {epochs: 1, batch: 32}\n").stages[1].metrics.at("top1"), 0.9);
}

TEST_F(TrainingRecipe, ReestimatedStatisticsAreThoseOfTheData) {
  run("  - train: {epochs: 2, batch: 32, lr: 0.1, reestimate: 192}\n");
  const Graph graph = load_onnx(at("out/model.onnx"));
  Executor executor(graph, {.executor = ExecutorKind::kReference, .keep_all_values = true});
  const Tensor y = executor.run({{"x", read_npy(at("train.npy"))}}).at("conv1");
  ASSERT_EQ(y.shape(), (Shape{kTrain, 6, 6, 6}));
  const auto mean = graph.constant(graph.find_value("mean"))->data<float>();
  const auto variance = graph.constant(graph.find_value("variance"))->data<float>();
  for (size_t c = 0; c < 6; ++c) {
    double sum = 0, squares = 0;
    for (size_t n = 0; n < kTrain; ++n)
      for (size_t i = 0; i < 36; ++i) {
        const double v = y.data<float>()[(n * 6 + c) * 36 + i];
        sum += v;
        squares += v * v;
      }
    const double count = kTrain * 36, found = sum / count;
    EXPECT_NEAR(mean[c], found, 1e-5);
    EXPECT_NEAR(variance[c], squares / count - found * found, 1e-4);
  }
}

// -- prune_train

/// Two cuts to half of the units, each behind two epochs of group lasso, taught by what came in.
constexpr const char* kPruneTrain =
    "  - prune_train: {target: {units: 0.5}, scope: local, cuts: 2, epochs_between: 2, epochs: 3, "
    "batch: 32, lr: 0.02, ema: 0.8, regularizer: {group_lasso: {strength: 0.1}}, teacher: "
    "original, "
    "losses: [kd, {hint: {layers: [relu2], weight: 0.1}}]}\n";

TEST_F(TrainingRecipe, PrunesLittleByLittleAndKeepsItsAccuracy) {
  const Report report = run(std::string(kTrain20) + kPruneTrain);
  ASSERT_EQ(report.stages.size(), 3u);
  EXPECT_GT(report.stages[2].metrics.at("top1"), 0.9);
  EXPECT_LT(report.stages[2].macs, report.stages[1].macs / 2);
  // 12 units: 8 are left of the first cut (0.5^(1/2) = 0.71 of 12, as many of both layers), 6 of
  // the second.
  ASSERT_EQ(report.prunings.size(), 2u);
  const auto left = [](const PruneRecord& record) {
    int64_t units = 0;
    for (const PruneRecord::Group& group : record.groups) units += group.left;
    return units;
  };
  EXPECT_EQ(left(report.prunings[0]), 8);
  EXPECT_EQ(left(report.prunings[1]), 6);
  for (const PruneRecord& record : report.prunings) EXPECT_TRUE(record.difference.has_value());
  ASSERT_EQ(report.trainings.size(), 4u);
  EXPECT_EQ(report.trainings[1].step, "prune_train, cut 1");
  EXPECT_EQ(report.trainings[3].step, "prune_train");
  EXPECT_EQ(report.trainings[3].log.epochs.size(), 3u);
}

TEST_F(TrainingRecipe, StoppedInAnyPartOfPruningItResumesToTheSameModel) {
  const std::string steps = std::string(kTrain20) + kPruneTrain;
  run(steps);
  const std::string whole = bytes("out/model.onnx");
  // The first step has 36 steps, each part of the second 12, what follows its cuts 18.
  for (const int64_t limit : {40, 55, 66}) {
    fs::remove_all(at("out"));
    int64_t asked = 0;
    const Report report = run(steps, {.stop = [&] { return asked++ >= limit; }});
    EXPECT_EQ(report.interrupted, "prune_train") << limit;
    EXPECT_EQ(run(steps, {.resume = true}).interrupted, "");
    EXPECT_EQ(bytes("out/model.onnx"), whole) << limit;
  }
}

TEST_F(TrainingRecipe, UnitsOfGrowingDecayAreThoseThatGo) {
  const Report report = run(std::string(kTrain20) +
                            "  - prune_train: {criterion: taylor, target: {units: 0.5}, cuts: 1, "
                            "epochs_between: 8, epochs: 1, lr: 0.05, batch: 32, regularizer: "
                            "{growing: {strength: 2, every: 6, limit: 20}}}\n");
  ASSERT_EQ(report.trainings.size(), 3u);
  // Units that decayed to nothing are not missed: what came before the cut goes on behind it.
  EXPECT_NEAR(report.trainings[2].log.epochs[0].loss, report.trainings[1].log.epochs.back().loss,
              0.1);
  EXPECT_GT(report.stages[2].metrics.at("top1"), 0.9);
}

TEST_F(TrainingRecipe, PruneTrainRefusesAndPlans) {
  EXPECT_THAT(refusal("  - prune_train: {target: {macs: 0.5, size: 0.5}}\n"),
              HasSubstr("expected one"));
  EXPECT_THAT(refusal("  - prune_train: {regularizer: lasso}\n"), HasSubstr("group_lasso"));
  EXPECT_THAT(refusal("  - prune_train: {regularizer: {slimming: {every: 3}}}\n"),
              HasSubstr("every"));
  EXPECT_THAT(refusal("  - prune_train: {regularizer: slimming, epochs_between: 0}\n"),
              HasSubstr("epochs_between"));
  const std::string steps = "  - prune_train: {batch: 32, regularizer: slimming}\n";
  const Report report = run(steps, {.dry_run = true});
  EXPECT_FALSE(fs::exists(at("out")));
  const std::string once = Recipe::parse(recipe(steps)).effective_yaml();
  EXPECT_EQ(Recipe::parse(once).effective_yaml(), once);
}

}  // namespace
}  // namespace lapidary
