#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lapidary/train.h"

namespace lapidary {

/// Makes batches the inputs of a training graph, by name.
class BatchFeed {
 public:
  explicit BatchFeed(const Graph& graph);

  /// Inputs of the data, and the label inputs that the graph has (kLabelInput, ...). Where it asks
  /// for a second label and the batch is not mixed, that is the first one, of share 1. Throws
  /// Error{kUsage} where labels are asked for and missing, and where a batch is mixed and the graph
  /// does not ask for the second label.
  Trainer::Values operator()(const Batch& batch) const;

 private:
  std::string only_;  // what "" stands for
  bool label_ = false, second_ = false, share_ = false;
};

/// Training batches of these data are mixed: their loss reads two labels (add_loss).
bool mixes(const DatasetSpec& spec);

/// Throws Error{kUsage} where an input of the data has a fixed size of batches that is not `batch`,
/// the samples of one process in a step.
void check_batch(const Graph& graph, int64_t batch);

/// How many samples' (or tokens') highest score, the last axis of [..., C], is their label's; of
/// mixed samples by shares. None where scores and labels do not fit each other.
struct Correct {
  double correct = 0;
  int64_t judged = 0;
};
Correct count_correct(const Tensor& scores, const Batch& batch);

}  // namespace lapidary
