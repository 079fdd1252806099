#include "src/fit/schedule.h"

#include <cmath>

#include "src/base/text.h"

namespace lapidary {

#define LAPIDARY_SCHEDULE(name) const ScheduleDef& schedule_##name();
#include "src/fit/schedules/schedules.def"
#undef LAPIDARY_SCHEDULE

std::span<const ScheduleDef* const> all_schedules() {
  static const std::vector<const ScheduleDef*> kAll = {
#define LAPIDARY_SCHEDULE(name) &schedule_##name(),
#include "src/fit/schedules/schedules.def"
#undef LAPIDARY_SCHEDULE
  };
  return kAll;
}

const ScheduleDef& find_schedule(std::string_view name) {
  std::vector<std::string> names;
  for (const ScheduleDef* def : all_schedules()) {
    if (def->name == name) return *def;
    names.emplace_back(def->name);
  }
  fail_usage("no schedule is called '{}'; there are {}{}", printable(name), fmt::join(names, ", "),
             did_you_mean(name, names));
}

std::vector<NamedHelp> list_schedules() {
  std::vector<NamedHelp> out;
  for (const ScheduleDef* def : all_schedules())
    out.push_back({std::string(def->name), std::string(def->help)});
  return out;
}

ScheduleSpec parse_schedule(const Setting& setting) {
  ScheduleSpec out;
  Setting params;
  if (setting.kind == Setting::Kind::kMap && setting.entries.size() == 1) {
    out.kind = setting.entries[0].first;
    params = setting.entries[0].second;
  } else if (setting.kind == Setting::Kind::kScalar) {
    out.kind = setting.text;
  } else {
    fail_setting(setting, "a schedule is a name, or {{NAME: {{...}}}} with its parameters");
  }
  const ScheduleDef& def =
      with_context([&] { return setting.where(); },
                   [&]() -> const ScheduleDef& { return find_schedule(out.kind); });
  def.make(params);  // checks names, types and ranges
  for (const auto& [name, value] : params.entries)
    out.params[name] = FieldCodec<std::vector<double>>::parse(value, {.name = name});
  return out;
}

Schedule make_schedule(const ScheduleSpec& spec, double lr) {
  if (!(lr >= 0) || !std::isfinite(lr)) fail_usage("a learning rate of {}", lr);
  const LrShape shape = find_schedule(spec.kind).make(to_setting(spec.params));
  return [shape, lr](int64_t step, int64_t total) { return lr * shape(step, total); };
}

double with_warmup(double share, int64_t step, int64_t total, const LrShape& after) {
  const auto warmup = static_cast<int64_t>(std::llround(share * static_cast<double>(total)));
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
  return after(step - warmup, std::max<int64_t>(1, total - warmup));
}

}  // namespace lapidary
