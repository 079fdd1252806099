#include "tools/verb.h"

#include "src/base/fail.h"

namespace lapidary::cli {

void add_verb_options(CLI::App& sub, Verb& verb) {
  sub.add_option("model", verb.model, "The ONNX model")->required();
  sub.add_option("-o,--output", verb.output, "Where the result goes; its report lies beside it");
  sub.add_option("--eval", verb.eval, "Data to measure on: a YAML file or an inline record");
  sub.add_flag("--external-data", verb.external_data, "Weights go into OUT.onnx.data beside the result");
  sub.add_flag("--dry-run", verb.dry_run, "Check everything and say what would happen");
}

int run_verb(const std::string& step, const Verb& verb, const Common& common) {
  if (verb.output.empty() && !verb.dry_run) fail_usage("give the result's name: -o OUT.onnx");
  nlohmann::ordered_json recipe = {{"lapidary", 1}, {"model", verb.model}, {"seed", common.seed}};
  if (!verb.calib.empty()) recipe["data"]["calib"] = verb.calib;
  if (!verb.eval.empty()) recipe["data"]["eval"] = verb.eval;
  recipe["steps"] = nlohmann::ordered_json::array({{{step, verb.params}}});
  if (!verb.evaluate.empty()) recipe["evaluate"] = verb.evaluate;
  if (!verb.limits.empty()) recipe["limits"] = verb.limits;
  if (verb.external_data) recipe["external_data"] = true;
  return run_and_print(Recipe::parse(recipe.dump()),
                       {.model_output = verb.output, .dry_run = verb.dry_run}, common);
}

}  // namespace lapidary::cli
