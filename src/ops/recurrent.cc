#include "src/ops/recurrent.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>

#include "src/base/checked.h"

namespace lapidary {

namespace {

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

std::span<const double> row(std::span<const double> matrix, int64_t index, int64_t width) {
  return matrix.subspan(static_cast<size_t>(index * width), static_cast<size_t>(width));
}

/// An activation and how many numbers it takes from activation_alpha and activation_beta.
struct ActivationKind {
  std::string_view name;
  bool has_alpha, has_beta;
  double alpha, beta;  ///< where the node gives none
  double (*apply)(double x, double alpha, double beta);
};

constexpr ActivationKind kActivations[] = {
    {"affine", true, true, 1, 0, [](double x, double a, double b) { return a * x + b; }},
    {"elu", true, false, 1, 0,
     [](double x, double a, double) { return x < 0 ? a * std::expm1(x) : x; }},
    {"hardsigmoid", true, true, 0.2, 0.5,
     [](double x, double a, double b) { return std::clamp(a * x + b, 0.0, 1.0); }},
    {"leakyrelu", true, false, 0.01, 0,
     [](double x, double a, double) { return x < 0 ? a * x : x; }},
    {"relu", false, false, 0, 0, [](double x, double, double) { return x < 0 ? 0.0 : x; }},
    {"scaledtanh", true, true, 1, 1,
     [](double x, double a, double b) { return a * std::tanh(b * x); }},
    {"sigmoid", false, false, 0, 0,
     [](double x, double, double) { return 1 / (1 + std::exp(-x)); }},
    {"softplus", false, false, 0, 0,
     [](double x, double, double) {
       return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
     }},
    {"softsign", false, false, 0, 0,
     [](double x, double, double) { return x / (1 + std::abs(x)); }},
    {"tanh", false, false, 0, 0, [](double x, double, double) { return std::tanh(x); }},
    {"thresholdedrelu", true, false, 1, 0,
     [](double x, double a, double) { return x > a ? x : 0.0; }},
};

const ActivationKind& find_activation(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const ActivationKind& kind : kActivations)
    if (kind.name == name) return kind;
  fail_invalid("unknown activation '{}'", name);
}

Tensor time_first(const Tensor& t, bool batch_first) {
  if (!batch_first) return t;
  std::vector<int64_t> perm = iota_table(t.rank());
  std::swap(perm[0], perm[1]);
  return transposed(t, perm);
}

/// Y is [T, D, B, H]; layout 1 wants [B, T, D, H], and [B, D, H] for the last states.
Tensor in_layout(const Tensor& t, bool batch_first) {
  if (!batch_first) return t;
  return transposed(
      t, t.rank() == 4 ? std::vector<int64_t>{2, 0, 1, 3} : std::vector<int64_t>{1, 0, 2});
}

/// Everything that the node gives, in double and time first.
struct Run {
  int64_t steps = 0, batch = 0, input_size = 0, hidden = 0, directions = 0, gates = 0;
  std::vector<double> x, w, r, b, h, c, p;
  std::vector<int64_t> lengths;
};

Run read_run(EvalContext& ctx, int64_t gates) {
  const bool batch_first = ctx.attrs().get_int("layout", 0) != 0;
  const Tensor x = time_first(ctx.input(0), batch_first);
  Run run{x.dim(0), x.dim(1), x.dim(2), ctx.input(2).dim(2), directions_of(ctx.attrs()), gates};
  run.x = read_as<double>(x);
  run.w = read_as<double>(ctx.input(1));
  run.r = read_as<double>(ctx.input(2));
  const auto read = [&](size_t input, int64_t count, bool state) {
    const auto size = static_cast<size_t>(count);
    if (!ctx.has_input(input)) return std::vector<double>(size, 0.0);
    auto values = read_as<double>(time_first(ctx.input(input), state && batch_first));
    if (values.size() != size)
      fail_invalid("input {} has {} elements, expected {}", input, values.size(), size);
    return values;
  };
  run.b = read(3, run.directions * 2 * gates * run.hidden, false);
  run.lengths.assign(static_cast<size_t>(run.batch), run.steps);
  if (ctx.has_input(4)) run.lengths = ctx.ints(4);
  if (std::ssize(run.lengths) != run.batch)
    fail_invalid("sequence_lens has {} numbers, expected {}", run.lengths.size(), run.batch);
  for (int64_t length : run.lengths)
    if (length < 0 || length > run.steps)
      fail_invalid("a sequence length is {}, expected 0 to {}", length, run.steps);
  run.h = read(5, run.directions * run.batch * run.hidden, true);
  run.c = read(6, run.directions * run.batch * run.hidden, true);
  run.p = read(7, run.directions * 3 * run.hidden, false);
  return run;
}

RecurrentWeights direction_weights(const Run& run, int64_t direction) {
  const int64_t rows = run.gates * run.hidden;
  const auto bias = row(run.b, direction, 2 * rows);
  return {.input_size = run.input_size,
          .hidden_size = run.hidden,
          .gates = run.gates,
          .w = row(run.w, direction, rows * run.input_size),
          .r = row(run.r, direction, rows * run.hidden),
          .w_bias = bias.first(static_cast<size_t>(rows)),
          .r_bias = bias.subspan(static_cast<size_t>(rows)),
          .peephole = row(run.p, direction, 3 * run.hidden)};
}

}  // namespace

int64_t directions_of(const AttrView& attrs) {
  const std::string direction = attrs.get_string("direction", "forward");
  if (direction == "forward" || direction == "reverse") return 1;
  if (direction == "bidirectional") return 2;
  fail_invalid("direction is '{}', expected forward, reverse or bidirectional", direction);
}

std::vector<Activation> read_activations(const AttrView& attrs,
                                         const std::vector<std::string>& defaults) {
  const int64_t directions = directions_of(attrs);
  std::vector<std::string> names;
  const Attr* attr = attrs.node().attr("activations");
  if (const auto* given = attr ? std::get_if<std::vector<std::string>>(attr) : nullptr)
    names = *given;
  else
    for (int64_t i = 0; i < directions; ++i)
      names.insert(names.end(), defaults.begin(), defaults.end());
  // RNN's declared default names two, of which one direction uses the first.
  if (std::ssize(names) < directions * std::ssize(defaults))
    fail_invalid("activations names {}, expected {}", names.size(),
                 directions * std::ssize(defaults));
  const auto alphas = attrs.get_floats("activation_alpha"),
             betas = attrs.get_floats("activation_beta");
  // Used up in order by those that take them.
  auto alpha = alphas.begin(), beta = betas.begin();
  std::vector<Activation> out;
  for (const std::string& name : names) {
    const ActivationKind& kind = find_activation(name);
    const double a = kind.has_alpha && alpha != alphas.end() ? *alpha++ : kind.alpha;
    const double b = kind.has_beta && beta != betas.end() ? *beta++ : kind.beta;
    out.push_back({kind.name, a, b, kind.apply});
  }
  return out;
}

double RecurrentWeights::input_sum(int64_t gate, int64_t unit, std::span<const double> x) const {
  return dot(row(w, gate * hidden_size + unit, input_size), x);
}
double RecurrentWeights::hidden_sum(int64_t gate, int64_t unit, std::span<const double> h) const {
  return dot(row(r, gate * hidden_size + unit, hidden_size), h);
}
double RecurrentWeights::bias(int64_t gate, int64_t unit) const {
  const auto at = static_cast<size_t>(gate * hidden_size + unit);
  return w_bias[at] + r_bias[at];
}
double RecurrentWeights::activate(size_t which, double x) const {
  return activations[which](clip > 0 ? std::clamp(x, -clip, clip) : x);
}

void infer_recurrent(InferContext& ctx, int64_t gates) {
  const int64_t directions = directions_of(ctx.attrs());
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    if (i == 4) continue;
    ctx.require_same_dtype(0, i);
    ctx.require_dtype(i, kFloatDTypes);
  }
  static constexpr DType kI32Only[] = {DType::kI32};
  ctx.require_dtype(4, kI32Only);
  for (size_t i : {0, 1, 2, 5, 6}) ctx.require_rank(i, 3, 3);
  for (size_t i : {3, 7}) ctx.require_rank(i, 2, 2);
  ctx.require_rank(4, 1, 1);
  const bool batch_first = ctx.attrs().get_int("layout", 0) != 0;
  const auto *x = ctx.shape(0), *w = ctx.shape(1), *r = ctx.shape(2);
  Dim hidden, steps, batch;
  if (ctx.attrs().has("hidden_size")) hidden = ctx.attrs().get_int("hidden_size", 0);
  if (r) {
    hidden = unify_dim(hidden, (*r)[2]);
    unify_dim((*r)[0], directions);
    unify_dim((*r)[1], mul_dims(hidden, gates));
  }
  if (w) {
    unify_dim((*w)[0], directions);
    unify_dim((*w)[1], mul_dims(hidden, gates));
    if (x) unify_dim((*w)[2], (*x)[2]);
  }
  if (x) {
    steps = (*x)[batch_first ? 1 : 0];
    batch = (*x)[batch_first ? 0 : 1];
  }
  const DType dtype = ctx.dtype(0);
  if (batch_first)
    ctx.set_type(0, dtype, {batch, steps, directions, hidden});
  else
    ctx.set_type(0, dtype, {steps, directions, batch, hidden});
  for (size_t i = 1; i < ctx.output_count(); ++i) {
    if (batch_first)
      ctx.set_type(i, dtype, {batch, directions, hidden});
    else
      ctx.set_type(i, dtype, {directions, batch, hidden});
  }
}

void evaluate_recurrent(EvalContext& ctx, int64_t gates, const std::vector<std::string>& defaults,
                        const RecurrentCell& cell) {
  Run run = read_run(ctx, gates);
  const auto activations = read_activations(ctx.attrs(), defaults);
  const bool reverse_only = ctx.attrs().get_string("direction", "forward") == "reverse";
  const auto width = static_cast<size_t>(run.hidden);
  std::vector<double> y(static_cast<size_t>(run.steps * run.directions * run.batch) * width, 0.0);
  for (int64_t d = 0; d < run.directions; ++d) {
    RecurrentWeights weights = direction_weights(run, d);
    const auto own = activations.begin() + d * std::ssize(defaults);
    weights.activations.assign(own, own + std::ssize(defaults));
    weights.clip = static_cast<double>(ctx.attrs().get_float("clip", 0));
    const bool reverse = reverse_only || d == 1;
    for (int64_t b = 0; b < run.batch; ++b) {
      const int64_t length = run.lengths[static_cast<size_t>(b)];
      const auto state = static_cast<size_t>(d * run.batch + b) * width;
      const std::span<double> h = std::span(run.h).subspan(state, width);
      const std::span<double> c = std::span(run.c).subspan(state, width);
      for (int64_t step = 0; step < length; ++step) {
        const int64_t t = reverse ? length - 1 - step : step;
        cell(weights, row(run.x, t * run.batch + b, run.input_size), h, c);
        const int64_t at = (t * run.directions + d) * run.batch + b;
        std::ranges::copy(h, y.begin() + at * run.hidden);
      }
    }
  }
  const DType dtype = ctx.input(0).dtype();
  const bool batch_first = ctx.attrs().get_int("layout", 0) != 0;
  const Shape last{run.directions, run.batch, run.hidden};
  const Shape all{run.steps, run.directions, run.batch, run.hidden};
  ctx.set_output(0, in_layout(make_from(dtype, all, y), batch_first));
  ctx.set_output(1, in_layout(make_from(dtype, last, run.h), batch_first));
  ctx.set_output(2, in_layout(make_from(dtype, last, run.c), batch_first));
}

std::vector<AttrSpec> recurrent_attrs(std::vector<AttrSpec> own) {
  const std::vector<AttrSpec> shared = {
      {"activation_alpha", AttrKind::kFloats}, {"activation_beta", AttrKind::kFloats},
      {"activations", AttrKind::kStrings},     {"clip", AttrKind::kFloat},
      {"direction", AttrKind::kString},        {"hidden_size", AttrKind::kInt},
      {"layout", AttrKind::kInt, false, 14}};
  own.insert(own.end(), shared.begin(), shared.end());
  return own;
}

}  // namespace lapidary
