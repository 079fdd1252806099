#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <set>
#include <string>

#include "lapidary/data.h"
#include "lapidary/error.h"
#include "lapidary/model_io.h"
#include "lapidary/qat.h"
#include "lapidary/train.h"
#include "src/base/rng.h"

// train_bench MODEL.onnx fp32|qat BATCH THREADS: a trainer of a classifier on random images. For
// each number of steps read from standard input it takes them (SGD, momentum, weight decay,
// cross-entropy) and answers with a line: seconds, CPU seconds of all threads, the last loss, the
// peak resident memory of the process so far in bytes, and that before the first step. What
// throughput.py drives.

namespace lapidary {
namespace {

Shape input_shape(const Graph& graph, int64_t batch) {
  Shape shape;
  for (const Dim& dim : *graph.value(graph.inputs()[0]).type.shape) shape.push_back(dim.value);
  shape[0] = batch;
  return shape;
}

Tensor uniform(const Shape& shape, Rng& rng) {
  Tensor out(DType::kF32, shape);
  for (float& v : out.mutable_data<float>()) v = static_cast<float>(2 * rng.uniform() - 1);
  return out;
}

/// Weights and biases of layers, scales and offsets of normalizations.
std::vector<TrainedParameter> parameters_of(const Graph& graph) {
  std::set<std::string> seen;
  std::vector<TrainedParameter> out;
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (!node.is("Conv") && !node.is("Gemm") && !node.is("BatchNormalization")) continue;
    for (size_t i = 1; i < std::min<size_t>(node.inputs.size(), 3); ++i) {
      const Value& value = graph.value(node.inputs[i]);
      if (value.constant && seen.insert(value.name).second)
        out.push_back({.name = value.name, .decay = value.constant->rank() > 1});
    }
  }
  return out;
}

struct Cost {
  int64_t peak_bytes;
  double cpu;  ///< s
};
Cost cost() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return {int64_t{1024} * usage.ru_maxrss, seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

void serve(const std::string& path, bool qat, int64_t batch, int threads) {
  Graph graph = load_onnx(path);
  Rng rng(1);
  const std::string input = graph.value(graph.inputs()[0]).name;
  const Tensor images = uniform(input_shape(graph, batch), rng);
  Tensor labels(DType::kI64, {batch});
  for (int64_t& label : labels.mutable_data<int64_t>()) label = static_cast<int64_t>(rng.below(10));
  TrainerOptions options{.parameters = parameters_of(graph),
                         .optimizer = {.kind = "sgd", .momentum = 0.9, .weight_decay = 1e-4},
                         .threads = threads};
  if (qat) {
    const Dataset samples = dataset_of({{input, images}});
    QatGraph made = make_qat_graph(graph, nullptr, &samples, {.samples = 32, .threads = threads});
    graph = std::move(made.graph);
    options.parameters = std::move(made.parameters);
  }
  options.loss = add_loss(graph, {{}});
  const auto trainer = open_trainer(graph, options);
  const Trainer::Values feed{{input, images}, {std::string(kLabelInput), labels}};
  const int64_t before = cost().peak_bytes;
  for (int steps = 0; std::cin >> steps;) {
    double loss = 0;
    const double cpu = cost().cpu;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < steps; ++i) loss = trainer->step(feed, {.lr = 1e-3}).loss;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const Cost now = cost();
    std::printf("%.6f %.6f %.6f %lld %lld\n", took.count(), now.cpu - cpu, loss,
                static_cast<long long>(now.peak_bytes), static_cast<long long>(before));
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace lapidary

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: train_bench MODEL.onnx fp32|qat BATCH THREADS\n");
    return 2;
  }
  try {
    lapidary::serve(argv[1], std::string(argv[2]) == "qat", std::atoll(argv[3]),
                    std::atoi(argv[4]));
  } catch (const lapidary::Error& error) {
    std::fprintf(stderr, "train_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
