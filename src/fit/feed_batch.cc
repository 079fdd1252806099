#include "src/fit/feed_batch.h"

#include <algorithm>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

Tensor integers(const std::vector<int64_t>& values) {
  return Tensor::of<int64_t>({std::ssize(values)}, values);
}

void check_labels(const Batch& batch) {
  for (size_t i = 0; i < batch.labels.size(); ++i)
    if (batch.labels[i] < 0)
      fail_usage("{} (sample {}) has no label, and the loss compares with labels", batch.sources[i],
                 batch.indices[i]);
}

}  // namespace

bool mixes(const DatasetSpec& spec) {
  return std::any_of(spec.augment.begin(), spec.augment.end(),
                     [](const Augment& a) { return a.kind == "mixup"; }) ||
         std::any_of(spec.inputs.begin(), spec.inputs.end(), mixes);
}

void check_batch(const Graph& graph, int64_t batch) {
  for (const ValueId id : graph.inputs()) {
    const Value& input = graph.value(id);
    const auto& shape = input.type.shape;
    if (input.constant || !shape || shape->empty() || input.name.starts_with("lapidary.")) continue;
    const Dim& first = shape->front();
    if (!first.known() || first.value == batch) continue;
    fail_usage(
        "input '{}' is {}: the model takes {} sample{} at a time, and each process trains on {}; "
        "give `batch: {}` (--batch {}, times the number of processes), or make the first dimension "
        "symbolic where the model is exported",
        printable(input.name, 200), input.type.text(), first.value, first.value == 1 ? "" : "s",
        batch, first.value, first.value);
  }
}

BatchFeed::BatchFeed(const Graph& graph) {
  for (const ValueId id : graph.inputs()) {
    const std::string& name = graph.value(id).name;
    if (graph.constant(id)) continue;
    label_ |= name == kLabelInput;
    second_ |= name == kSecondLabelInput;
    share_ |= name == kShareInput;
    if (only_.empty() && !name.starts_with("lapidary.")) only_ = name;
  }
}

Trainer::Values BatchFeed::operator()(const Batch& batch) const {
  Trainer::Values out;
  for (const auto& [name, tensor] : batch.inputs) out[name.empty() ? only_ : name] = tensor;
  if (!label_) return out;
  const bool tokens = !batch.targets.empty();
  if (!tokens) check_labels(batch);
  const bool mixed = !batch.shares.empty();
  if (mixed && (tokens || !second_ || !share_))
    fail_usage("'mixup' needs a loss of two labels; add_loss makes it where it is told so");
  out[std::string(kLabelInput)] = tokens ? batch.targets : integers(batch.labels);
  if (second_)
    out[std::string(kSecondLabelInput)] = mixed    ? integers(batch.labels2)
                                          : tokens ? batch.targets
                                                   : integers(batch.labels);
  if (share_)
    out[std::string(kShareInput)] = Tensor::of<float>(
        {batch.size()},
        mixed ? batch.shares : std::vector<float>(static_cast<size_t>(batch.size()), 1.0f));
  return out;
}

Correct count_correct(const Tensor& scores, const Batch& batch) {
  Correct out;
  if (scores.dtype() != DType::kF32 || scores.rank() < 2 || scores.size() == 0) return out;
  const auto labels = batch.targets.empty() ? std::span<const int64_t>(batch.labels)
                                            : batch.targets.data<int64_t>();
  const int64_t classes = scores.dim(-1), rows = scores.size() / classes;
  if (rows != std::ssize(labels)) return out;
  const float* row = scores.data<float>().data();
  for (size_t i = 0; i < labels.size(); ++i, row += classes) {
    const int64_t highest = std::max_element(row, row + classes) - row;
    const double share = batch.shares.empty() ? 1 : batch.shares[i];
    if (highest == labels[i]) out.correct += share;
    if (!batch.labels2.empty() && highest == batch.labels2[i]) out.correct += 1 - share;
  }
  out.judged = rows;
  return out;
}

}  // namespace lapidary
