#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/ops/opdef.h"

// How the elements of a node's axes depend on each other: what a tool that removes channels must
// know. A rule (OpDef::axes) states equations; whoever solves them (prune/) decides what may go.

namespace lapidary {

/// An axis of one of a node's tensors, or one that a rule made (AxisFlow::local).
struct AxisRef {
  uint32_t id = 0;
};

/// factor * (how many elements of `axis` in [begin, end) are kept). end < 0: to the axis's end.
struct KeptCount {
  AxisRef axis;
  int64_t begin = 0, end = -1;
  int64_t factor = 1;
};

/// What a row's `axes` sees and says. An input or output axis that a rule does not name may not
/// change: it is frozen. Axes of one element and axes of unknown size (-1) never change, whatever
/// is said of them. Ranks of all tensors are known when a rule is called.
class AxisFlow {
 public:
  AxisFlow(AttrView attrs) : attrs_(attrs) {}
  virtual ~AxisFlow() = default;
  AxisFlow(const AxisFlow&) = delete;
  AxisFlow& operator=(const AxisFlow&) = delete;

  const AttrView& attrs() const { return attrs_; }
  int version() const { return attrs_.version(); }

  // -- the node's tensors
  virtual size_t input_count() const = 0;
  virtual size_t output_count() const = 0;
  virtual bool has_input(size_t i) const = 0;
  virtual bool has_output(size_t i) const = 0;
  /// Sizes, -1 where unknown; of a present input or output.
  virtual const Shape& input_shape(size_t i) const = 0;
  virtual const Shape& output_shape(size_t i) const = 0;
  int64_t input_rank(size_t i) const { return static_cast<int64_t>(input_shape(i).size()); }
  int64_t output_rank(size_t i) const { return static_cast<int64_t>(output_shape(i).size()); }
  /// Integer elements where all are known, by constants or by inference.
  virtual std::optional<std::vector<int64_t>> ints(size_t input) const = 0;

  // -- axes; negative numbers count from the end
  virtual AxisRef input(size_t i, int64_t axis) = 0;
  virtual AxisRef output(size_t i, int64_t axis) = 0;
  /// An axis that no tensor has: convolution groups, heads.
  virtual AxisRef local(int64_t size) = 0;
  virtual int64_t size(AxisRef axis) const = 0;

  // -- equations
  /// Element k of one is kept exactly where element k of the other is. Sizes must be equal.
  virtual void tie(AxisRef a, AxisRef b) = 0;
  /// Element at_a[k] of a with element at_b[k] of b. Elements that are not listed stay free.
  virtual void tie(AxisRef a, std::span<const int64_t> at_a, AxisRef b,
                   std::span<const int64_t> at_b) = 0;
  /// Row-major: element (i, j, ...) of `whole` is kept exactly where i, j, ... of the factors all
  /// are. The size of `whole` is the product of theirs.
  virtual void multiply(AxisRef whole, std::span<const AxisRef> factors) = 0;
  void multiply(AxisRef whole, std::initializer_list<AxisRef> factors) {
    multiply(whole, std::span(factors.begin(), factors.size()));
  }
  /// Elements may go; nothing else of the node follows.
  virtual void leave(AxisRef axis) = 0;
  /// As `leave`, where the node sums over the axis: an element that is zero adds nothing.
  virtual void sums(AxisRef axis) = 0;
  /// No element may go.
  virtual void freeze(AxisRef axis, std::string_view reason) = 0;
  /// Without an element others come out different, even where it was zero (Softmax, means).
  virtual void lossy(AxisRef axis, std::string_view reason) = 0;

  // -- numbers that follow
  /// Attribute `name` (its element `index` where it is a list) is the count.
  virtual void attr_is(std::string_view name, int64_t index, KeptCount count) = 0;
  /// Element `index` (flat) of an integer input is the count, whatever it was computed from.
  virtual void input_is(size_t input, int64_t index, KeptCount count) = 0;
  /// Element `index` of an integer output tells the size of `axis`: readers must go on seeing what
  /// it was, unless told otherwise by input_is.
  virtual void output_tells(size_t output, int64_t index, AxisRef axis) = 0;

 private:
  AttrView attrs_;
};

// -- rules that ops share

/// Every axis of output 0 is the broadcast of the inputs' (all inputs, or those listed), aligned at
/// the last axes.
void tie_elementwise(AxisFlow& flow);
void tie_elementwise(AxisFlow& flow, std::span<const size_t> inputs);
/// Axes of `input` and of `output` of equal rank are one to one.
void tie_same(AxisFlow& flow, size_t input, size_t output);
/// The same but for `axes` (not negative), of which nothing is said.
void tie_all_but(AxisFlow& flow, size_t input, size_t output, std::span<const int64_t> axes);
/// The op orders elements row-major as before under other sizes: axes are matched by cumulative
/// products; one that is cut across freezes all that it is cut from.
void tie_reshape(AxisFlow& flow, size_t input, size_t output);
/// A per-axis parameter of one dimension (scale, zero point) goes with `axis`; a single one, or
/// blocks, do not.
void tie_parameter(AxisFlow& flow, size_t input, AxisRef axis);

}  // namespace lapidary
