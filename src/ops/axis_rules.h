#pragma once

#include "src/ops/axis_flow.h"

// Small parts of the rules of AxisFlow that several ops need.

namespace lapidary {

/// Ties axes of one size. Sizes that differ (one of them is not known): freezes both.
void tie_or_freeze(AxisFlow& flow, AxisRef a, AxisRef b);
/// As `tie_or_freeze`, but a `from` of one element is repeated along `to` and says nothing of it.
void tie_broadcast(AxisFlow& flow, AxisRef from, AxisRef to);
/// Axes of `input` broadcast to those of output 0, aligned at the last ones; the last `skip` axes
/// of both are left out.
void tie_broadcast(AxisFlow& flow, size_t input, int64_t skip = 0);
/// Axes of input 0 that are not `dropped` are those of output 0 in order; `keep`: the output has
/// axes of one element in place of the dropped ones.
void tie_kept(AxisFlow& flow, const std::vector<bool>& dropped, bool keep);
/// As tie_reshape, where the first `leading` axes of both are known to be the same, whatever their
/// sizes.
void tie_reshape(AxisFlow& flow, size_t input, size_t output, size_t leading);

/// [begin, begin + count)
std::vector<int64_t> positions(int64_t begin, int64_t count);

/// A list that is input `slot` or attribute `attr`; empty where neither is given, absent where the
/// input is not known.
std::optional<std::vector<int64_t>> read_list(const AxisFlow& flow, std::string_view attr,
                                              size_t slot);
/// Element `index` of that list is the count.
void list_is(AxisFlow& flow, std::string_view attr, size_t slot, int64_t index, KeptCount count);

}  // namespace lapidary
