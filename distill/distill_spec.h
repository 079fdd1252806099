#pragma once

#include <string>

#include "lapidary/distill.h"
#include "src/base/params.h"

namespace lapidary {

/// The keys that every loss of distillation has beside its own, rows for a DistillSpec.
const FieldTable& distill_term_fields();

/// `kd`, or `{kd: {temperature: 2, weight: 0.5, layers: [a, b], teacher_layers: [c, d]}}`.
DistillSpec parse_distill(const Setting& setting);

template <>
struct FieldCodec<DistillSpec> {
  static std::string type() { return "distillation loss"; }
  static DistillSpec parse(const Setting& s, const Field&) { return parse_distill(s); }
  static Setting format(const DistillSpec& v);
};

}  // namespace lapidary
