#include <cmath>
#include <map>
#include <numbers>

#include "kernels/eltwise_f32/eltwise_f32.h"
#include "kernels/exp_f32/exp_f32.h"
#include "src/exec/steps/common.h"
#include "src/exec/steps/grain.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

namespace {

struct UnaryParams {
  float alpha = 0, beta = 0;
  const kernels::ExpF32Kernel* exp = kernels::select_exp_f32().kernel;
  const kernels::EltwiseF32Kernel* eltwise = kernels::select_eltwise_f32().kernel;
  bool times_x = false;  ///< y = f(x) * x: SiLU, HardSwish
};
struct Unary {
  void (*run)(const float* x, float* y, int64_t count, const UnaryParams& p);
  /// The row that computes it, or one of the loops here.
  std::string_view (*kernel)(const UnaryParams& p) = [](const UnaryParams&) {
    return std::string_view("unary_f32");
  };
};
std::string_view exp_row(const UnaryParams& p) { return p.exp->row.name; }
std::string_view eltwise_row(const UnaryParams& p) { return p.eltwise->row.name; }

template <auto kFunction>
void each(const float* x, float* y, int64_t count, const UnaryParams& p) {
  for (int64_t i = 0; i < count; ++i) y[i] = kFunction(x[i], p);
}

float power(float x, const UnaryParams& p) { return std::pow(x, p.alpha); }
float square(float x, const UnaryParams&) { return x * x; }
template <float (*kFunction)(float)>
float plain(float x, const UnaryParams&) {
  return kFunction(x);
}
float negate(float x) { return -x; }
float reciprocal(float x) { return 1.0f / x; }

void hard_sigmoid_of(const float* x, float* y, int64_t count, const UnaryParams& p) {
  p.eltwise->call->hard_sigmoid(
      {.count = count, .x = x, .y = y, .alpha = p.alpha, .beta = p.beta, .times_x = p.times_x});
}
void sigmoid_of(const float* x, float* y, int64_t count, const UnaryParams& p) {
  (p.times_x ? p.exp->call->silu : p.exp->call->sigmoid)({.count = count, .x = x, .y = y});
}
void exp_of(const float* x, float* y, int64_t count, const UnaryParams& p) {
  p.exp->call->exp({.count = count, .x = x, .y = y});
}
void erf_of(const float* x, float* y, int64_t count, const UnaryParams& p) {
  p.exp->call->erf({.count = count, .x = x, .y = y});
}

const std::map<std::string_view, Unary>& functions() {
  static const std::map<std::string_view, Unary> kFunctions = {
      {"Sigmoid", {sigmoid_of, exp_row}},
      {"HardSigmoid", {hard_sigmoid_of, eltwise_row}},
      {"HardSwish", {hard_sigmoid_of, eltwise_row}},
      {"Tanh", {each<plain<std::tanh>>}},
      {"Exp", {exp_of, exp_row}},
      {"Log", {each<plain<std::log>>}},
      {"Erf", {erf_of, exp_row}},
      {"Sqrt", {each<plain<std::sqrt>>}},
      {"Neg", {each<plain<negate>>}},
      {"Abs", {each<plain<std::fabs>>}},
      {"Reciprocal", {each<plain<reciprocal>>}},
      {"Sin", {each<plain<std::sin>>}},
      {"Cos", {each<plain<std::cos>>}},
  };
  return kFunctions;
}

void emit_unary(PlanBuilder& b, std::vector<NodeId> nodes, ValueId x, ValueId y, Unary function,
                const UnaryParams& p) {
  StepSpec spec;
  spec.nodes = std::move(nodes);
  spec.kernel = function.kernel(p);
  const Operand in = b.get(x, b.follow(spec.nodes[0]));
  const Operand out = b.create_over(y, in, spec.nodes);
  spec.reads = {in};
  spec.writes = {out};
  spec.run = [=, count = in.count()](const StepRun& run) {
    run.parallel(count, kGrainElements, [&](int64_t begin, int64_t end) {
      function.run(run.data<const float>(in) + begin, run.data<float>(out) + begin, end - begin, p);
    });
  };
  b.emit(std::move(spec));
}

/// The Mul that multiplies f(x) with x again, or none.
NodeId product_with(const PlanBuilder& b, ValueId x, ValueId fx) {
  const NodeId next = b.only_consumer(fx);
  if (!next || !b.node(next).is("Mul")) return {};
  const ValueId other = b.input(next, b.input(next, 0) == fx ? 1 : 0);
  return other == x ? next : NodeId();
}

}  // namespace

bool build_unary(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0);
  const auto function = functions().find(b.node(id).op);
  if (b.dtype(x) != DType::kF32 || function == functions().end()) return false;
  UnaryParams p;
  std::vector<NodeId> nodes = {id};
  ValueId y = b.output(id);
  if (b.node(id).op == "HardSigmoid") {
    p.alpha = b.attrs(id).get_float("alpha", 0.2f);
    p.beta = b.attrs(id).get_float("beta", 0.5f);
  }
  if (b.node(id).op == "HardSwish") p = {.alpha = 1.0f / 6, .beta = 0.5f, .times_x = true};
  if (b.node(id).op == "Sigmoid" || b.node(id).op == "HardSigmoid")
    if (const NodeId product = product_with(b, x, y)) {
      p.times_x = true;
      nodes.push_back(product);
      y = b.output(product);
    }
  emit_unary(b, std::move(nodes), x, y, function->second, p);
  return true;
}

/// x^2, sqrt(x) and other constant powers.
bool build_power(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0);
  const auto exponent = scalar_float(b, b.input(id, 1), 1.0f);
  if (b.dtype(x) != DType::kF32 || !exponent || b.shape(x) != b.shape(b.output(id))) return false;
  Unary function = {each<power>};
  if (*exponent == 2.0f) function = {each<square>};
  if (*exponent == 0.5f) function = functions().at("Sqrt");
  emit_unary(b, {id}, x, b.output(id), function, {.alpha = *exponent});
  return true;
}

/// Relu, LeakyRelu, Clip that no step before took along.
bool build_clamp(PlanBuilder& b, NodeId id) {
  const auto activation = activation_of(b, id);
  if (!activation) return false;
  StepSpec spec;
  spec.nodes = {id};
  const auto* kernel = kernels::select_eltwise_f32().kernel;
  spec.kernel = kernel->row.name;
  const Operand in = b.get(b.input(id, 0), b.follow(id));
  const Operand out = b.create_over(b.output(id), in, spec.nodes);
  spec.reads = {in};
  spec.writes = {out};
  spec.run = [=, count = in.count(), activation = *activation](const StepRun& run) {
    run.parallel(count, kGrainElements, [&](int64_t begin, int64_t end) {
      kernel->call->unary({.count = end - begin,
                           .x = run.data<const float>(in) + begin,
                           .y = run.data<float>(out) + begin,
                           .activation = activation});
    });
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
