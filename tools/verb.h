#pragma once

#include <memory>
#include <string>

#include "tools/cli.h"

namespace lapidary::cli {

/// A verb that is a recipe of one step: MODEL -o OUT with data, and the step's parameters.
struct Verb {
  std::string model, output, calib, eval;
  bool dry_run = false, external_data = false, no_bench = false;
  std::vector<std::string> shapes;
  nlohmann::ordered_json params = nlohmann::ordered_json::object();  ///< of the step
  nlohmann::ordered_json evaluate = nlohmann::ordered_json::object();
  nlohmann::ordered_json limits = nlohmann::ordered_json::object();
};

/// Adds MODEL, -o, --eval, --external-data, --no-bench, --shape and --dry-run to `sub`.
void add_verb_options(CLI::App& sub, Verb& verb);
/// Builds the recipe and runs it.
int run_verb(const std::string& step, const Verb& verb, const Common& common);

}  // namespace lapidary::cli
