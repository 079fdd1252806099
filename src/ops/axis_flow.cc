#include "src/ops/axis_flow.h"

#include <algorithm>
#include <numeric>

#include "src/base/checked.h"
#include "src/ops/axis_rules.h"

namespace lapidary {

void tie_or_freeze(AxisFlow& flow, AxisRef a, AxisRef b) {
  if (flow.size(a) == flow.size(b)) return flow.tie(a, b);
  for (const AxisRef axis : {a, b}) flow.freeze(axis, "it meets an axis of unknown size");
}

void tie_broadcast(AxisFlow& flow, AxisRef from, AxisRef to) {
  if (flow.size(from) != 1) tie_or_freeze(flow, from, to);
}

void tie_broadcast(AxisFlow& flow, size_t input, int64_t skip) {
  const int64_t shift = flow.output_rank(0) - flow.input_rank(input);
  for (int64_t axis = std::max<int64_t>(0, -shift); axis < flow.input_rank(input) - skip; ++axis)
    tie_broadcast(flow, flow.input(input, axis), flow.output(0, axis + shift));
}

void tie_elementwise(AxisFlow& flow) {
  for (size_t i = 0; i < flow.input_count(); ++i)
    if (flow.has_input(i) && flow.has_output(0)) tie_broadcast(flow, i);
}

void tie_elementwise(AxisFlow& flow, std::span<const size_t> inputs) {
  for (const size_t i : inputs)
    if (flow.has_input(i) && flow.has_output(0)) tie_broadcast(flow, i);
}

void tie_same(AxisFlow& flow, size_t input, size_t output) { tie_all_but(flow, input, output, {}); }

void tie_all_but(AxisFlow& flow, size_t input, size_t output, std::span<const int64_t> axes) {
  if (!flow.has_input(input) || !flow.has_output(output)) return;
  for (int64_t i = 0; i < flow.input_rank(input); ++i)
    if (std::ranges::find(axes, i) == axes.end())
      tie_or_freeze(flow, flow.input(input, i), flow.output(output, i));
}

void tie_kept(AxisFlow& flow, const std::vector<bool>& dropped, bool keep) {
  if (!flow.has_output(0)) return;
  int64_t to = 0;
  for (size_t i = 0; i < dropped.size(); ++i) {
    if (!dropped[i])
      tie_or_freeze(flow, flow.input(0, static_cast<int64_t>(i)), flow.output(0, to));
    to += !dropped[i] || keep;
  }
}

void tie_parameter(AxisFlow& flow, size_t input, AxisRef axis) {
  if (!flow.has_input(input) || flow.input_rank(input) == 0) return;
  if (flow.input_rank(input) > 1) return flow.freeze(axis, "its parameters are no list");
  tie_broadcast(flow, flow.input(input, 0), axis);
}

std::vector<int64_t> positions(int64_t begin, int64_t count) {
  std::vector<int64_t> out(static_cast<size_t>(count));
  std::iota(out.begin(), out.end(), begin);
  return out;
}

std::optional<std::vector<int64_t>> read_list(const AxisFlow& flow, std::string_view attr,
                                              size_t slot) {
  if (flow.has_input(slot)) return flow.ints(slot);
  return flow.attrs().get_ints(attr);
}

void list_is(AxisFlow& flow, std::string_view attr, size_t slot, int64_t index, KeptCount count) {
  if (flow.has_input(slot))
    flow.input_is(slot, index, count);
  else
    flow.attr_is(attr, index, count);
}

// -- tie_reshape

namespace {

struct SizedAxis {
  AxisRef axis;
  int64_t size = 0;
};
using Axes = std::span<const SizedAxis>;

/// How many axes from the front of both make the least products that are equal; absent where an
/// axis of unknown size, or an end, comes first.
std::optional<std::pair<size_t, size_t>> next_group(Axes a, Axes b) {
  if (a.empty() || b.empty() || a[0].size < 0 || b[0].size < 0) return std::nullopt;
  size_t i = 1, j = 1;
  int64_t left = a[0].size, right = b[0].size;
  while (left != right) {
    const bool grow_left = left < right;
    const Axes from = grow_left ? a : b;
    size_t& next = grow_left ? i : j;
    if (next == from.size() || from[next].size < 0) return std::nullopt;
    int64_t& product = grow_left ? left : right;
    product = checked_mul(product, from[next++].size);
  }
  return std::pair{i, j};
}

/// Products of the first 1, 2, ... sizes.
std::vector<int64_t> cuts_of(Axes axes) {
  std::vector<int64_t> out;
  for (const SizedAxis& axis : axes)
    out.push_back(checked_mul(out.empty() ? 1 : out.back(), axis.size));
  return out;
}

void freeze_all(AxisFlow& flow, Axes axes) {
  for (const SizedAxis& axis : axes) flow.freeze(axis.axis, "the reshape cuts across it");
}

/// Each axis is the product of the factors that lie between its cuts.
void multiply_by_cuts(AxisFlow& flow, Axes axes, std::span<const int64_t> cuts,
                      std::span<const AxisRef> factors) {
  size_t begin = 0;
  int64_t product = 1;
  for (const SizedAxis& axis : axes) {
    product *= axis.size;
    const auto end = static_cast<size_t>(std::ranges::find(cuts, product) - cuts.begin()) + 1;
    const auto own = factors.subspan(begin, end - begin);
    if (own.size() == 1)
      flow.tie(axis.axis, own[0]);
    else
      flow.multiply(axis.axis, own);
    begin = end;
  }
}

/// Many to many: [4, 6] -> [8, 3] is [f, g h] -> [f g, h] with f, g, h of 4, 2, 3. There are such
/// factors where each cut (of either side) divides the next.
void split_group(AxisFlow& flow, Axes a, Axes b) {
  std::vector<int64_t> cuts = cuts_of(a);
  for (const int64_t cut : cuts_of(b)) cuts.push_back(cut);
  std::ranges::sort(cuts);
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  for (size_t i = 1; i < cuts.size(); ++i)
    if (cuts[i] % cuts[i - 1] != 0) {
      freeze_all(flow, a);
      return freeze_all(flow, b);
    }
  std::vector<AxisRef> factors;
  for (size_t i = 0; i < cuts.size(); ++i)
    factors.push_back(flow.local(i == 0 ? cuts[0] : cuts[i] / cuts[i - 1]));
  multiply_by_cuts(flow, a, cuts, factors);
  multiply_by_cuts(flow, b, cuts, factors);
}

std::vector<AxisRef> refs_of(Axes axes) {
  std::vector<AxisRef> out;
  for (const SizedAxis& axis : axes) out.push_back(axis.axis);
  return out;
}

/// Axes of equal products; no other boundary is common to both.
void tie_group(AxisFlow& flow, Axes a, Axes b) {
  if (a.size() == 1 && b.size() == 1)
    flow.tie(a[0].axis, b[0].axis);
  else if (a.size() == 1)
    flow.multiply(a[0].axis, refs_of(b));
  else if (b.size() == 1)
    flow.multiply(b[0].axis, refs_of(a));
  else
    split_group(flow, a, b);
}

void tie_groups(AxisFlow& flow, Axes a, Axes b) {
  while (const auto group = next_group(a, b)) {  // from the front
    tie_group(flow, a.first(group->first), b.first(group->second));
    a = a.subspan(group->first);
    b = b.subspan(group->second);
  }
  std::vector<SizedAxis> back_a(a.rbegin(), a.rend()), back_b(b.rbegin(), b.rend());
  while (const auto group = next_group(back_a, back_b)) {  // from the back
    tie_group(flow, a.last(group->first), b.last(group->second));
    a = a.first(a.size() - group->first);
    b = b.first(b.size() - group->second);
    back_a.erase(back_a.begin(), back_a.begin() + static_cast<std::ptrdiff_t>(group->first));
    back_b.erase(back_b.begin(), back_b.begin() + static_cast<std::ptrdiff_t>(group->second));
  }
  // What is left: a single axis on both sides is the same one.
  if (a.size() == 1 && b.size() == 1 && a[0].size == b[0].size)
    return flow.tie(a[0].axis, b[0].axis);
  freeze_all(flow, a);
  freeze_all(flow, b);
}

}  // namespace

void tie_reshape(AxisFlow& flow, size_t input, size_t output) {
  tie_reshape(flow, input, output, 0);
}

void tie_reshape(AxisFlow& flow, size_t input, size_t output, size_t leading) {
  if (!flow.has_input(input) || !flow.has_output(output)) return;
  const Shape from = flow.input_shape(input), to = flow.output_shape(output);
  if (std::ranges::count(from, 0) > 0 || std::ranges::count(to, 0) > 0) return;
  std::vector<SizedAxis> a, b;
  for (size_t i = 0; i < from.size(); ++i) {
    const AxisRef axis = flow.input(input, static_cast<int64_t>(i));
    if (i < leading)
      tie_or_freeze(flow, axis, flow.output(output, static_cast<int64_t>(i)));
    else if (from[i] != 1)
      a.push_back({axis, from[i]});
  }
  for (size_t i = leading; i < to.size(); ++i)
    if (to[i] != 1) b.push_back({flow.output(output, static_cast<int64_t>(i)), to[i]});
  tie_groups(flow, a, b);
}

}  // namespace lapidary
