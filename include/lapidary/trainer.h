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
#include "lapidary/tensor.h"

namespace lapidary {

/// Graph inputs that losses declare and `fit` feeds: class numbers int64, [N] or with a further
/// axis for each of the output's but that of classes; with mixup the second sample's, and the first
/// one's share, float32 [N].
inline constexpr std::string_view kLabelInput = "lapidary.label";
inline constexpr std::string_view kSecondLabelInput = "lapidary.label2";
inline constexpr std::string_view kShareInput = "lapidary.share";

/// d loss / d constant, by the constant's name, each of the constant's shape.
using Gradients = std::map<std::string, Tensor>;
/// By constant and axis, for axes that lose elements: those kept, ascending.
using KeptElements = std::map<std::string, std::map<int64_t, std::vector<int64_t>>>;

/// A float32 constant of the graph that training changes.
struct TrainedParameter {
  std::string name;     ///< of the constant's value
  bool decay = true;    ///< `weight_decay` holds for it (biases, norms and scales: not)
  double lr_scale = 1;  ///< its learning rate is the step's times this
  /// After a step no element is below this share of what it began as (scales of quantization, which
  /// must stay positive); 0: elements go where they are driven.
  double least_share = 0;
  /// u8 of the constant's shape: 0 where the element is 0 and stays so (a masked weight), 1
  /// elsewhere; empty: none. Masked elements have no gradient, and steps, averages and set_constant
  /// leave them 0.
  Tensor mask = {};
  /// Keeps movement scores, M += -g w in every step with the w before it and g after clipping:
  /// large where training moves the element away from 0 (Sanh et al. 2020, eq. 3 without its rate).
  bool movement = false;
};

/// How a step changes parameters. g = d loss / d w (after clipping), lr = the step's learning rate
/// times the parameter's lr_scale, wd = weight_decay where the parameter decays, else 0.
struct OptimizerSpec {
  /// sgd    g += wd w;  m = momentum m + g (first step: m = g);
  ///        w -= lr (nesterov ? g + momentum m : m)                       (Sutskever et al. 2013)
  /// adam   g += wd w;  a = beta1 a + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
  ///        w -= lr (a / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)     (Kingma, Ba 2015)
  /// adamw  w -= lr wd w, then adam without wd                       (Loshchilov, Hutter 2019)
  std::string kind = "sgd";
  double momentum = 0.9;
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;
  /// Gradients are scaled down together so that their 2-norm is at most this; 0: they are not.
  double clip_norm = 0;
};

/// This process among those that train one model, as torchrun numbers them.
struct Rank {
  int rank = 0, world_size = 1;
  std::string master_address = "127.0.0.1";
  int master_port = 29500;
};

struct TrainerOptions {
  std::string loss;                  ///< the value to minimise: float32, one element
  std::vector<std::string> outputs;  ///< values handed back of each step
  std::vector<TrainedParameter> parameters;
  OptimizerSpec optimizer = {};
  /// Decay of the average of parameters, e = d e + (1 - d) w after each step; 0: none is kept.
  double ema = 0;
  std::string device = "cpu";  ///< cpu | cuda | cuda:N
  int threads = 0;             ///< 0: thread_count()
  uint64_t seed = 0;           ///< of Dropout, together with the step's number
  Rank rank = {};
};

struct StepOptions {
  double lr = 0;
  /// BatchNormalization normalises with the batch's statistics and moves its running ones; else it
  /// uses the running ones.
  bool batch_statistics = true;
};

struct StepResult {
  double loss = 0;           ///< before the step
  double gradient_norm = 0;  ///< 2-norm over all parameters, before clipping
  // One of them not finite: nothing was changed.
  std::map<std::string, Tensor> outputs;
};

/// Training as one more interpreter of a graph: forward, backward, one optimizer step at a time.
/// Nodes keep their meaning in inference but for BatchNormalization and Dropout, which train.
/// Made by open_trainer. Everything throws Error: kUsage for names that are not of the graph,
/// kInvalid for inputs that do not fit it, kResource where memory ends.
class LAPIDARY_API Trainer {
 public:
  using Values = std::map<std::string, Tensor>;
  virtual ~Trainer() = default;

  /// One optimizer step on one batch (of each rank). Inputs by name; they are only read.
  virtual StepResult step(const Values& inputs, const StepOptions& options) = 0;
  /// The gradients of one batch; nothing changes.
  virtual Gradients gradients(const Values& inputs, const StepOptions& options) = 0;
  /// Values of one batch by name; nothing changes. `batch_statistics` as StepOptions has it.
  virtual Values forward(const Values& inputs, const std::vector<std::string>& values,
                         bool batch_statistics) = 0;

  /// The graph with its constants as training left them; `averaged`: with those of the EMA.
  virtual Graph graph(bool averaged = false) const = 0;
  /// A constant of the graph; trained or not, a running statistic too. Setting keeps the shape and
  /// leaves the optimizer's memory of it alone.
  virtual Tensor constant(const std::string& name) const = 0;
  virtual void set_constant(const std::string& name, const Tensor& value) = 0;

  /// A parameter's mask, see TrainedParameter::mask; empty: none. Setting it makes what it masks 0
  /// at once; what an earlier mask held at 0 begins from there.
  virtual Tensor mask(const std::string& parameter) const = 0;
  virtual void set_mask(const std::string& parameter, const Tensor& mask) = 0;
  /// float32 of the parameter's shape, 0 before the first step. Throws Error{kUsage} where
  /// TrainedParameter::movement is not set.
  virtual Tensor movement(const std::string& parameter) const = 0;

  /// All that the next steps depend on: "steps" (int64, so far), and "KIND:CONSTANT" of the
  /// constant's shape: parameter, average (EMA), mask, movement and the optimizer's memory by its
  /// name of those that are trained, statistic of running ones. `restore` of another trainer of the
  /// same graph and options continues bit for bit.
  virtual Values state() const = 0;
  virtual void restore(const Values& state) = 0;
};

/// Called before each step; may change constants, depending on nothing but them and the step.
using TrainHook = std::function<void(Trainer&, int64_t step, int64_t total)>;

}  // namespace lapidary
