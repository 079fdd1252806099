#include <fmt/format.h>

#include <charconv>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/data/npy.h"
#include "tools/cli.h"

namespace lapidary::cli {

namespace {

/// NAME=NUMBER or NAME=FILE.npy.
void take_inputs(const std::vector<std::string>& texts, BenchOptions& options) {
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      fail_usage("--input '{}' is not NAME=NUMBER or NAME=FILE.npy", printable(text));
    const std::string name = text.substr(0, equals), value = text.substr(equals + 1);
    double number = 0;
    const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc{} && stop == value.data() + value.size())
      options.constants[name] = number;
    else
      options.inputs[name] = read_npy(value);
  }
}

}  // namespace

void add_bench(CLI::App& app, Common& common, Action& action) {
  struct Options {
    std::string model;
    BenchOptions bench;
    std::vector<std::string> shapes, inputs;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "bench", "Latency of one inference", common, false);
  sub->add_option("model", o->model, "The ONNX model")->required();
  sub->add_option("--threads", o->bench.threads, "Thread counts: 1,2")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  sub->add_option("--batch", o->bench.batch, "Samples in one inference")
      ->check(CLI::Range(1, 65536));
  sub->add_option("--seconds", o->bench.seconds, "Time spent on each thread count")
      ->check(CLI::Range(0.01, 3600.0));
  sub->add_option("--input", o->inputs,
                  "NAME=FILE.npy, or NAME=NUMBER for every element; others are random (floats in "
                  "[-1, 1), integers 0 or 1)");
  sub->add_option("--shape", o->shapes, "Sizes of a symbolic input: x=1x3x224x224");
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      o->bench.seed = common.seed;
      o->bench.log = common.log();
      o->bench.input_shapes = parse_shapes(o->shapes);
      take_inputs(o->inputs, o->bench);
      const auto rows = bench(load_onnx(o->model), o->bench);
      nlohmann::ordered_json json = {{"model", o->model},
                                     {"latency_ms", nlohmann::ordered_json::array()}};
      std::string text = fmt::format("{:>7} {:>5} {:>6} {:>10} {:>10} {:>10}  {}\n", "threads",
                                     "batch", "runs", "median ms", "p90 ms", "p99 ms", "isa");
      for (const Latency& l : rows) {
        json["latency_ms"].push_back({{"threads", l.threads},
                                      {"isa", l.isa},
                                      {"batch", l.batch},
                                      {"runs", l.runs},
                                      {"median", l.median_ms},
                                      {"p90", l.p90_ms},
                                      {"p99", l.p99_ms}});
        text += fmt::format("{:>7} {:>5} {:>6} {:>10.3f} {:>10.3f} {:>10.3f}  {}\n", l.threads,
                            l.batch, l.runs, l.median_ms, l.p90_ms, l.p99_ms, l.isa);
      }
      if (common.json)
        print_json(json);
      else
        print(text);
      return 0;
    };
  });
}

}  // namespace lapidary::cli
