#include <algorithm>

#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// What each wanted size means: a size, the input's size at the same place, or "the rest".
struct Target {
  std::vector<Dim> dims;       ///< `rest` holds 1
  std::vector<size_t> copied;  ///< places that take the input's size
  std::optional<size_t> rest;
  size_t unknown = 0;  ///< places of which nothing can be said
};

Target read_target(const ShapeValue& wanted, const std::optional<std::vector<int64_t>>& numbers,
                   const std::vector<Dim>* input, bool allow_zero) {
  Target target;
  for (size_t i = 0; i < wanted.size(); ++i) {
    Dim dim = wanted[i];
    if (numbers) {
      const int64_t number = (*numbers)[i];
      if (number < -1)
        fail_invalid("shape {} holds {}, expected -1 or more", shape_text(*numbers), number);
      if (number == -1) {
        if (target.rest) fail_invalid("shape {} holds -1 twice", shape_text(*numbers));
        target.rest = i;
        dim = 1;
      }
    } else if (!dim.known() && dim.symbol.empty()) {
      ++target.unknown;
    }
    if (dim.value == 0 && !allow_zero) {
      if (input && i >= input->size())
        fail_invalid("size 0 at place {} copies an axis that the input of rank {} has not", i,
                     input->size());
      dim = input ? (*input)[i] : Dim{};
      target.copied.push_back(i);
    }
    target.dims.push_back(std::move(dim));
  }
  if (numbers && allow_zero && target.rest &&
      std::find(numbers->begin(), numbers->end(), 0) != numbers->end())
    fail_invalid("shape {} holds 0 and -1 with allowzero: the rest cannot be said",
                 shape_text(*numbers));
  return target;
}

/// What remains of `all` once `taken` is divided out, both as products: numbers, and symbols by
/// name. Places listed in `same` cancel whatever they are.
Dim quotient(std::vector<Dim> all, std::vector<Dim> taken, std::span<const size_t> same) {
  for (size_t place : same) all[place] = taken[place] = 1;
  int64_t left = 1, right = 1;
  std::vector<std::string> symbols;
  for (const Dim& d : all) {
    if (!d.known() && d.symbol.empty()) return {};
    if (d.known())
      left = checked_mul(left, d.value);
    else
      symbols.push_back(d.symbol);
  }
  for (const Dim& d : taken) {
    if (d.known()) {
      right = checked_mul(right, d.value);
      continue;
    }
    const auto found = std::find(symbols.begin(), symbols.end(), d.symbol);
    if (d.symbol.empty() || found == symbols.end()) return {};
    symbols.erase(found);
  }
  if (right == 0) return {};
  if (symbols.empty()) {
    if (left % right != 0)
      fail_invalid("{} elements cannot be divided among {}", left, dims_text(taken));
    return left / right;
  }
  return symbols.size() == 1 && left == right ? Dim::named(symbols[0]) : Dim{};
}

/// Shape of the output; throws Error{kInvalid} where the element counts disagree.
std::vector<Dim> reshaped_dims(const std::vector<Dim>* input, const ShapeValue& wanted,
                               const std::optional<std::vector<int64_t>>& numbers,
                               bool allow_zero) {
  Target target = read_target(wanted, numbers, input, allow_zero);
  if (input == nullptr) {
    if (target.rest) target.dims[*target.rest] = Dim{};
    return target.dims;
  }
  // A single place of which nothing is known is the rest, whether it was computed or written as -1.
  if (!numbers && target.unknown == 1)
    for (size_t i = 0; i < target.dims.size(); ++i)
      if (!target.dims[i].known() && target.dims[i].symbol.empty() &&
          std::find(target.copied.begin(), target.copied.end(), i) == target.copied.end()) {
        target.rest = i;
        target.dims[i] = 1;
      }
  if (target.rest) {
    target.dims[*target.rest] = quotient(*input, target.dims, target.copied);
    return target.dims;
  }
  const auto have = known_shape(*input), want = known_shape(target.dims);
  if (have && want && element_count(*have) != element_count(*want))
    fail_invalid("cannot reshape {} ({} elements) to {} ({} elements)", shape_text(*have),
                 element_count(*have), shape_text(*want), element_count(*want));
  return target.dims;
}

void infer(InferContext& ctx) {
  ctx.require_dtype(1, kI64Only);
  const auto length = list_length(ctx, 1);
  ctx.set_type(0, ctx.dtype(0));
  const bool allow_zero = ctx.attrs().get_int("allowzero", 0) != 0;
  const auto numbers = ctx.ints(1);
  const auto wanted =
      numbers ? std::optional(ShapeValue(numbers->begin(), numbers->end())) : ctx.shape_value(1);
  if (wanted) {
    auto dims = reshaped_dims(ctx.shape(0), *wanted, numbers, allow_zero);
    // One element more or fewer axes leave a list of sizes what it is.
    const auto values = ctx.shape_value(0);
    const bool keeps = values && dims.size() <= 1;
    ctx.set_type(0, ctx.dtype(0), std::move(dims));
    if (keeps) ctx.set_shape_value(0, *values);
  } else if (length) {
    ctx.set_type(0, ctx.dtype(0), std::vector<Dim>(static_cast<size_t>(*length)));
  }
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const std::vector<Dim> input = to_dims(x.shape());
  const auto numbers = ctx.ints(1);
  const auto dims = reshaped_dims(&input, ShapeValue(numbers.begin(), numbers.end()), numbers,
                                  ctx.attrs().get_int("allowzero", 0) != 0);
  auto shape = known_shape(dims);
  if (!shape)  // the rest beside a zero
    fail_invalid("shape {} does not say the size of -1 for an input of {}", shape_text(numbers),
                 shape_text(x.shape()));
  if (element_count(*shape) != x.size())
    fail_invalid("cannot reshape {} to {}", shape_text(x.shape()), shape_text(*shape));
  ctx.set_output(0, x.reshaped(std::move(*shape)));
}

/// Leading axes that stay as they are: the node copies their sizes (0), or both sizes are known.
size_t leading_axes(const Shape& from, const Shape& to,
                    const std::optional<std::vector<int64_t>>& numbers, bool allow_zero) {
  size_t count = 0;
  while (count < std::min(from.size(), to.size())) {
    const bool copied = numbers && !allow_zero && (*numbers)[count] == 0;
    if (!copied && (from[count] < 0 || from[count] != to[count])) break;
    ++count;
  }
  return count;
}

/// Sizes that `shape` says outright, or copies (0) from an axis that is another one, are written.
/// Where its elements are not known, all of them.
void axes(AxisFlow& flow) {
  const auto numbers = flow.ints(1);
  const Shape from = flow.input_shape(0), to = flow.output_shape(0);
  const bool allow_zero = flow.attrs().get_int("allowzero", 0) != 0;
  const size_t leading = leading_axes(from, to, numbers, allow_zero);
  tie_reshape(flow, 0, 0, leading);
  for (size_t i = 0; i < to.size(); ++i) {
    const bool rest = numbers && (*numbers)[i] == -1;
    const bool copied = numbers && !allow_zero && (*numbers)[i] == 0 && i < leading;
    const auto place = static_cast<int64_t>(i);
    if (!rest && !copied && to[i] > 1) flow.input_is(1, place, {flow.output(0, place)});
  }
}

}  // namespace

const OpDef& op_Reshape() {
  static const OpDef def{
      .name = "Reshape",
      .versions = {5, 13, 14, 19, 21, 23, 24, 25},
      .inputs = {2, 2},
      .outputs = {1, 1},
      .attrs = {{"allowzero", AttrKind::kInt, false, 14}},
      .infer = infer,
      .evaluate = evaluate,
      .axes = axes,
      .role = QuantRole::kPassThrough,
  };
  return def;
}

}  // namespace lapidary
