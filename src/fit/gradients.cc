#include <algorithm>
#include <cmath>

#include "lapidary/train.h"
#include "src/base/fail.h"
#include "src/base/rng.h"
#include "src/base/text.h"
#include "src/fit/feed_batch.h"

namespace lapidary {

namespace {

/// Sums over samples, in float64, of the gradients of means over batches.
class GradientSums {
 public:
  void add(const Gradients& gradients, int64_t samples) {
    for (const auto& [name, gradient] : gradients) {
      std::vector<double>& sum = sums_[name];
      const auto values = gradient.data<float>();
      sum.resize(values.size());
      for (size_t i = 0; i < sum.size(); ++i) {
        if (!std::isfinite(values[i]))
          fail_invalid("the gradient of '{}' is not finite after {} samples", printable(name, 200),
                       samples_ + samples);
        sum[i] += static_cast<double>(samples) * values[i];
      }
      shapes_[name] = gradient.shape();
    }
    samples_ += samples;
  }
  Gradients mean() const {
    Gradients out;
    for (const auto& [name, sum] : sums_) {
      Tensor& mean = out[name] = Tensor(DType::kF32, shapes_.at(name));
      std::ranges::transform(sum, mean.mutable_data<float>().begin(), [&](double x) {
        return static_cast<float>(x / static_cast<double>(samples_));
      });
    }
    return out;
  }
  int64_t samples() const { return samples_; }

 private:
  std::map<std::string, std::vector<double>> sums_;
  std::map<std::string, Shape> shapes_;
  int64_t samples_ = 0;
};

}  // namespace

Gradients mean_gradients(const Graph& model, const Dataset& data, std::vector<LossSpec> losses,
                         const GradientOptions& options) {
  const int64_t wanted = std::min(options.samples, data.size());
  if (options.batch < 1 || wanted < 1)
    fail_usage("gradients of {} samples in batches of {}", wanted, options.batch);
  const int64_t batch = std::min(options.batch, wanted);
  if (losses.empty()) losses.emplace_back();

  Graph graph = model;
  const TrainerOptions trained{.loss = add_loss(graph, losses, mixes(data.spec())),
                               .outputs = {},
                               .parameters = trainable_parameters(model),
                               .device = options.device,
                               .threads = options.threads,
                               .seed = options.seed};
  if (trained.parameters.empty()) fail_usage("the model has no float32 weights that are trained");
  check_batch(graph, batch);
  const std::unique_ptr<Trainer> trainer = open_trainer(graph, trained);

  const BatchFeed feed(graph);
  const std::vector<int64_t> order = Rng::of(options.seed, {0}).permutation(data.size());
  GradientSums sums;
  for (int64_t begin = 0; begin + batch <= wanted; begin += batch) {
    const std::span indices(order.data() + begin, static_cast<size_t>(batch));
    const Batch samples = data.training_batch({indices, 0, batch, options.seed, 0});
    if (samples.size() == 0) continue;
    sums.add(trainer->gradients(feed(samples), {.batch_statistics = false}), samples.size());
  }
  if (sums.samples() == 0) fail_usage("none of {} samples can be used", wanted);
  return sums.mean();
}

}  // namespace lapidary
