#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "lapidary/prune.h"
#include "src/base/params.h"

namespace lapidary::prune {

/// What a step multiplies the elements of a block with, by their 2-norm; below 0 counts as 0.
using Shrink = std::function<double(double norm, double lr, int64_t step)>;

/// A row of regularizers.def: one small file in regularizers/.
struct Regularizer {
  std::string_view name, help;
  /// It acts on gains of normalizations, each a block; else a block is all that training changes of
  /// a unit. An element of several blocks is multiplied by what each asks for.
  bool gains;
  bool needs_units;
  const FieldTable& (*fields)();
  Setting (*defaults)();  ///< of those fields
  /// Throws Error{kUsage} with the setting's place.
  Shrink (*make)(double strength, const Setting& params);
};
std::span<const Regularizer* const> all_regularizers();
/// Throws Error{kUsage} with the closest names.
const Regularizer& find_regularizer(std::string_view name);

/// A row for a struct that has fields() and
/// `double operator()(double strength, double norm, double lr, int64_t step) const`.
template <class Params>
Regularizer regularizer_row(std::string_view name, std::string_view help, bool gains = false,
                            bool needs_units = false) {
  return {name,
          help,
          gains,
          needs_units,
          &Params::fields,
          [] {
            const Params defaults;
            return unbind(Params::fields(), &defaults);
          },
          [](double strength, const Setting& setting) -> Shrink {
            return
                [strength, params = bind<Params>(setting)](double norm, double lr, int64_t step) {
                  return params(strength, norm, lr, step);
                };
          }};
}

}  // namespace lapidary::prune

namespace lapidary {

/// The keys that every regularizer has beside its own, rows for a RegularizerSpec.
const FieldTable& regularizer_fields();

/// `slimming`, or `{growing: {strength: 0.001, every: 10}}`.
RegularizerSpec parse_regularizer(const Setting& setting);

template <>
struct FieldCodec<RegularizerSpec> {
  static std::string type() { return "regularizer"; }
  static RegularizerSpec parse(const Setting& s, const Field&) { return parse_regularizer(s); }
  static Setting format(const RegularizerSpec& v);
};

}  // namespace lapidary
