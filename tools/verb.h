#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tools/cli.h"

namespace lapidary::cli {

/// A verb that is a recipe of one step: MODEL -o OUT with data, and the step's parameters.
struct Verb {
  std::string step;
  std::string model, output;
  std::map<std::string, std::string> data;  ///< DATA by role
  std::vector<std::string> roles = {};      ///< that the command has options for
  bool dry_run = false, external_data = false, no_bench = false, resume = false;
  std::vector<std::string> shapes;
  // What the user gave: the rest has the recipe's defaults.
  nlohmann::ordered_json params = nlohmann::ordered_json::object();  ///< of the step
  nlohmann::ordered_json evaluate = nlohmann::ordered_json::object();
  nlohmann::ordered_json limits = nlohmann::ordered_json::object();
  std::map<std::string, std::string> flags;  ///< of the command line, by key of `params`, `limits`
};

/// The command `step` with the common options, MODEL, -o, --eval, --external-data, --no-bench,
/// --shape, --dry-run, and an option for each of the step's parameters: `hold_mb` is --hold-mb,
/// records are inline YAML. Booleans that are false by default are flags, others take on or off;
/// lists of names are split at commas. `verb` must live as long as the command.
CLI::App* add_verb(CLI::App& app, const char* step, const char* help, Common& common, Verb& verb);
/// --ROLE DATA. `verb` must live as long as the command.
void add_data(CLI::App& sub, Verb& verb, const std::string& role, const std::string& help);
/// Builds the recipe and runs it.
int run_verb(const Verb& verb, const Common& common);

}  // namespace lapidary::cli
