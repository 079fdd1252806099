#include "src/pipeline/training/params.h"

#include <algorithm>

#include "lapidary/evaluate.h"
#include "src/fit/schedule.h"

namespace lapidary {

namespace {

using P = TrainingParams;

/// A row for a member of the optimizer.
template <class T>
Field optimizer_field(std::string name, T OptimizerSpec::*member, std::string help) {
  Field f = field<OptimizerSpec, T>(std::move(name), member, std::move(help));
  f.set = [set = f.set](void* object, const Setting& s, const Field& self) {
    set(&static_cast<P*>(object)->optimizer, s, self);
  };
  f.get = [get = f.get](const void* object) {
    return get(&static_cast<const P*>(object)->optimizer);
  };
  return f;
}

}  // namespace

FieldTable training_table(std::string step) {
  using O = OptimizerSpec;
  return {
      std::move(step),
      {field("epochs", &P::epochs, "Passes over the training data").range(1, 1e6),
       field("steps", &P::steps, "So many batches instead of epochs; 0: epochs").range(0, 1e12),
       field("batch", &P::batch, "Samples of one step, over all processes together")
           .range(1, 1 << 20),
       field("lr", &P::lr,
             "Highest learning rate; null: what is usual for the step (train 0.1, qat of 8 bits "
             "0.001, binarize with adam 0.003, others 0.01), a tenth of it without normalizations "
             "that train")
           .range(0, 1e3),
       field("schedule", &P::schedule,
             "How the learning rate changes: `cosine`, or `{step: {every: 0.3}}`; `lapidary list "
             "schedules` names them"),
       optimizer_field("optimizer", &O::kind, "The optimizer").one_of({"sgd", "adam", "adamw"}),
       optimizer_field("momentum", &O::momentum, "Of sgd").range(0, 1),
       optimizer_field("nesterov", &O::nesterov, "Nesterov's momentum, of sgd"),
       optimizer_field("beta1", &O::beta1, "Of adam and adamw").range(0, 1),
       optimizer_field("beta2", &O::beta2, "Of adam and adamw").range(0, 1),
       optimizer_field("epsilon", &O::epsilon, "Of adam and adamw").range(1e-30, 1),
       optimizer_field("weight_decay", &O::weight_decay,
                       "Of weights; not of biases, normalisations and scales")
           .range(0, 10),
       optimizer_field("clip_norm", &O::clip_norm,
                       "Largest 2-norm of all gradients together; 0: any")
           .range(0, 1e9),
       field("ema", &P::ema,
             "Decay of an average of the weights, which then is the result; 0: none")
           .range(0, 0.999999),
       field("losses", &P::losses,
             "Terms of the loss, summed by their weights: losses on labels, and what a teacher "
             "says; cross_entropy is added where none is on labels and the data have some"),
       field("teacher", &P::teacher,
             "Who teaches: `original` (the recipe's model as it came in, or as the last `train` "
             "before left it), or an ONNX file"),
       field("labels", &P::labels, "Learn from labels too; false: from the teacher alone"),
       field("freeze_statistics", &P::freeze_statistics,
             "Share of the steps after which BatchNormalization keeps its statistics; 1: never")
           .range(0, 1),
       field("reestimate", &P::reestimate,
             "Afterwards the statistics of BatchNormalization anew, over so many training samples; "
             "0: as training left them")
           .range(0, 1e12),
       field("keep_zeros", &P::keep_zeros,
             "Weights that are zero stay zero: of layers of which at least a tenth are, or where a "
             "step before made them zero all; null: where a step before did"),
       field("sparsify", &P::sparsify,
             "Masks that grow while it trains, by a cubic schedule: `{ratio: 0.9}`; epochs before "
             "its end are never the best"),
       field("evaluate", &P::evaluate,
             "Measure after each epoch, on `valid` data, on `eval` where there are none"),
       field("metric", &P::metric,
             "What tells the best epoch; null: top1, without labels agreement")
           .one_of(names_of(list_metrics())),
       field("keep", &P::keep, "Which epoch's weights are the result").one_of({"last", "best"}),
       field("patience", &P::patience, "Stop after so many epochs without a better one; 0: never")
           .range(0, 1e6),
       field("min_delta", &P::min_delta, "By how much an epoch must be better").range(0, 1e9),
       field("checkpoint_every", &P::checkpoint_every,
             "Steps between checkpoints; 0: after each epoch")
           .range(0, 1e12),
       field("log_every", &P::log_every, "Steps between records of loss and speed").range(1, 1e9),
       field("device", &P::device, "cpu, cuda or cuda:N")}};
}

void TrainingParams::check(const Setting& at) const {
  const bool taught = std::any_of(losses.begin(), losses.end(),
                                  [](const LossTerm& term) { return term.teaches(); });
  if (taught && !has_teacher())
    fail_setting(at, "a loss needs a teacher: `teacher: original`, or an ONNX file");
  if (!labels && !has_teacher())
    fail_setting(at, "without labels there is nothing to learn from; name a `teacher`");
  const bool judged = std::any_of(losses.begin(), losses.end(), [](const LossTerm& term) {
    return !term.teaches() || term.reads_labels();
  });
  if (!labels && judged)
    fail_setting(at, "`labels: false` and a loss that compares with labels contradict each other");
  const std::string number = device.starts_with("cuda:") ? device.substr(5) : "0";
  if ((device != "cpu" && device != "cuda" && !device.starts_with("cuda:")) || number.empty() ||
      number.find_first_not_of("0123456789") != std::string::npos)
    fail_setting(at, "'device' is '{}'; it is cpu, cuda or cuda:N", device);
  if (sparsify && sparsify->begin > sparsify->end)
    fail_setting(at, "'sparsify' begins at {} of the steps and ends at {}", sparsify->begin,
                 sparsify->end);
  if (!evaluate && (best() || patience > 0))
    fail_setting(at, "`{}` needs `evaluate: true`", best() ? "keep: best" : "patience");
}

StepWork TrainingParams::work(const DataSizes& data) const {
  StepWork out;
  const int64_t per_epoch = data.train / batch;
  const int64_t all = steps > 0 ? steps : epochs * per_epoch;
  out.trained = all * batch;
  const int64_t ends = per_epoch > 0 ? (all + per_epoch - 1) / per_epoch : 0;
  if (evaluate) out.evaluated = ends * (data.valid > 0 ? data.valid : data.eval);
  return out;
}

std::map<std::string, std::string*> TrainingParams::paths() {
  if (!has_teacher() || teacher == kOriginalTeacher) return {};
  return {{"teacher", &teacher}};
}

double TrainingParams::learning_rate(const Graph& graph) const {
  if (lr) return *lr;
  const auto nodes = graph.nodes();
  const bool normalized = std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) {
    return graph.node(id).op.ends_with("Normalization");
  });
  return normalized && freeze_statistics > 0 ? usual_lr : usual_lr / 10;
}

std::string TrainingParams::describe() const {
  std::string out = steps > 0 ? fmt::format("{} steps", steps)
                              : fmt::format("{} epoch{}", epochs, epochs == 1 ? "" : "s");
  out += fmt::format(" in batches of {}, {}, learning rate {} ({})", batch, optimizer.kind,
                     lr ? fmt::format("{}", *lr)
                        : fmt::format("{}, a tenth without normalizations that train", usual_lr),
                     schedule.kind);
  if (has_teacher())
    out +=
        fmt::format(", taught by {}", teacher == kOriginalTeacher ? "the original model" : teacher);
  if (sparsify) out += fmt::format(", more and more weights zero ({})", sparsify->describe());
  return out;
}

}  // namespace lapidary
