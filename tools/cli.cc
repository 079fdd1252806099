#include "tools/cli.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "src/base/fail.h"
#include "src/base/file.h"
#include "src/onnx/model_files.h"
#include "tools/progress.h"
#include "tools/rank.h"
#include "tools/stop.h"

namespace lapidary::cli {

bool Common::use_color() const {
  if (color != "auto") return color == "always";
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) && (no_color == nullptr || *no_color == '\0');
}

void Common::apply() const {
  if (threads > 0) set_thread_count(threads);
  if (!isa.empty()) set_isa_cap(isa_from_name(isa));
  isa_cap();  // an impossible LAPIDARY_ISA is told before any work
}

void Common::warn_about(const Dataset& data) const {
  const LogSink sink = log();
  for (const std::string& warning : data.warnings()) sink.warn(warning);
  for (const SkippedSample& s : data.skipped())
    sink.warn(fmt::format("sample skipped: {}: {}", s.source, s.reason));
}

LogSink Common::log() const {
  if (quiet) return {};
  auto printer = std::make_shared<ProgressPrinter>(verbose);
  return {[printer](LogLevel level, const std::string& text) { printer->message(level, text); },
          [printer](const Progress& progress) { printer->progress(progress); }};
}

CLI::App* add_command(CLI::App& app, const char* name, const char* help, Common& common,
                      bool threads) {
  CLI::App* sub = app.add_subcommand(name, help);
  if (threads)
    sub->add_option("--threads", common.threads, "Threads (default: all this process may use)")
        ->check(CLI::Range(1, 1024));
  sub->add_option("--seed", common.seed, "Of everything random: a whole number from 0")
      ->check(CLI::Validator(
          [](const std::string& text) {
            return text.starts_with('-') ? text + " is below 0" : std::string();
          },
          ""));
  sub->add_flag("--json", common.json, "One JSON object on stdout, nothing else there");
  sub->add_flag("-q,--quiet", common.quiet, "No progress");
  sub->add_flag("-v,--verbose", common.verbose, "More messages");
  sub->add_option("--color", common.color, "Colours: auto, always, never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  sub->add_option("--isa", common.isa, "Use no better instruction set than this (see doctor)");
  return sub;
}

void add_float_options(CLI::App& command, FloatOptions& options) {
  command.add_flag("--bf16", options.bf16,
                   "Convolutions and products by constant matrices multiply BF16, sums in FP32");
  command.add_flag("--fp16", options.fp16, "Their weights are rounded to FP16");
  command
      .add_option("--fp16-semantics", options.fp16_semantics,
                  "What --fp16 means: storage (FP32 arithmetic, the default) or arithmetic (every "
                  "input, constant and op's result is rounded to FP16, as FP16 hardware does)")
      ->check(CLI::IsMember({"storage", "arithmetic"}));
}

FloatArithmetic FloatOptions::arithmetic() const {
  const bool half = fp16 || !fp16_semantics.empty();
  if (bf16 && half) fail_usage("--bf16 and --fp16: floats are computed in one of them");
  if (bf16) return FloatArithmetic::kBf16;
  if (!half) return FloatArithmetic::kF32;
  return fp16_semantics == "arithmetic" ? FloatArithmetic::kF16 : FloatArithmetic::kF16Storage;
}

std::map<std::string, Shape> parse_shapes(const std::vector<std::string>& texts) {
  std::map<std::string, Shape> out;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      fail_usage("--shape '{}' is neither INPUT=1x3x224x224 nor SYMBOL=8", text);
    Shape shape;
    const char* at = text.data() + equals + 1;
    const char* end = text.data() + text.size();
    while (at < end) {
      int64_t size = 0;
      const auto [stop, error] = std::from_chars(at, end, size);
      if (error != std::errc{} || size < 0 || (stop != end && *stop != 'x'))
        fail_usage("--shape '{}' is neither INPUT=1x3x224x224 nor SYMBOL=8", text);
      shape.push_back(size);
      at = stop == end ? end : stop + 1;
    }
    out[text.substr(0, equals)] = std::move(shape);
  }
  return out;
}

Graph load_beside(const std::string& model, const std::string& output) {
  guard_output(output, {model});
  LoadedModel loaded = load_with_files(model);
  guard_output(output, loaded.file_names(model));
  return std::move(loaded.graph);
}

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return;
  if (errno == EPIPE) {  // the reader has seen enough (`| head`): end as other programs do
    std::signal(SIGPIPE, SIG_DFL);
    std::raise(SIGPIPE);
  }
  fail(ErrorCode::kIo, "cannot write to stdout");
}

void print_json(const nlohmann::ordered_json& object) {
  print(object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void emit(const Common& common, const nlohmann::ordered_json& object, const std::string& text) {
  if (common.json)
    print_json(object);
  else
    print(text);
}

namespace {

/// 130 or 143 for the signal that came, to whichever process.
int agreed_stop_code(Ranks* ranks) {
  return ranks ? static_cast<int>(ranks->most(stop_code())) : stop_code();
}

/// `stopped` is the exit code of a run that was interrupted, else 0.
int print_report(Report report, int stopped, const std::vector<std::string>& warned,
                 const Common& common) {
  // On a terminal they stand above the report already.
  if (!common.json && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO))
    std::erase_if(report.warnings, [&](const std::string& warning) {
      return std::find(warned.begin(), warned.end(), warning) != warned.end();
    });
  print(common.json ? report_json(report)
                    : report_console(report, common.use_color(), isatty(STDOUT_FILENO) != 0));
  if (stopped != 0) return stopped;
  for (const LimitRecord& limit : report.limits)
    if (!limit.met) return static_cast<int>(ErrorCode::kLimitMissed);
  return 0;
}

}  // namespace

int run_and_print(const Recipe& recipe, RunOptions options, const Common& common) {
  options.threads = common.threads;
  if (recipe.trains()) {
    options.rank = rank_of_environment();
    options.stop = asked_to_stop;
  }
  return together(options.dry_run ? Rank{} : options.rank, [&](Ranks* ranks) {
    const bool first = options.rank.rank == 0;
    const LogSink log = first ? common.log() : LogSink{};
    std::vector<std::string> warned;
    options.log = {[&](LogLevel level, const std::string& text) {
                     if (log.message) log.message(level, text);
                     if (log.message && level == LogLevel::kWarning) warned.push_back(text);
                   },
                   log.progress};
    Report report = run_recipe(recipe, options);
    const int stopped = report.interrupted.empty() ? 0 : agreed_stop_code(ranks);
    return first ? print_report(std::move(report), stopped, warned, common) : stopped;
  });
}

}  // namespace lapidary::cli
