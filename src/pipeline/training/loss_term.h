#pragma once

#include <variant>

#include "distill/distill_spec.h"
#include "src/fit/loss.h"

namespace lapidary {

/// One entry of `losses`: what the labels say, or what a teacher does.
struct LossTerm {
  std::variant<LossSpec, DistillSpec> spec;

  bool reads_labels() const;
  /// Compares the samples of a batch with each other: of several processes each its own part.
  bool among_samples() const;
  bool teaches() const { return std::holds_alternative<DistillSpec>(spec); }
};

template <>
struct FieldCodec<LossTerm> {
  static std::string type() { return "loss"; }
  static LossTerm parse(const Setting& s, const Field& f);
  static Setting format(const LossTerm& v);
};

}  // namespace lapidary
