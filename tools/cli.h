#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/lapidary.h"

namespace lapidary::cli {

/// What every command takes.
struct Common {
  int threads = 0;
  uint64_t seed = 0;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::string color = "auto";
  std::string isa;

  /// ANSI colours on stdout: asked for, or a terminal and NO_COLOR unset.
  bool use_color() const;
  /// Applies --threads and --isa.
  void apply() const;
  /// Progress and messages on stderr.
  LogSink log() const;
  /// What a data set had to say, once it was read.
  void warn_about(const Dataset& data) const;
};

/// What the chosen command does, after parsing; returns the exit code.
using Action = std::function<int()>;

/// A row of commands.def: adds one subcommand to `app`; its callback sets `action`.
using AddCommand = void (*)(CLI::App& app, Common& common, Action& action);

/// A subcommand with the common options; `threads` false: without --threads, which it has in a form
/// of its own.
CLI::App* add_command(CLI::App& app, const char* name, const char* help, Common& common,
                      bool threads = true);

/// What floats are computed in: --bf16, --fp16, --fp16-semantics.
struct FloatOptions {
  bool bf16 = false, fp16 = false;
  std::string fp16_semantics;
  /// Throws Error{kUsage} where they contradict each other.
  FloatArithmetic arithmetic() const;
};
void add_float_options(CLI::App& command, FloatOptions& options);

/// "x=1x3x224x224" -> {"x": [1,3,224,224]}, "N=8" -> {"N": [8]}; throws Error{kUsage}.
std::map<std::string, Shape> parse_shapes(const std::vector<std::string>& texts);

/// A model that a command reads while it writes `output`, which must be none of the model's files.
Graph load_beside(const std::string& model, const std::string& output);

/// Prints one JSON object and a newline on stdout.
void print_json(const nlohmann::ordered_json& object);
/// Prints text on stdout.
void print(const std::string& text);
/// Prints what a command found: the object with --json, else the text.
void emit(const Common& common, const nlohmann::ordered_json& object, const std::string& text);

/// Runs a recipe and prints its report; exit code 0, 5, or 130 or 143 where a signal stopped it.
int run_and_print(const Recipe& recipe, RunOptions options, const Common& common);

}  // namespace lapidary::cli
