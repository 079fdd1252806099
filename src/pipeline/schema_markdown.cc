#include <algorithm>
#include <set>

#include "lapidary/recipe.h"
#include "src/base/text.h"
#include "src/data/spec.h"
#include "src/pipeline/recipe_impl.h"
#include "src/pipeline/variants.h"

namespace lapidary {

namespace {

std::string cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2)
    text.insert(at, "\\");
  return text;
}

/// Of scalars and lists; what is absent, empty or a record has none.
std::string default_text(const Setting& value) {
  if (value.kind == Setting::Kind::kScalar && !value.text.empty()) return "`" + value.text + "`";
  if (value.kind != Setting::Kind::kList || value.items.empty()) return {};
  std::vector<std::string> items;
  for (const Setting& item : value.items) items.push_back(item.text);
  return fmt::format("`[{}]`", fmt::join(items, ", "));
}

std::string type_text(const Field& f) {
  if (!f.choices.empty()) {
    const char* list = f.type.starts_with("list of ") ? "list of " : "";
    return fmt::format("{}`{}`", list, fmt::join(f.choices, "`, `"));
  }
  // Text that is bound later, by a table of its own.
  std::string out = f.type == "setting" ? "map" : f.type == "list of setting" ? "list" : f.type;
  for (const VariantType& variants : variant_types())
    if (out.ends_with(variants.type))
      out = out.substr(0, out.size() - variants.type.size()) +
            fmt::format("[{}](#{})", variants.type, variants.anchor);
  const std::string range = parameter_info(f, nullptr).range;
  return range.empty() ? out : out + " " + range;
}

std::string row_text(const std::string& name, const Field& f, const Setting* value) {
  const std::string initial = f.required         ? "required"
                              : value != nullptr ? default_text(*value)
                                                 : "";
  return fmt::format("| {}`{}` | {} | {} | {} |\n", name, f.name, cell(type_text(f)), cell(initial),
                     cell(f.help));
}

/// "`epochs` is `5`, `teacher` has none": where defaults differ from those of `like`.
std::string differences(const Setting& like, const Setting& values) {
  std::vector<std::string> out;
  for (const auto& [key, value] : values.entries) {
    const std::string now = default_text(value);
    if (now == default_text(*like.find(key))) continue;
    out.push_back(now.empty() ? fmt::format("`{}` has none", key)
                              : fmt::format("`{}` is {}", key, now));
  }
  return fmt::format("{}", fmt::join(out, ", "));
}

/// Sections in the order in which the tables name one another, each once.
class Sections {
 public:
  /// `values`: the defaults, a map.
  void add(const std::string& title, const std::string& intro, const FieldTable& table,
           const Setting& values) {
    if (!seen_.insert(table.name).second) return;
    out_ += fmt::format("\n## {}\n\n{}\n\n| key | type | default | |\n| --- | --- | --- | --- |\n",
                        title, intro);
    for (const Field& f : table.fields) out_ += row_text("", f, values.find(f.name));
    for (const Field& f : table.fields) {
      if (!f.record) continue;
      const Setting* value = values.find(f.name);
      add(fmt::format("`{}`", f.name), fmt::format("`{}` of `{}`: {}.", f.name, table.name, f.help),
          f.record(), value != nullptr ? *value : Setting{});
    }
  }
  void add_text(const std::string& text) { out_ += text; }
  std::string text() && { return std::move(out_); }

 private:
  std::string out_;
  std::set<std::string> seen_;
};

}  // namespace

std::string variants_markdown(std::string_view type) {
  const VariantType& variants = *find_variant_type(type);
  if (variants.amount) {
    std::string out = "| name | amount | |\n| --- | --- | --- |\n";
    for (const Variant& variant : variants.all())
      out += fmt::format("| `{}` | {} | {} |\n", variant.name, cell(type_text(variant.fields[0])),
                         cell(variant.help));
    return out;
  }
  std::string out = "| name | key | type | default | |\n| --- | --- | --- | --- | --- |\n";
  for (const Variant& variant : variants.all()) {
    out += fmt::format("| `{}` | | | | {} |\n", variant.name, cell(variant.help));
    for (const Field& f : variant.fields) out += row_text("| ", f, variant.defaults.find(f.name));
  }
  return out;
}

std::string recipe_markdown() {
  Sections sections;
  const RecipeParams recipe;
  sections.add("Recipe", "The top level of the file.", RecipeParams::fields(),
               unbind(RecipeParams::fields(), &recipe));
  DatasetSpec data;
  data.letterbox.emplace();
  sections.add("Data records",
               "Each of `data: {calib: ..., train: ..., eval: ...}`: such a map, or the name of a "
               "YAML file that holds one. [data.md](data.md) says what they mean.",
               dataset_fields(), unbind(dataset_fields(), &data));
  std::vector<std::string_view> kinds;
  for (const StepDef* def : all_steps()) kinds.push_back(def->name);
  sections.add_text(fmt::format(
      "\n## Steps\n\nEach entry of `steps` is a map with one key, the step's kind (`{}`), which "
      "holds its\nparameters. Beside the kind, not among the parameters, may stand:\n\n"
      "| key | type | default | |\n| --- | --- | --- | --- |\n| `name` | string | the kind | {} "
      "|\n\n"
      "```yaml\nsteps:\n  - quantize: {{calibrator: minmax}}\n  - name: again\n"
      "    quantize: {{calibrator: entropy, requantize: true}}\n```\n",
      fmt::join(kinds, "`, `"), cell(std::string(kStepNameHelp))));
  std::vector<const StepDef*> shown;
  for (const StepDef* def : all_steps()) {
    const std::string title = fmt::format("Step `{}`", def->name),
                      intro = fmt::format("`steps: [{{{}: {{...}}}}]`. {}.", def->name, def->help);
    const Setting defaults = def->make({})->params();
    const auto same = std::find_if(shown.begin(), shown.end(), [&](const StepDef* other) {
      return other->fields().names() == def->fields().names();
    });
    if (same == shown.end()) {
      sections.add(title, intro, def->fields(), defaults);
      shown.push_back(def);
    } else {
      sections.add_text(
          fmt::format("\n## {}\n\n{} The keys are those of `{}`; of the defaults {}.\n", title,
                      intro, (*same)->name, differences((*same)->make({})->params(), defaults)));
    }
  }
  for (const VariantType& variants : variant_types())
    sections.add_text(fmt::format("\n## {}\n\n{}\n\n{}", variants.title, variants.form,
                                  variants_markdown(variants.type)));
  return "# Keys of recipes\n\n"
         "This page is the output of `lapidary recipe schema --markdown`: the tables that parse "
         "recipes, check them and make\nthe command line's options (`hold_mb` is `--hold-mb`). "
         "Editors read the same as JSON Schema:\n[configs/recipe.schema.json]"
         "(../configs/recipe.schema.json). Unknown keys are refused. A list of one may stand "
         "without\nits brackets.\n" +
         std::move(sections).text();
}

}  // namespace lapidary
