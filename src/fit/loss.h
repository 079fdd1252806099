#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/train.h"
#include "src/base/params.h"
#include "src/ir/loss_fragment.h"

namespace lapidary {

/// A row of losses.def.
struct LossDef {
  std::string_view name, help;
  /// What it compares with: class numbers (int64, the output's shape without the classes' axis), or
  /// float32 of the output's shape.
  bool classes;
  /// Functions that turn what it wants into the output of a model; it judges what they read.
  std::span<const std::string_view> behind;
  const FieldTable& (*fields)();
  Setting (*defaults)();  ///< of those fields
  /// float32 [N]: the loss of each sample.
  ValueId (*build)(LossFragment& fragment, ValueId output, ValueId target, const Setting& params);
};
std::span<const LossDef* const> all_losses();
/// Throws Error{kUsage} with the closest names.
const LossDef& find_loss(std::string_view name);

/// The keys that every loss has beside its own, rows for a LossSpec.
const FieldTable& loss_term_fields();

/// `cross_entropy`, or `{cross_entropy: {label_smoothing: 0.1, weight: 0.5, output: logits}}`.
LossSpec parse_loss(const Setting& setting);

template <>
struct FieldCodec<LossSpec> {
  static std::string type() { return "loss"; }
  static LossSpec parse(const Setting& s, const Field&) { return parse_loss(s); }
  static Setting format(const LossSpec& v);
};

}  // namespace lapidary
