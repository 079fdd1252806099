// A training program with batches and a loss of its own: an ONNX graph without weights goes in, an
// integer ONNX model comes out.      train UNTRAINED.onnx OUT.onnx [FOLDER of Fashion-MNIST]
#include <lapidary/lapidary.h>

#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace lp = lapidary;

namespace {

constexpr int64_t kSide = 28, kClasses = 10, kBatch = 64, kSteps = 60, kTest = 512;

/// Float pixels [N,1,28,28] and the scores that are wanted, one-hot [N,10].
struct Pictures {
  std::vector<float> pixels, wanted;
  std::vector<int64_t> labels;
};

/// Pictures as a program has them: here waves in noise, of another direction for each class.
Pictures make_pictures(int64_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> noise;
  std::uniform_real_distribution<float> phase(0, 6.28f);
  Pictures out;
  for (int64_t n = 0; n < count; ++n) {
    const float angle = 3.1416f * static_cast<float>(n % kClasses) / kClasses, at = phase(random);
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x)
        out.pixels.push_back(std::sin(at + static_cast<float>(x) * std::cos(angle) +
                                      static_cast<float>(y) * std::sin(angle)) +
                             noise(random));
    out.labels.push_back(n % kClasses);
  }
  return out;
}

Pictures read_pictures(const std::string& folder, int64_t count) {
  const lp::Batch all = lp::open_dataset({.kind = "idx",
                                          .path = folder + "/train-images-idx3-ubyte.gz",
                                          .labels = folder + "/train-labels-idx1-ubyte.gz",
                                          .scale = 1 / 255.0,
                                          .mean = {0.286},
                                          .std = {0.353}})
                            .batch(0, count);
  const auto pixels = all.inputs.begin()->second.data<float>();
  return {{pixels.begin(), pixels.end()}, {}, all.labels};
}

/// The Brier score, mean over all elements of (softmax(logits) - wanted)^2, as nodes of the graph.
std::string add_brier_score(lp::Graph& graph) {
  const auto node = [&](const char* op, std::vector<lp::ValueId> inputs, const std::string& name) {
    const lp::ValueId out = graph.add_value(name);
    graph.add_node({.op = op, .name = name, .inputs = std::move(inputs), .outputs = {out}});
    return out;
  };
  const lp::ValueId wanted = graph.add_value("wanted", {lp::DType::kF32, {{lp::Dim{}, kClasses}}});
  graph.set_inputs({graph.inputs()[0], wanted});
  const lp::ValueId shares = node("Softmax", {graph.outputs()[0]}, "shares");
  const lp::ValueId miss = node("Sub", {shares, wanted}, "miss");
  const lp::ValueId score = node("ReduceMean", {node("Mul", {miss, miss}, "squares")}, "brier");
  graph.set_attr(graph.value(score).producer, "keepdims", int64_t{0});
  return "brier";
}

/// Pictures [begin, begin + count) where they lie: nothing is copied.
lp::Tensor view(const std::vector<float>& all, int64_t begin, lp::Shape shape) {
  const int64_t each = lp::element_count(shape) / shape[0];
  return lp::Tensor::borrow(lp::DType::kF32, shape, all.data() + begin * each, nullptr);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: train UNTRAINED.onnx OUT.onnx [FOLDER]\n");
    return 2;
  }
  if (const std::string why = lp::training_unavailable(); !why.empty()) {
    std::printf("skipped: %s\n", why.c_str());
    return 77;
  }
  const int64_t count = kSteps * kBatch;
  Pictures data = argc > 3 ? read_pictures(argv[3], count + kTest) : make_pictures(count + kTest);
  data.wanted.resize(data.labels.size() * kClasses);
  for (size_t n = 0; n < data.labels.size(); ++n)
    data.wanted[n * kClasses + static_cast<size_t>(data.labels[n])] = 1;

  // Weights by seed; ranges to begin with from a few samples; FakeQuantize where Q/DQ will be.
  lp::Graph model = lp::load_onnx(argv[1]);
  lp::init_parameters(model, 0);
  const lp::Dataset few = lp::dataset_of({{"", view(data.pixels, 0, {256, 1, kSide, kSide})}});
  lp::reestimate_batchnorm(model, few);
  const lp::QatGraph qat = lp::make_qat_graph(model, nullptr, &few);

  lp::Graph training = qat.graph;
  const std::string loss = add_brier_score(training);
  const auto trainer = lp::open_trainer(
      training, {.loss = loss, .parameters = qat.parameters, .optimizer = {.kind = "adam"}});
  const lp::Schedule rate = lp::make_schedule({"one_cycle"}, 0.01);
  double first = 0, last = 0;
  for (int64_t step = 0; step < kSteps; ++step) {
    const lp::StepResult made =
        trainer->step({{"image", view(data.pixels, step * kBatch, {kBatch, 1, kSide, kSide})},
                       {"wanted", view(data.wanted, step * kBatch, {kBatch, kClasses})}},
                      {.lr = rate(step, kSteps)});
    (step < 10 ? first : last) += (step < 10 || step >= kSteps - 10) ? made.loss / 10 : 0;
  }

  lp::Graph trained = lp::without_loss(trainer->graph(), qat.graph);
  lp::reestimate_batchnorm(trained, few);  // running statistics lag behind so few steps
  lp::save_onnx(lp::lower_qat(trained), argv[2]);

  // What was trained and what was written, on pictures that neither has seen.
  const lp::Dataset test =
      lp::dataset_of({{"", view(data.pixels, count, {kTest, 1, kSide, kSide})}},
                     {data.labels.end() - kTest, data.labels.end()});
  const lp::Validation v = lp::validate(lp::load_onnx(argv[2]), trained, test);
  std::printf("loss %.4f, then %.4f; integer model: top-1 %.4f, agreement %.4f, SQNR %.1f dB\n",
              first, last, v.top1, v.agreement, v.sqnr_db);
  return last < first ? 0 : 1;
} catch (const lp::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
}
