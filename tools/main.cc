#include <csignal>
#include <exception>
#include <new>

#include "src/base/text.h"
#include "tools/cli.h"
#include "tools/wait_policy.h"

namespace lapidary::cli {

#define LAPIDARY_COMMAND(name) void add_##name(CLI::App&, Common&, Action&);
#include "tools/commands.def"
#undef LAPIDARY_COMMAND

namespace {

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

/// CLI11's words, with "did you mean" for a mistyped command or option.
int explain_parse_error(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  const CLI::App* at = &app;
  if (argc > 1 && !app.get_subcommands().empty()) at = app.get_subcommands().front();
  std::string hint;
  for (int i = 1; i < argc && hint.empty(); ++i) {
    const std::string word = argv[i];
    const std::vector<std::string> known =
        word.starts_with("--") ? option_names(*at) : command_names(app);
    const std::string name = word.substr(0, word.find('='));
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    if (word.starts_with("--") || (i == 1 && at == &app)) hint = did_you_mean(name, known);
  }
  std::fprintf(stderr, "lapidary: %s%s\n", printable(error.what()).c_str(), hint.c_str());
  std::fprintf(stderr, "Run 'lapidary%s%s --help' for the options.\n", at == &app ? "" : " ",
               at == &app ? "" : at->get_name().c_str());
  return static_cast<int>(ErrorCode::kUsage);
}

int run_cli(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed stdout is a failed write, not a death;
  std::signal(SIGXFSZ, SIG_IGN);  // so is a file over the size limit
  CLI::App app("Lapidary: compresses and quantizes ONNX models, and measures what that did to them",
               "lapidary");
  app.set_version_flag("--version", "lapidary " + version());
  app.require_subcommand(1);
  Common common;
  Action action;
#define LAPIDARY_COMMAND(name) add_##name(app, common, action);
#include "tools/commands.def"
#undef LAPIDARY_COMMAND
  if (argc == 1) {
    print(app.help());
    return static_cast<int>(ErrorCode::kUsage);
  }
  try {
    app.parse(argc, argv);
    wait_briefly(argv);
    common.apply();
    return action();
  } catch (const CLI::ParseError& error) {
    return explain_parse_error(app, error, argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "lapidary: %s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "lapidary: out of memory\n");
    return static_cast<int>(ErrorCode::kResource);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lapidary: internal error: %s\n", printable(error.what()).c_str());
    return static_cast<int>(ErrorCode::kInternal);
  }
}

}  // namespace

}  // namespace lapidary::cli

int main(int argc, char** argv) { return lapidary::cli::run_cli(argc, argv); }
