#pragma once

#include <cstdint>
#include <functional>
#include <numbers>
#include <span>
#include <string_view>

#include "lapidary/train.h"
#include "src/base/params.h"

namespace lapidary {

/// A schedule's learning rate at step 0..total - 1 as a multiple of the highest one.
using LrShape = std::function<double(int64_t step, int64_t total)>;

/// A row of schedules.def.
struct ScheduleDef {
  std::string_view name, help;
  const FieldTable& (*fields)();
  Setting (*defaults)();  ///< of those fields
  /// Throws Error{kUsage} with the setting's place.
  LrShape (*make)(const Setting& params);
};
std::span<const ScheduleDef* const> all_schedules();
/// Throws Error{kUsage} with the closest names.
const ScheduleDef& find_schedule(std::string_view name);

/// `cosine`, or `{step: {every: 0.3}}`.
ScheduleSpec parse_schedule(const Setting& setting);

/// Linear warm-up over the first W = round(share total) steps, (step + 1) / W, then `after` on what
/// remains, counted from its own step 0.
double with_warmup(double share, int64_t step, int64_t total, const LrShape& after);
template <class P>
Field warmup_field(double P::*member) {
  return field("warmup", member, "Share of the steps over which the rate rises linearly")
      .range(0, 0.99);
}

/// From `from` (share 0) to `to` (share 1): to + (from - to) (1 + cos(pi share)) / 2.
inline double cosine_between(double from, double to, double share) {
  return to + (from - to) * (1 + __builtin_cos(std::numbers::pi * share)) / 2;
}

/// A row for a struct that has fields() and `double operator()(int64_t step, int64_t total) const`.
template <class Params>
constexpr ScheduleDef schedule_row(std::string_view name, std::string_view help) {
  return {name, help, &Params::fields,
          [] {
            const Params defaults;
            return unbind(Params::fields(), &defaults);
          },
          [](const Setting& setting) -> LrShape { return bind<Params>(setting); }};
}

template <>
struct FieldCodec<ScheduleSpec> {
  static std::string type() { return "schedule"; }
  static ScheduleSpec parse(const Setting& s, const Field&) { return parse_schedule(s); }
  static Setting format(const ScheduleSpec& v) {
    return Setting::map({{v.kind, to_setting(v.params)}});
  }
};

}  // namespace lapidary
