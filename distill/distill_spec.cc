#include "distill/distill_spec.h"

#include "distill/loss.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

void parse_param(const Setting& value, const std::string& name, const DistillDef& def,
                 DistillSpec& out) {
  if (const Field* shared = distill_term_fields().find(name))
    return shared->set(&out, value, *shared);
  const Field* known = def.fields().find(name);
  if (known != nullptr) {
    out.params[name] = {known->type == "integer" ? static_cast<double>(parse_integer(value, *known))
                                                 : parse_number(value, *known)};
    return;
  }
  std::vector<std::string> names = def.fields().names();
  for (const std::string& common : distill_term_fields().names()) names.push_back(common);
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
  for (const auto& [name, value] : params.entries) parse_param(value, name, def, out);
  return out;
}

const FieldTable& distill_term_fields() {
  using S = DistillSpec;
  static const FieldTable kTable{
      "distillation loss",
      {field("weight", &S::weight, "What the term is multiplied by in the sum").range(0, 1e9),
       field("layers", &S::layers,
             "Values of the student, names or globs; empty: the outputs, for losses of outputs"),
       field("teacher_layers", &S::teacher_layers,
             "The teacher's values, one for each of `layers`; empty: the same names")}};
  return kTable;
}

Setting FieldCodec<DistillSpec>::format(const DistillSpec& v) {
  Setting params = to_setting(v.params);
  const auto put = [&](std::string_view name, Setting value) {
    params.entries.emplace_back(name, std::move(value));
  };
  using Names = FieldCodec<std::vector<std::string>>;
  put("weight", FieldCodec<double>::format(v.weight));
  if (!v.layers.empty()) put("layers", Names::format(v.layers));
  if (!v.teacher_layers.empty()) put("teacher_layers", Names::format(v.teacher_layers));
  return Setting::map({{v.kind, std::move(params)}});
}

}  // namespace lapidary
