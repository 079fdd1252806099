#include <fmt/format.h>

#include "tools/cli.h"
#include "tools/shapes.h"

namespace lapidary::cli {

void add_run(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string recipe, out;
    std::vector<std::string> sets, shapes;
    bool dry_run = false, external_data = false, resume = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "run", "Runs a recipe", common);
  sub->add_option("recipe", o->recipe, "The recipe (YAML)")->required();
  sub->add_option("--set", o->sets, "Change a setting: steps.quantize.target=tensorrt");
  sub->add_option("--out", o->out, "Folder for the results, instead of the recipe's");
  sub->add_flag("--external-data", o->external_data,
                "Weights go into FILE.onnx.data beside each result");
  add_shapes(*sub, o->shapes, "Sizes to time with,");
  sub->add_flag("--dry-run", o->dry_run, "Check everything and say what would happen");
  sub->add_flag("--resume", o->resume,
                "Steps that train go on from their checkpoints in the results' folder");
  sub->callback([o, sub, &common, &action] {
    action = [o, sub, &common] {
      if (o->external_data) o->sets.emplace_back("external_data=true");
      if (sub->count("--seed") > 0) o->sets.push_back(fmt::format("seed={}", common.seed));
      return run_and_print(Recipe::load(o->recipe, o->sets),
                           {.output = o->out,
                            .input_shapes = parse_shapes(o->shapes),
                            .dry_run = o->dry_run,
                            .resume = o->resume},
                           common);
    };
  });
}

}  // namespace lapidary::cli
