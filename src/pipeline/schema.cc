#include <cmath>
#include <nlohmann/json.hpp>

#include "lapidary/recipe.h"
#include "src/data/spec.h"
#include "src/pipeline/recipe_impl.h"
#include "src/pipeline/variants.h"

namespace lapidary {

namespace {

using nlohmann::ordered_json;

/// Records stand once each in `$defs`, by the name of their table: they may hold one another.
class Schema {
 public:
  ordered_json recipe() {
    ordered_json out = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                        {"title", "Lapidary recipe"}};
    out.update(record(RecipeParams::fields()));
    out["properties"]["data"] = data();
    out["properties"]["steps"] = steps();
    out["$defs"] = std::move(defs_);
    return out;
  }

 private:
  ordered_json reference(const FieldTable& table) {
    if (!defs_.contains(table.name)) {
      defs_[table.name] = nullptr;  // met again inside itself
      ordered_json schema = record(table);
      defs_[table.name] = std::move(schema);
    }
    return {{"$ref", "#/$defs/" + table.name}};
  }

  ordered_json type(const Field& f, std::string_view name) {
    if (name.starts_with("list of ")) {
      const ordered_json item = type(f, name.substr(8));
      return {{"anyOf", {item, {{"type", "array"}, {"items", item}}}}};
    }
    if (name.starts_with("map of "))
      return {{"type", "object"}, {"additionalProperties", type(f, name.substr(7))}};
    if (name == "record")
      return f.record ? reference(f.record()) : ordered_json{{"type", "object"}};
    if (const VariantType* variants = find_variant_type(name)) return reference(*variants);
    ordered_json out = ordered_json::object();
    if (name == "boolean" || name == "integer" || name == "number" || name == "string")
      out["type"] = std::string(name);
    if (std::isfinite(f.min)) out["minimum"] = f.min;
    if (std::isfinite(f.max)) out["maximum"] = f.max;
    for (const std::string& choice : f.choices)
      out["enum"].push_back(name == "integer" ? ordered_json(std::stoll(choice))
                                              : ordered_json(choice));
    return out;
  }

  ordered_json reference(const VariantType& variants) {
    const std::string name(variants.type);
    if (!defs_.contains(name)) defs_[name] = schema_of(variants);
    return {{"$ref", "#/$defs/" + name}};
  }

  /// NAME, or a map of one key.
  ordered_json schema_of(const VariantType& variants) {
    ordered_json names = ordered_json::array(), below = ordered_json::object();
    for (const Variant& variant : variants.all()) {
      names.push_back(variant.name);
      ordered_json value = variants.amount ? type(variant.fields[0], variant.fields[0].type)
                                           : record({variant.name, variant.fields});
      if (!variants.amount) value["type"] = {"object", "null"};
      value["description"] = variant.help;
      below[variant.name] = std::move(value);
    }
    const ordered_json map = {{"type", "object"},
                              {"properties", below},
                              {"additionalProperties", false},
                              {"minProperties", 1},
                              {"maxProperties", 1}};
    return variants.amount ? map : ordered_json{{"anyOf", {{{"enum", names}}, map}}};
  }

  ordered_json record(const FieldTable& table) {
    ordered_json properties = ordered_json::object(), required = ordered_json::array();
    for (const Field& f : table.fields) {
      properties[f.name] = type(f, f.type);
      properties[f.name]["description"] = f.help;
      if (f.required) required.push_back(f.name);
    }
    ordered_json out = {
        {"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
    if (!required.empty()) out["required"] = required;
    return out;
  }

  ordered_json data() {
    const ordered_json either = {{"anyOf", {{{"type", "string"}}, reference(dataset_fields())}}};
    ordered_json properties;
    for (const char* role : kDataRoles) properties[role] = either;
    return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  }

  ordered_json steps() {
    ordered_json kinds = ordered_json::array();
    const ordered_json step_name = {{"type", "string"}, {"description", kStepNameHelp}};
    for (const StepDef* def : all_steps()) {
      const std::string name(def->name);
      ordered_json params = record(def->fields());
      params["type"] = {"object", "null"};
      params["description"] = std::string(def->help);
      kinds.push_back({{"type", "object"},
                       {"properties", {{name, params}, {"name", step_name}}},
                       {"required", {name}},
                       {"additionalProperties", false}});
    }
    return {{"type", "array"}, {"items", {{"oneOf", kinds}}}};
  }

  ordered_json defs_ = ordered_json::object();
};

}  // namespace

std::string recipe_schema() { return Schema().recipe().dump(2) + "\n"; }

std::string recipe_template() {
  return R"(lapidary: 1                       # version of this format
model: model.onnx
output: out                       # folder for model.onnx, report.html, ...
seed: 0
data:
  calib: {kind: images, path: calib/, resize: 256, crop: 224, scale: 0.00392156862745098,
          mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], limit: 200}
  eval:  {kind: images, path: val/, labels: val/labels.csv, resize: 256, crop: 224,
          scale: 0.00392156862745098, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
steps:
  - quantize: {target: onnxruntime-cpu, calibrator: auto}
evaluate: {bench: {threads: [1]}}
limits: {max_drop_points: {top1: 1.0}}      # missed: exit code 5
)";
}

}  // namespace lapidary
