#include "tools/verb.h"

#include <algorithm>

#include "src/base/fail.h"

namespace lapidary::cli {

void add_verb_options(CLI::App& sub, Verb& verb) {
  sub.add_option("model", verb.model, "The ONNX model")->required();
  sub.add_option("-o,--output", verb.output, "Where the result goes; its report lies beside it");
  sub.add_option("--eval", verb.eval, "Data to measure on: a YAML file or an inline record");
  sub.add_flag("--external-data", verb.external_data,
               "Weights go into OUT.onnx.data beside the result");
  sub.add_flag("--no-bench", verb.no_bench, "Do not time the models");
  sub.add_option("--shape", verb.shapes, "Time with that: NAME=1x3x224x224, where sizes are open");
  sub.add_flag("--dry-run", verb.dry_run, "Check everything and say what would happen");
}

namespace {

/// The recipe's words as the user typed them: `'hold_mb' is 0` -> `--hold-mb is 0`.
Error in_flags(const Error& error, const Verb& verb) {
  constexpr std::pair<const char*, const char*> kOther[] = {{"max_accuracy_drop", "--max-drop"},
                                                            {"min_sqnr_db", "--min-sqnr"}};
  const std::string& said = error.message();
  const size_t end = said.starts_with('\'') ? said.find('\'', 1) : std::string::npos;
  if (end == std::string::npos || !error.context().empty()) return error;
  const std::string key = said.substr(1, end - 1);
  if (!verb.params.contains(key) && !verb.limits.contains(key)) return error;
  std::string flag = "--" + key;
  std::replace(flag.begin(), flag.end(), '_', '-');
  for (const auto& [name, other] : kOther)
    if (key == name) flag = other;
  return Error(error.code(), flag + said.substr(end + 1));
}

Recipe parse_recipe(const std::string& text, const Verb& verb) {
  try {
    return Recipe::parse(text);
  } catch (const Error& error) {
    throw in_flags(error, verb);
  }
}

}  // namespace

int run_verb(const std::string& step, const Verb& verb, const Common& common) {
  if (verb.output.empty() && !verb.dry_run) fail_usage("give the result's name: -o OUT.onnx");
  nlohmann::ordered_json recipe = {{"lapidary", 1}, {"model", verb.model}, {"seed", common.seed}};
  if (!verb.calib.empty()) recipe["data"]["calib"] = verb.calib;
  if (!verb.eval.empty()) recipe["data"]["eval"] = verb.eval;
  recipe["steps"] = nlohmann::ordered_json::array({{{step, verb.params}}});
  if (!verb.evaluate.empty()) recipe["evaluate"] = verb.evaluate;
  if (verb.no_bench) recipe["evaluate"]["bench"] = nullptr;
  if (!verb.limits.empty()) recipe["limits"] = verb.limits;
  if (verb.external_data) recipe["external_data"] = true;
  return run_and_print(parse_recipe(recipe.dump(), verb),
                       {.model_output = verb.output,
                        .input_shapes = parse_shapes(verb.shapes),
                        .dry_run = verb.dry_run},
                       common);
}

}  // namespace lapidary::cli
