#include "src/ops/dft.h"

#include <algorithm>
#include <numbers>

#include "src/base/checked.h"
#include "src/ops/movement.h"

namespace lapidary {

std::vector<std::complex<double>> dft(const std::vector<std::complex<double>>& x, int64_t n,
                                      bool inverse) {
  const double turn = (inverse ? 2 : -2) * std::numbers::pi / static_cast<double>(n);
  std::vector<std::complex<double>> unit(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i)
    unit[static_cast<size_t>(i)] = std::polar(1.0, turn * static_cast<double>(i));
  std::vector<std::complex<double>> y(static_cast<size_t>(n));
  const int64_t given = std::min(n, static_cast<int64_t>(x.size()));
  for (int64_t k = 0; k < n; ++k) {
    auto& sum = y[static_cast<size_t>(k)];
    for (int64_t t = 0, phase = 0; t < given; ++t, phase = (phase + k) % n)
      sum += x[static_cast<size_t>(t)] * unit[static_cast<size_t>(phase)];
    if (inverse) sum /= static_cast<double>(n);
  }
  return y;
}

namespace {

/// Lengths above this would take hours by the definition.
constexpr int64_t kMaxLength = 1 << 20;

int64_t checked_length(int64_t n) {
  if (n < 1) fail_invalid("dft_length is {}, expected 1 or more", n);
  if (n > kMaxLength) fail(ErrorCode::kResource, "dft_length is {}, at most {}", n, kMaxLength);
  return n;
}

bool one_sided(const AttrView& attrs) {
  const bool one = attrs.get_int("onesided", 0) != 0;
  if (one && attrs.get_int("inverse", 0) != 0)
    fail_unsupported("DFT that is inverse and one-sided is not supported");
  return one;
}

/// The transformed axis: an attribute in version 17, an input since; never the last one, which
/// holds the real and imaginary part.
int64_t transform_axis(int64_t axis, int64_t rank) {
  axis = InferContext::normalize_axis(axis, rank);
  if (axis == rank - 1) fail_invalid("axis {} is the last one, which holds complex parts", axis);
  return axis;
}

void check_parts(const Dim& parts) {
  if (parts.known() && parts.value != 1 && parts.value != 2)
    fail_invalid("the last axis is {}, expected 1 (real) or 2 (complex)", parts.value);
}

void infer(InferContext& ctx) {
  require_arity(ctx, 1, ctx.version() < 20 ? 2 : 3);
  ctx.require_dtype(0, kFloatDTypes);
  ctx.require_dtype(1, kIndexTypes);
  ctx.require_dtype(2, kI64Only);
  ctx.require_rank(0, 2, -1);
  const bool one = one_sided(ctx.attrs());
  ctx.set_type(0, ctx.dtype(0));
  if (ctx.shape(0) == nullptr) return;
  std::vector<Dim> out = *ctx.shape(0);
  check_parts(out.back());
  out.back() = 2;
  std::optional<int64_t> axis = ctx.version() < 20 ? ctx.attrs().get_int("axis", 1) : -2;
  if (ctx.has_input(2)) {
    const auto given = ctx.ints(2);
    axis = given && given->size() == 1 ? std::optional((*given)[0]) : std::nullopt;
  }
  if (!axis) return ctx.set_type(0, ctx.dtype(0), std::vector<Dim>(out.size()));
  Dim& dim = out[static_cast<size_t>(transform_axis(*axis, std::ssize(out)))];
  if (ctx.has_input(1)) {
    const auto length = ctx.ints(1);
    dim = length && length->size() == 1 ? Dim(checked_length((*length)[0])) : Dim{};
  }
  if (one) dim = dim.known() ? Dim(dim.value / 2 + 1) : Dim{};
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const auto stated = ctx.version() < 20 ? ctx.attrs().get_int("axis", 1)
                      : ctx.has_input(2) ? ctx.ints(2)[0]
                                         : -2;
  const int64_t axis = transform_axis(stated, x.rank());
  const int64_t n = checked_length(ctx.has_input(1) ? ctx.ints(1)[0] : x.dim(axis));
  const int64_t kept = one_sided(ctx.attrs()) ? n / 2 + 1 : n;
  const int64_t parts = x.dim(-1), size = x.dim(axis);
  const int64_t inner = row_major_strides(x.shape())[static_cast<size_t>(axis)] / parts;
  const std::vector<double> from = read_as<double>(x);
  Shape shape = x.shape();
  shape[static_cast<size_t>(axis)] = kept;
  shape.back() = 2;
  std::vector<double> to(static_cast<size_t>(element_count(shape)));
  const int64_t outer = size == 0 ? 0 : x.size() / (size * inner * parts);
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      std::vector<std::complex<double>> line;
      for (int64_t t = 0; t < size; ++t) {
        const double* element = from.data() + ((o * size + t) * inner + i) * parts;
        line.emplace_back(element[0], parts == 2 ? element[1] : 0.0);
      }
      const auto y = dft(line, n, ctx.attrs().get_int("inverse", 0) != 0);
      for (int64_t k = 0; k < kept; ++k) {
        double* element = to.data() + ((o * kept + k) * inner + i) * 2;
        element[0] = y[static_cast<size_t>(k)].real();
        element[1] = y[static_cast<size_t>(k)].imag();
      }
    }
  ctx.set_output(0, make_from(x.dtype(), std::move(shape), to));
}

/// axis: attribute -> input 2; its default moved from 1 to -2.
void upgrade_to_20(Graph& graph, NodeId id) {
  const Attr* attr = graph.node(id).attr("axis");
  const auto* axis = attr ? std::get_if<int64_t>(attr) : nullptr;
  const ValueId input = graph.add_constant(graph.unique_name(node_key(graph, id) + "_axis"),
                                           Tensor::scalar<int64_t>(axis ? *axis : 1));
  graph.set_input(id, 2, input);
  graph.erase_attr(id, "axis");
}

}  // namespace

const OpDef& op_DFT() {
  static const OpDef def{.name = "DFT",
                         .versions = {17, 20},
                         .inputs = {1, 3},
                         .outputs = {1, 1},
                         .attrs = {{"axis", AttrKind::kInt, false, 17, 19},
                                   {"inverse", AttrKind::kInt},
                                   {"onesided", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate,
                         .upgrades = {{20, upgrade_to_20}}};
  return def;
}

}  // namespace lapidary
