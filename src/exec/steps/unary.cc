#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "kernels/eltwise_f32/eltwise_f32.h"
#include "kernels/exp_f32/exp_f32.h"
#include "src/exec/steps/common.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

namespace {

constexpr int64_t kGrainElements = 16384;

struct UnaryParams {
  float alpha = 0, beta = 0;
  const kernels::ExpF32Functions* exp = kernels::select_exp_f32().kernel->call;
  bool times_x = false;  ///< y = f(x) * x: SiLU, HardSwish
};
using UnaryFn = void (*)(const float* x, float* y, int64_t count, const UnaryParams& p);

template <auto kFunction>
void each(const float* x, float* y, int64_t count, const UnaryParams& p) {
  for (int64_t i = 0; i < count; ++i) {
    const float v = kFunction(x[i], p);
    y[i] = p.times_x ? v * x[i] : v;
  }
}

// std::clamp keeps NaN, where fmin and fmax would take the limit.
float hard_sigmoid(float x, const UnaryParams& p) {
  return std::clamp(p.alpha * x + p.beta, 0.0f, 1.0f);
}
float hard_swish(float x, const UnaryParams&) {
  return x * std::clamp(x * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f);
}
float power(float x, const UnaryParams& p) { return std::pow(x, p.alpha); }
float square(float x, const UnaryParams&) { return x * x; }
template <float (*kFunction)(float)>
float plain(float x, const UnaryParams&) {
  return kFunction(x);
}
float negate(float x) { return -x; }
float reciprocal(float x) { return 1.0f / x; }

void sigmoid_of(const float* x, float* y, int64_t count, const UnaryParams& p) {
  (p.times_x ? p.exp->silu : p.exp->sigmoid)({.count = count, .x = x, .y = y});
}
void exp_of(const float* x, float* y, int64_t count, const UnaryParams& p) {
  p.exp->exp({.count = count, .x = x, .y = y});
}
void erf_of(const float* x, float* y, int64_t count, const UnaryParams& p) {
  p.exp->erf({.count = count, .x = x, .y = y});
}

const std::map<std::string_view, UnaryFn>& functions() {
  static const std::map<std::string_view, UnaryFn> kFunctions = {
      {"Sigmoid", sigmoid_of},
      {"HardSigmoid", each<hard_sigmoid>},
      {"HardSwish", each<hard_swish>},
      {"Tanh", each<plain<std::tanh>>},
      {"Exp", exp_of},
      {"Log", each<plain<std::log>>},
      {"Erf", erf_of},
      {"Sqrt", each<plain<std::sqrt>>},
      {"Neg", each<plain<negate>>},
      {"Abs", each<plain<std::fabs>>},
      {"Reciprocal", each<plain<reciprocal>>},
      {"Sin", each<plain<std::sin>>},
      {"Cos", each<plain<std::cos>>},
  };
  return kFunctions;
}

void emit_unary(PlanBuilder& b, std::vector<NodeId> nodes, ValueId x, ValueId y, UnaryFn function,
                const UnaryParams& p) {
  StepSpec spec;
  spec.nodes = std::move(nodes);
  spec.kernel = "unary_f32";
  const Operand in = b.get(x, b.follow(spec.nodes[0]));
  const Operand out = b.create_over(y, in, spec.nodes);
  spec.reads = {in};
  spec.writes = {out};
  spec.run = [=, count = in.count()](const StepRun& run) {
    run.parallel(count, kGrainElements, [&](int64_t begin, int64_t end) {
      function(run.data<const float>(in) + begin, run.data<float>(out) + begin, end - begin, p);
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
  UnaryFn function = each<power>;
  if (*exponent == 2.0f) function = each<square>;
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
