#include <cmath>
#include <nlohmann/json.hpp>

#include "lapidary/recipe.h"
#include "src/data/spec.h"
#include "src/pipeline/recipe_impl.h"

namespace lapidary {

namespace {

using nlohmann::ordered_json;

ordered_json record_schema(const FieldTable& table, int depth);

ordered_json type_schema(const Field& f, std::string_view type, int depth) {
  if (type.starts_with("list of ")) {
    const ordered_json item = type_schema(f, type.substr(8), depth);
    return {{"anyOf", {item, {{"type", "array"}, {"items", item}}}}};
  }
  if (type.starts_with("map of "))
    return {{"type", "object"}, {"additionalProperties", type_schema(f, type.substr(7), depth)}};
  if (type == "record")
    return f.record && depth < 4 ? record_schema(f.record(), depth + 1)
                                 : ordered_json{{"type", "object"}};
  ordered_json out = ordered_json::object();
  if (type == "boolean" || type == "integer" || type == "number" || type == "string")
    out["type"] = std::string(type);
  if (std::isfinite(f.min)) out["minimum"] = f.min;
  if (std::isfinite(f.max)) out["maximum"] = f.max;
  for (const std::string& choice : f.choices)
    out["enum"].push_back(type == "integer" ? ordered_json(std::stoll(choice))
                                            : ordered_json(choice));
  return out;
}

ordered_json record_schema(const FieldTable& table, int depth) {
  ordered_json properties = ordered_json::object(), required = ordered_json::array();
  for (const Field& f : table.fields) {
    properties[f.name] = type_schema(f, f.type, depth);
    properties[f.name]["description"] = f.help;
    if (f.required) required.push_back(f.name);
  }
  ordered_json out = {
      {"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  if (!required.empty()) out["required"] = required;
  return out;
}

ordered_json data_schema() {
  const ordered_json record = {
      {"anyOf", {{{"type", "string"}}, record_schema(dataset_fields(), 0)}}};
  ordered_json properties;
  for (const char* role : {"calib", "train", "eval"}) properties[role] = record;
  return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
}

ordered_json steps_schema() {
  ordered_json kinds = ordered_json::array();
  for (const StepDef* def : all_steps()) {
    const std::string name(def->name);
    ordered_json params = record_schema(def->fields(), 0);
    params["type"] = {"object", "null"};
    params["description"] = std::string(def->help);
    kinds.push_back({{"type", "object"},
                     {"properties", {{name, params}, {"name", {{"type", "string"}}}}},
                     {"required", {name}},
                     {"additionalProperties", false}});
  }
  return {{"type", "array"}, {"items", {{"oneOf", kinds}}}};
}

}  // namespace

std::string recipe_schema() {
  ordered_json schema = record_schema(RecipeParams::fields(), 0);
  ordered_json out = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                      {"title", "Lapidary recipe"}};
  out.update(schema);
  out["properties"]["data"] = data_schema();
  out["properties"]["steps"] = steps_schema();
  return out.dump(2) + "\n";
}

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
