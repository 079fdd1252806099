#include <ATen/core/Reduction.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/nll_loss_nd.h>
#include <ATen/ops/softmax.h>

#include "src/train/lowering.h"

// Softmax and the losses on classes. Classes are axis 1; labels lack it.

namespace lapidary::train {

namespace {

int64_t reduction(const AttrView& attrs) {
  const std::string kind = attrs.get_string("reduction", "mean");
  return kind == "none"  ? at::Reduction::None
         : kind == "sum" ? at::Reduction::Sum
                         : at::Reduction::Mean;
}

at::Tensor loss_of(LowerContext& c, const at::Tensor& log_probabilities) {
  // Without the attribute no label is ignored: one outside the classes is an error.
  const int64_t ignored = c.attrs().get_int("ignore_index", std::numeric_limits<int64_t>::min());
  return at::nll_loss_nd(log_probabilities, c.input(1).to(at::kLong), c.optional(2),
                         reduction(c.attrs()), ignored);
}

}  // namespace

Outputs lower_softmax(LowerContext& c) {
  return {at::softmax(c.input(0), c.attrs().get_int("axis", -1))};
}

Outputs lower_log_softmax(LowerContext& c) {
  return {at::log_softmax(c.input(0), c.attrs().get_int("axis", -1))};
}

/// The loss and log softmax(x).
Outputs lower_softmax_cross_entropy(LowerContext& c) {
  const at::Tensor log_probabilities = at::log_softmax(c.input(0), 1);
  return {loss_of(c, log_probabilities), log_probabilities};
}

Outputs lower_negative_log_likelihood(LowerContext& c) { return {loss_of(c, c.input(0))}; }

}  // namespace lapidary::train
