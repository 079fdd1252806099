#include <fmt/format.h>

#include "calibrate/run.h"
#include "src/base/file.h"
#include "tools/cli.h"
#include "tools/rank.h"

namespace lapidary::cli {

void add_calibrate(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string model, data, output;
    int64_t samples = 0;
    bool resume = false, allow_nonfinite = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub =
      add_command(app, "calibrate", "One pass over data into a statistics file", common);
  sub->add_option("model", o->model, "The float ONNX model")->required();
  sub->add_option("--data", o->data, "Calibration data: a YAML file or an inline record")
      ->required();
  sub->add_option("-o,--output", o->output, "The statistics file")->required();
  sub->add_option("--samples", o->samples, "The first so many; 0: all");
  sub->add_flag("--resume", o->resume,
                "Continue from the statistics file where it is there, and write it now and then");
  sub->add_flag("--allow-nonfinite", o->allow_nonfinite,
                "Leave out samples that make NaN or infinity instead of failing");
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      const Rank rank = rank_of_environment();
      return together(rank, [&](Ranks* ranks) {
        const bool first = rank.rank == 0;
        guard_output(o->output, {o->data});
        const Graph graph = load_beside(o->model, o->output);
        const Dataset data = open_data(o->data, graph, common.seed);
        guard_output(o->output, data.files());
        const Statistics stats = calibrate_partly(graph, data,
                                                  {.samples = o->samples,
                                                   .threads = common.threads,
                                                   .allow_nonfinite = o->allow_nonfinite,
                                                   .checkpoint = o->resume ? o->output : "",
                                                   .log = first ? common.log() : LogSink{}},
                                                  {}, ranks);
        common.warn_about(data);
        if (!first) return 0;
        stats.save(o->output);
        emit(common,
             {{"statistics", o->output},
              {"samples", stats.samples()},
              {"tensors", stats.tensors().size()},
              {"sha256", stats.sha256()}},
             fmt::format("{} tensors over {} samples -> {}\n", stats.tensors().size(),
                         stats.samples(), o->output));
        return 0;
      });
    };
  });
}

}  // namespace lapidary::cli
