#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/trainer.h"

namespace lapidary {

/// A trainer of the graph on libtorch, whose library is loaded at the first call. Throws
/// Error{kUnsupported} where Lapidary was built without training (the message says what to install)
/// and for nodes between parameters and loss that cannot be trained, each named with the reason;
/// Error{kUsage} for names that are not of the graph.
LAPIDARY_API std::unique_ptr<Trainer> open_trainer(const Graph& graph,
                                                   const TrainerOptions& options);
/// Empty where `open_trainer` has a library to load, else the reason.
LAPIDARY_API std::string training_unavailable();

/// Parameters of a loss or schedule by name: one number each, or a list.
using Numbers = std::map<std::string, std::vector<double>>;
struct NamedHelp {
  std::string name, help;
};

// -- schedules

/// The learning rate of step 0..total - 1.
using Schedule = std::function<double(int64_t step, int64_t total)>;
/// constant | step | cosine | one_cycle, with what `list_schedules` tells of; shares of a run as
/// parameters, so that they hold for any number of steps.
struct ScheduleSpec {
  std::string kind = "cosine";
  Numbers params = {};
};
/// A schedule whose highest rate is `lr`. Throws Error{kUsage} for unknown names and values out of
/// range.
LAPIDARY_API Schedule make_schedule(const ScheduleSpec& spec, double lr);
LAPIDARY_API std::vector<NamedHelp> list_schedules();

// -- losses

/// Graph inputs that `add_loss` declares and `fit` feeds: class numbers int64, [N] or with a
/// further axis for each of the output's but that of classes; with mixup the second sample's, and
/// the first one's share, float32 [N].
inline constexpr std::string_view kLabelInput = "lapidary.label";
inline constexpr std::string_view kSecondLabelInput = "lapidary.label2";
inline constexpr std::string_view kShareInput = "lapidary.share";

/// One term of a loss.
struct LossSpec {
  std::string kind = "cross_entropy";  ///< cross_entropy | mse | bce (of logits)
  double weight = 1;
  std::string output;   ///< the value that it judges; empty: the graph's first output
  std::string target;   ///< value or graph input that it is compared with; empty: the labels
  Numbers params = {};  ///< cross_entropy: label_smoothing, axis
};
/// Appends the weighted sum of losses to the graph (upgraded to opset 13 where it is older) and
/// gives the name of that scalar. Every term is a mean over samples of means over their elements;
/// `mixup`: terms on labels are share L(label) + (1 - share) L(label2) per sample. Inputs that are
/// missing are added: labels, and targets as float32 of their output's shape. Throws Error{kUsage}.
LAPIDARY_API std::string add_loss(Graph& graph, const std::vector<LossSpec>& losses,
                                  bool mixup = false);
LAPIDARY_API std::vector<NamedHelp> list_losses();

}  // namespace lapidary
