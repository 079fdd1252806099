#include "src/train/engine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lapidary/ops.h"
#include "lapidary/runtime.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/base/rng.h"
#include "src/base/text.h"
#include "src/exec/reference.h"
#include "src/ops/infer.h"
#include "src/ops/inline_functions.h"
#include "src/train/convert.h"
#include "src/train/together.h"

namespace lapidary::train {

namespace {

const std::string kMaskKey = "mask:";

/// Runs `body`; what libtorch throws becomes an Error.
template <class Body>
decltype(auto) with_errors(Body&& body) {
  try {
    return body();
  } catch (const c10::Error& error) {
    const std::string what = error.what_without_backtrace();
    const bool memory = what.find("out of memory") != std::string::npos ||
                        what.find("allocate memory") != std::string::npos;
    fail(memory ? ErrorCode::kResource : ErrorCode::kInvalid, "{}", printable(what, 2000));
  }
}

at::Device device_named(const std::string& name) {
  const bool known = name == "cpu" || name == "cuda" || name.rfind("cuda:", 0) == 0;
  if (!known) fail_usage("device '{}', expected cpu, cuda or cuda:N", printable(name, 100));
  return with_errors([&] {
    const at::Device device(name);
    if (device.is_cuda() && !at::hasCUDA())
      fail_unsupported("device '{}': this libtorch computes on the CPU alone, or finds no GPU",
                       name);
    return device;
  });
}

std::set<ValueId> ids_of(const Graph& graph, const TrainerOptions& options) {
  std::set<ValueId> out;
  if (options.parameters.empty()) fail_usage("no parameters to train");
  for (const TrainedParameter& parameter : options.parameters) {
    const ValueId id = graph.find_value(parameter.name);
    if (!id || !graph.value(id).constant)
      fail_usage("'{}' is no constant of the graph", printable(parameter.name, 200));
    const Tensor& elements = *graph.value(id).constant;
    if (elements.dtype() != DType::kF32)
      fail_usage("'{}' is {}: trained constants are float32", printable(parameter.name, 200),
                 dtype_name(elements.dtype()));
    if (!out.insert(id).second) fail_usage("'{}' is listed twice", printable(parameter.name, 200));
  }
  return out;
}

void require_made(const Values& values, ValueId id, std::string_view name) {
  if (!values.has(id))
    fail_invalid("'{}' lies in a branch that this batch does not take", printable(name, 200));
}

bool is_true(Values& values, ValueId condition) {
  const Tensor& elements = values.on_host(condition);
  if (elements.dtype() != DType::kBool || elements.size() != 1)
    fail_invalid("a condition is {}, expected one bool", tensor_type(elements).text());
  return elements.data<bool>()[0];
}

/// Convolutions of images run faster where channels lie innermost.
bool wants_channels_last(const Graph& graph) {
  const auto nodes = graph.nodes();
  return std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) {
    const Node& node = graph.node(id);
    if (!node.is("Conv") || node.inputs.size() < 2) return false;
    const auto& shape = graph.value(node.inputs[1]).type.shape;
    return shape && shape->size() == 4;
  });
}

/// Setting the number makes libtorch's pthreadpool anew, whose threads spin at first.
void compute_on(int threads) {
  if (at::get_num_threads() != threads) at::set_num_threads(threads);
}

/// Every step asks for the same hundreds of megabytes again. Freed memory stays with the process:
/// given back, its pages are zeroed and mapped anew in each step, a quarter of a step's time.
void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

}  // namespace

Graph trainable_graph(const Graph& graph) {
  Graph out = graph;
  inline_functions(out);
  std::vector<ValueId> inputs;
  for (const ValueId id : out.inputs())
    if (!out.value(id).constant) inputs.push_back(id);
  out.set_inputs(std::move(inputs));
  if (out.opset() < kWorkingOpset) upgrade_opset(out, kWorkingOpset);
  infer_types(out);
  return out;
}

Engine::Engine(const Graph& graph, const TrainerOptions& options)
    : original_(with_lifted_constants(graph)),
      graph_(trainable_graph(original_)),
      options_(options),
      device_(device_named(options.device)),
      optimizer_(find_optimizer(options.optimizer.kind)) {
  keep_freed_memory();
  Branches branches = take_in_branches(graph_);
  const std::set<ValueId> trained = ids_of(graph_, options);
  loss_ = value_of(options.loss);
  for (const std::string& name : options.outputs) outputs_.push_back(value_of(name));
  analysis_ = analyse(graph_, std::move(branches), trained, loss_);
  if (!analysis_.refused.empty())
    fail_unsupported("cannot be trained: {}", fmt::join(analysis_.refused, "; "));
  if (analysis_.values[loss_.index] != Dependence::kGradient)
    fail_usage("the loss '{}' depends on no trained parameter", printable(options.loss, 200));
  const bool channels_last = wants_channels_last(graph_);
  with_errors([&] {
    parameters_ = std::make_unique<Parameters>(graph_, options, channels_last,
                                               optimizer_.memory.size(), device_);
    constants_ =
        std::make_unique<Constants>(graph_, analysis_, *parameters_, channels_last, device_);
    others_ = join(options.rank);
    if (others_)
      for (ParameterGroup& group : parameters_->groups()) others_->broadcast(group.elements);
  });
}

int Engine::threads() const { return options_.threads > 0 ? options_.threads : thread_count(); }

ValueId Engine::value_of(const std::string& name) const {
  const ValueId id = graph_.find_value(name);
  if (!id) fail_usage("'{}' is no value of the graph", printable(name, 200));
  return id;
}

ValueId Engine::constant_of(const std::string& name) const {
  const ValueId id = value_of(name);
  if (!graph_.value(id).constant) fail_usage("'{}' is no constant", printable(name, 200));
  return id;
}

const Program& Engine::program(const std::vector<ValueId>& wanted) {
  auto found = programs_.find(wanted);
  if (found == programs_.end())
    found = programs_.emplace(wanted, plan(graph_, analysis_, wanted)).first;
  return found->second;
}

void Engine::check_inputs(const Values& inputs) const {
  std::map<std::string, int64_t> symbols;
  for (const auto& [name, tensor] : inputs) {
    const ValueId id = graph_.find_value(name);
    if (!id || !graph_.is_input(id))
      fail_invalid("'{}' is no input of the graph", printable(name, 200));
    const TensorType& type = graph_.value(id).type;
    bool fits = type.dtype == DType::kUndefined || type.dtype == tensor.dtype();
    if (type.shape) {
      fits = fits && type.shape->size() == tensor.shape().size();
      for (size_t i = 0; fits && i < type.shape->size(); ++i) {
        const Dim& dim = (*type.shape)[i];
        const int64_t size = tensor.shape()[i];
        if (dim.known())
          fits = dim.value == size;
        else if (!dim.symbol.empty())
          fits = symbols.emplace(dim.symbol, size).first->second == size;
      }
    }
    if (!fits)
      fail_invalid("input '{}' is {}, expected {}", printable(name, 200),
                   tensor_type(tensor).text(), type.text());
  }
}

void Engine::give_inputs(const Values& inputs, const Program& program,
                         train::Values& values) const {
  for (const ValueId id : program.inputs) {
    const auto found = inputs.find(graph_.value(id).name);
    if (found == inputs.end())
      fail_invalid("input '{}' is missing", printable(graph_.value(id).name, 200));
    values.set(id, found->second);
  }
}

bool Engine::holds(int guard, train::Values& values) const {
  if (guard < 0) return true;
  const Guard& asked = analysis_.guards[static_cast<size_t>(guard)];
  return holds(asked.outer, values) && is_true(values, asked.condition) == asked.wanted;
}

void Engine::hand_on(const Node& node, train::Values& values) const {
  // condition, results of then_branch, results of else_branch
  const size_t count = node.outputs.size();
  const size_t first = is_true(values, node.inputs[0]) ? 1 : 1 + count;
  for (size_t i = 0; i < count; ++i)
    if (node.outputs[i]) values.share(node.inputs[first + i], node.outputs[i]);
}

void Engine::run_node(const Program::Step& step, LowerContext::Run& run) {
  const Node& node = graph_.node(step.node);
  const Analysis::Node& how = analysis_.nodes[step.node.index];
  if (node.is("If")) return hand_on(node, run.values);
  if (how.lowering) {
    LowerContext context(run, step.node, step.overwritable, step.then);
    Outputs outputs = how.lowering->run(context);
    const bool together = context.took_following();
    const Node& last = together ? graph_.node(step.then.back()) : node;
    for (size_t i = 0; i < last.outputs.size(); ++i)
      if (last.outputs[i]) run.values.set(last.outputs[i], std::move(outputs[i]));
    if (together) return note_together(step);
    for (const NodeId id : step.then) run_node({.node = id}, run);
    return;
  }
  std::vector<Tensor> sizes(node.inputs.size());
  std::vector<const Tensor*> inputs;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId id = node.inputs[i];
    if (how.shape_only && id) sizes[i] = run.values.shape_only(id);
    inputs.push_back(!id ? nullptr : how.shape_only ? &sizes[i] : &run.values.on_host(id));
  }
  for (const Capture& capture : node.captures) inputs.push_back(&run.values.on_host(capture.outer));
  std::vector<Tensor> outputs = exec::execute_node(graph_, step.node, inputs);
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i]) run.values.set(node.outputs[i], std::move(outputs[i]));
}

void Engine::note_together(const Program::Step& step) {
  std::vector<std::string>& nodes = together_.emplace_back();
  nodes.push_back(node_key(graph_, step.node));
  for (const NodeId id : step.then) nodes.push_back(node_key(graph_, id));
}

void Engine::run(const Program& program, LowerContext::Run& run, const Values& inputs) {
  together_.clear();
  give_inputs(inputs, program, run.values);
  for (const ValueId id : program.constants) constants_->give(id, run.values);
  for (const Program::Step& step : program.steps) {
    const auto compute = [&] {
      if (holds(step.guard, run.values)) run_node(step, run);
    };
    if (step.node.valid())
      with_context([&] { return node_label(graph_, step.node); }, [&] { with_errors(compute); });
    for (const ValueId id : step.release) run.values.release(id);
  }
}

/// What forward and backward of one batch found; gradients are in the groups.
struct Engine::Backward {
  double loss = 0, gradient_norm = 0;
  Values outputs;
  std::vector<Update> updates;
};

Engine::Backward Engine::backward(const Values& inputs, const StepOptions& options) {
  const ThreadScope scope(threads());
  compute_on(threads());
  check_inputs(inputs);
  std::vector<ValueId> wanted{loss_};
  wanted.insert(wanted.end(), outputs_.begin(), outputs_.end());
  train::Values values(analysis_.values.size(), device_);
  const auto rank = static_cast<uint64_t>(options_.rank.rank);
  const RunMode mode{
      .training = true,
      .batch_statistics = options.batch_statistics,
      .seed = Rng(options_.seed + (static_cast<uint64_t>(steps_) << 16) + rank).next()};
  LowerContext::Run state{graph_, analysis_, values, mode, others_.get()};
  run(program(wanted), state, inputs);
  Backward out;
  require_made(values, loss_, options_.loss);
  const at::Tensor& loss = values.on_device(loss_);
  if (loss.numel() != 1 || loss.scalar_type() != at::kFloat)
    fail_invalid("the loss '{}' is {}, expected one float32 element", printable(options_.loss, 200),
                 tensor_type(values.on_host(loss_)).text());
  with_errors([&] {
    parameters_->zero_gradients();
    if (loss.requires_grad()) loss.sum().backward();  // else: no branch with parameters was taken
    at::Tensor shared = loss.detach().clone();
    if (others_) {
      const double share = 1.0 / others_->world_size();
      others_->sum(shared);
      shared.mul_(share);
      for (ParameterGroup& group : parameters_->groups()) {
        others_->sum(group.gradients);
        group.gradients.mul_(share);
      }
    }
    out.loss = shared.item<double>();
    parameters_->mask_gradients();
    out.gradient_norm = parameters_->gradient_norm();
  });
  for (size_t i = 0; i < outputs_.size(); ++i) {
    require_made(values, outputs_[i], options_.outputs[i]);
    out.outputs[options_.outputs[i]] = values.on_host(outputs_[i]);
  }
  out.updates = std::move(state.updates);
  return out;
}

void Engine::update(double lr) {
  const OptimizerSpec& spec = options_.optimizer;
  for (ParameterGroup& group : parameters_->groups()) {
    if (group.moves) group.movement.addcmul_(group.gradients, group.elements, -1);
    optimizer_.update(group, {.spec = spec,
                              .lr = lr * group.lr_scale,
                              .weight_decay = group.decay ? spec.weight_decay : 0,
                              .step = steps_ + 1});
    if (group.least.defined()) group.elements.clamp_min_(group.least);
    if (options_.ema > 0) group.average.mul_(options_.ema).add_(group.elements, 1 - options_.ema);
    group.clear_masked();
  }
}

StepResult Engine::step(const Values& inputs, const StepOptions& options) {
  Backward found = backward(inputs, options);
  StepResult out{found.loss, found.gradient_norm, std::move(found.outputs)};
  if (!std::isfinite(out.loss) || !std::isfinite(out.gradient_norm)) return out;
  with_errors([&] {
    const at::NoGradGuard guard;
    const double limit = options_.optimizer.clip_norm;
    if (limit > 0 && out.gradient_norm > limit)
      for (ParameterGroup& group : parameters_->groups())
        group.gradients.mul_(limit / out.gradient_norm);
    update(options.lr);
    for (const Update& each : found.updates) constants_->write(each.constant, each.elements);
  });
  ++steps_;
  return out;
}

Gradients Engine::gradients(const Values& inputs, const StepOptions& options) {
  backward(inputs, options);
  return parameters_->gradients();
}

Engine::Values Engine::forward(const Values& inputs, const std::vector<std::string>& names,
                               bool batch_statistics) {
  const ThreadScope scope(threads());
  compute_on(threads());
  const at::NoGradGuard guard;
  check_inputs(inputs);
  std::vector<ValueId> wanted;
  for (const std::string& name : names) wanted.push_back(value_of(name));
  train::Values values(analysis_.values.size(), device_);
  const RunMode mode{.batch_statistics = batch_statistics};
  LowerContext::Run state{graph_, analysis_, values, mode, others_.get()};
  run(program(wanted), state, inputs);
  Values out;
  for (size_t i = 0; i < wanted.size(); ++i) {
    require_made(values, wanted[i], names[i]);
    out[names[i]] = values.on_host(wanted[i]);
  }
  return out;
}

Graph Engine::graph(bool averaged) const {
  if (averaged && options_.ema <= 0) fail_usage("no average of the parameters is kept (ema is 0)");
  Graph out = original_;
  for (const ValueId id : out.values()) {
    if (!out.value(id).constant) continue;
    const ValueId own = graph_.find_value(out.value(id).name);
    if (own && graph_.value(own).constant) out.mutable_value(id).constant = constants_->read(own);
  }
  if (!averaged) return out;
  for (const ParameterGroup& group : parameters_->groups())
    for (const Parameter& parameter : group.parameters)
      out.mutable_value(out.find_value(parameter.name)).constant =
          to_host(parameter.view_of(group.average));
  return out;
}

Tensor Engine::constant(const std::string& name) const {
  return constants_->read(constant_of(name));
}

void Engine::set_constant(const std::string& name, const Tensor& value) {
  const ValueId id = constant_of(name);
  const TensorType expected = tensor_type(*graph_.value(id).constant);
  if (tensor_type(value) != expected)
    fail_invalid("'{}' is set to {}, expected {}", printable(name, 200), tensor_type(value).text(),
                 expected.text());
  constants_->write(id, value);
  if (!parameters_->find(name)) return;
  if (const Tensor own = parameters_->mask(name); !own.empty()) set_mask(name, own);
}

Tensor Engine::mask(const std::string& parameter) const {
  return with_errors([&] { return parameters_->mask(parameter); });
}

void Engine::set_mask(const std::string& parameter, const Tensor& mask) {
  with_errors([&] { parameters_->set_mask(parameter, mask); });
}

Tensor Engine::movement(const std::string& parameter) const {
  const ParameterGroup& group = parameters_->group_with(parameter);
  if (!group.moves)
    fail_usage("no movement scores of '{}' are kept (TrainedParameter::movement)",
               printable(parameter, 200));
  return to_host(parameters_->find(parameter)->view_of(group.movement));
}

template <class F>
void Engine::for_each_state(F f) const {
  for (const ParameterGroup& group : parameters_->groups())
    for (const Parameter& parameter : group.parameters) {
      f("parameter:" + parameter.name, parameter.leaf);
      for (size_t m = 0; m < group.memory.size(); ++m)
        f(fmt::format("{}:{}", optimizer_.memory[m], parameter.name),
          parameter.view_of(group.memory[m]));
      if (group.average.defined()) f("average:" + parameter.name, parameter.view_of(group.average));
      if (group.moves) f("movement:" + parameter.name, parameter.view_of(group.movement));
    }
}

Engine::Values Engine::state() const {
  Values out{{"steps", Tensor::scalar<int64_t>(steps_)}};
  for_each_state([&](const std::string& key, const at::Tensor& part) { out[key] = to_host(part); });
  for (const ValueId id : constants_->statistics())
    out["statistic:" + graph_.value(id).name] = constants_->read(id);
  for (const ParameterGroup& group : parameters_->groups())
    for (const Parameter& parameter : group.parameters)
      if (parameter.has_mask) out[kMaskKey + parameter.name] = parameters_->mask(parameter.name);
  return out;
}

void Engine::restore_masks(const Values& saved) {
  for (const ParameterGroup& group : parameters_->groups())
    for (const Parameter& parameter : group.parameters) {
      const auto found = saved.find(kMaskKey + parameter.name);
      set_mask(parameter.name, found == saved.end() ? Tensor() : found->second);
    }
}

void Engine::restore(const Values& saved) {
  const Values now = state();
  // Masks may come and go in training.
  const auto is_mask = [](const std::string& key) { return key.starts_with(kMaskKey); };
  for (const auto& [key, tensor] : now) {
    if (is_mask(key)) continue;
    const auto found = saved.find(key);
    if (found == saved.end()) fail_invalid("the saved state lacks '{}'", printable(key, 200));
    if (tensor_type(found->second) != tensor_type(tensor))
      fail_invalid("the saved state has '{}' as {}, expected {}", printable(key, 200),
                   tensor_type(found->second).text(), tensor_type(tensor).text());
  }
  for (const auto& [key, tensor] : saved)
    if (!now.contains(key) && !(is_mask(key) && parameters_->find(key.substr(kMaskKey.size()))))
      fail_invalid("the saved state has '{}', of which this trainer has nothing",
                   printable(key, 200));
  restore_masks(saved);
  for_each_state(
      [&](const std::string& key, const at::Tensor& part) { copy_into(part, saved.at(key)); });
  for (const ValueId id : constants_->statistics())
    constants_->write(id, saved.at("statistic:" + graph_.value(id).name));
  steps_ = saved.at("steps").data<int64_t>()[0];
}

std::vector<std::vector<std::string>> computed_together(const Trainer& trainer) {
  const auto* engine = dynamic_cast<const Engine*>(&trainer);
  return engine ? engine->together() : std::vector<std::vector<std::string>>();
}

}  // namespace lapidary::train

extern "C" LAPIDARY_API lapidary::Trainer* lapidary_open_trainer(
    const lapidary::Graph& graph, const lapidary::TrainerOptions& options) {
  return new lapidary::train::Engine(graph, options);
}
