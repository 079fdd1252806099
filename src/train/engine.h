#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lapidary/trainer.h"
#include "src/train/communicator.h"
#include "src/train/constants.h"
#include "src/train/lowering.h"
#include "src/train/optimizers/optimizer.h"
#include "src/train/program.h"

namespace lapidary::train {

/// A graph as an interpreter of it wants it: opset 21 where it is older, functions inlined,
/// initializers that the graph lists as inputs constants. Values keep their names.
Graph trainable_graph(const Graph& graph);

/// The trainer on ATen's tensors and autograd.
class Engine : public Trainer {
 public:
  Engine(const Graph& graph, const TrainerOptions& options);

  StepResult step(const Values& inputs, const StepOptions& options) override;
  Gradients gradients(const Values& inputs, const StepOptions& options) override;
  Values forward(const Values& inputs, const std::vector<std::string>& values,
                 bool batch_statistics) override;
  Graph graph(bool averaged) const override;
  Tensor constant(const std::string& name) const override;
  void set_constant(const std::string& name, const Tensor& value) override;
  Tensor mask(const std::string& parameter) const override;
  void set_mask(const std::string& parameter, const Tensor& mask) override;
  Tensor movement(const std::string& parameter) const override;
  Values state() const override;
  void restore(const Values& state) override;

  /// By node_key, of the last run: nodes that one function computed.
  const std::vector<std::vector<std::string>>& together() const { return together_; }

 private:
  struct Backward;

  int threads() const;
  ValueId value_of(const std::string& name) const;
  ValueId constant_of(const std::string& name) const;
  /// The masks of a saved state, others cleared.
  void restore_masks(const Values& saved);
  const Program& program(const std::vector<ValueId>& wanted);
  void check_inputs(const Values& inputs) const;
  void give_inputs(const Values& inputs, const Program& program, train::Values& values) const;
  bool holds(int guard, train::Values& values) const;
  /// The results of the branch that an If took.
  void hand_on(const Node& node, train::Values& values) const;
  void run_node(const Program::Step& step, LowerContext::Run& run);
  void note_together(const Program::Step& step);
  void run(const Program& program, LowerContext::Run& run, const Values& inputs);
  Backward backward(const Values& inputs, const StepOptions& options);
  void update(double lr);
  /// Calls f(key, tensor of the parameter's shape) for all that belongs to parameters.
  template <class F>
  void for_each_state(F f) const;

  Graph original_;  ///< whose constants `graph` replaces; those of branches are lifted
  Graph graph_;     ///< the branches taken in
  TrainerOptions options_;
  at::Device device_;
  const OptimizerDef& optimizer_;
  ValueId loss_;
  std::vector<ValueId> outputs_;
  Analysis analysis_;
  std::unique_ptr<Parameters> parameters_;
  std::unique_ptr<Constants> constants_;
  std::shared_ptr<Communicator> others_;
  std::map<std::vector<ValueId>, Program> programs_;
  int64_t steps_ = 0;  ///< that changed something
  std::vector<std::vector<std::string>> together_;
};

}  // namespace lapidary::train
