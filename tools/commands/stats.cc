#include <fmt/format.h>

#include "src/base/file.h"
#include "tools/cli.h"

namespace lapidary::cli {

void add_stats(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::vector<std::string> files;
    std::string output;
  };
  auto o = std::make_shared<Options>();
  CLI::App* stats = app.add_subcommand("stats", "Works on statistics files");
  stats->require_subcommand(1);
  CLI::App* merge = add_command(*stats, "merge", "Adds up the statistics of several runs", common);
  merge->add_option("files", o->files, "Statistics files")->required();
  merge->add_option("-o,--output", o->output, "The sum")->required();
  merge->callback([o, &common, &action] {
    action = [o, &common] {
      guard_output(o->output, o->files);
      Statistics sum = Statistics::load(o->files.front());
      for (size_t i = 1; i < o->files.size(); ++i) sum.merge(Statistics::load(o->files[i]));
      sum.save(o->output);
      emit(common,
           {{"statistics", o->output}, {"samples", sum.samples()}, {"sha256", sum.sha256()}},
           fmt::format("{} samples -> {}\n", sum.samples(), o->output));
      return 0;
    };
  });
}

}  // namespace lapidary::cli
