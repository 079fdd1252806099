#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lapidary/exec.h"
#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/named.h"
#include "lapidary/tensor.h"
#include "lapidary/trainer.h"

namespace lapidary {

/// One term of a distillation: weight x the sum over its layers of a loss between what student and
/// teacher compute there.
struct DistillSpec {
  std::string kind = "kd";  ///< see list_distill_losses
  double weight = 1;
  /// Values of the student: names, or globs, which stand for all float values that match and that
  /// the teacher has too. Empty: the graph's outputs, for losses of outputs.
  std::vector<std::string> layers = {};
  /// Values of the teacher, one for each of the student's in order; a glob here stands for as many
  /// as its partner in `layers`. Empty: the same names, or the teacher's outputs.
  std::vector<std::string> teacher_layers = {};
  Numbers params = {};  ///< see list_distill_losses
};

/// What `attach_distillation` made of a student.
struct Distillation {
  std::string loss;  ///< the student's value to minimise: float32, one element
  /// Teacher's value -> graph input of the student that takes it, "lapidary.teacher/VALUE".
  std::vector<std::pair<std::string, std::string>> taps;
  /// Teacher's graph input -> the student's of the same data, where names differ too.
  std::vector<std::pair<std::string, std::string>> inputs;
  /// Constants of regressors between features, to be trained along.
  std::vector<TrainedParameter> parameters;
};

/// Builds the losses into the student (upgraded to opset 13 where it is older): the teacher's
/// values become graph inputs, which a Teacher computes from each batch. Scores that a Softmax of
/// the model turns into probabilities are taken before it; of values that are quantized
/// (FakeQuantize, Q and DQ) what is read instead of them. Where `task_loss` names a scalar of the
/// student (what add_loss gave), that is added. Losses that need labels read kLabelInput. `seed`:
/// of regressors. Throws Error{kUsage}: names that are not there, values that do not fit each other
/// (both types), parameters out of range.
LAPIDARY_API Distillation attach_distillation(Graph& student, const Graph& teacher,
                                              const std::vector<DistillSpec>& specs, uint64_t seed,
                                              const std::string& task_loss = {});

LAPIDARY_API std::vector<NamedHelp> list_distill_losses();

/// The teacher beside the training: its own plan of the fast executor, in FP32 (a QDQ model: in
/// integers, as it is written). For FitOptions::complete; copies
/// share one plan.
class LAPIDARY_API Teacher {
 public:
  /// `threads` 0: thread_count(). Throws Error{kUnsupported} for ops that cannot be executed.
  Teacher(const Graph& teacher, const Distillation& distillation, int threads = 0);

  /// Takes the batch's inputs and adds the taps under the student's names. Throws Error{kInvalid}
  /// where the batch does not fit the teacher (another fixed batch size, say).
  void operator()(Trainer::Values& inputs);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lapidary
