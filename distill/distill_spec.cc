#include "distill/distill_spec.h"

#include "distill/loss.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

constexpr std::string_view kWeight = "weight", kLayers = "layers", kTeacher = "teacher_layers";

void parse_param(const Setting& value, const std::string& name, const DistillDef& def,
                 DistillSpec& out) {
  const Field* known = def.fields().find(name);
  if (known != nullptr) {
    out.params[name] = {known->type == "integer" ? static_cast<double>(parse_integer(value, *known))
                                                 : parse_number(value, *known)};
    return;
  }
  std::vector<std::string> names = def.fields().names();
  for (const std::string_view common : {kWeight, kLayers, kTeacher}) names.emplace_back(common);
  fail_key(value, "unknown key '{}' in '{}'{}", name, out.kind, did_you_mean(name, names));
}

}  // namespace

DistillSpec parse_distill(const Setting& setting) {
  DistillSpec out;
  Setting params;
  if (setting.kind == Setting::Kind::kScalar) {
    out.kind = setting.text;
  } else if (setting.kind == Setting::Kind::kMap && setting.entries.size() == 1) {
    out.kind = setting.entries[0].first;
    params = setting.entries[0].second;
  } else {
    fail_setting(setting,
                 "a loss of distillation is a name, or {{NAME: {{...}}}} with its parameters");
  }
  const DistillDef& def =
      with_context([&] { return setting.where(); },
                   [&]() -> const DistillDef& { return find_distill_loss(out.kind); });
  if (params.kind != Setting::Kind::kNull && params.kind != Setting::Kind::kMap)
    fail_setting(params, "'{}' wants a map of settings", out.kind);
  for (const auto& [name, value] : params.entries) {
    const Field f{.name = name};
    if (name == kWeight)
      out.weight = parse_number(value, f);
    else if (name == kLayers)
      out.layers = FieldCodec<std::vector<std::string>>::parse(value, f);
    else if (name == kTeacher)
      out.teacher_layers = FieldCodec<std::vector<std::string>>::parse(value, f);
    else
      parse_param(value, name, def, out);
  }
  return out;
}

Setting FieldCodec<DistillSpec>::format(const DistillSpec& v) {
  Setting params = to_setting(v.params);
  const auto put = [&](std::string_view name, Setting value) {
    params.entries.emplace_back(name, std::move(value));
  };
  using Names = FieldCodec<std::vector<std::string>>;
  put(kWeight, FieldCodec<double>::format(v.weight));
  if (!v.layers.empty()) put(kLayers, Names::format(v.layers));
  if (!v.teacher_layers.empty()) put(kTeacher, Names::format(v.teacher_layers));
  return Setting::map({{v.kind, std::move(params)}});
}

}  // namespace lapidary
