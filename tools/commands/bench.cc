#include <fmt/format.h>

#include <charconv>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/data/npy.h"
#include "tools/cli.h"

namespace lapidary::cli {

namespace {

nlohmann::ordered_json latency_json(const Latency& l) {
  return {{"threads", l.threads},  {"isa", l.isa},    {"batch", l.batch}, {"runs", l.runs},
          {"median", l.median_ms}, {"p90", l.p90_ms}, {"p99", l.p99_ms}};
}

std::string latency_text(const Latency& l) {
  return fmt::format("{:>7} {:>5} {:>6} {:>10.3f} {:>10.3f} {:>10.3f}  ", l.threads, l.batch,
                     l.runs, l.median_ms, l.p90_ms, l.p99_ms);
}

/// Operations (two for a multiply-accumulate) in 1e9 a second.
double gops(const StepInfo& step) {
  return step.milliseconds > 0 ? 2e-6 * static_cast<double>(step.macs) / step.milliseconds : 0;
}

nlohmann::ordered_json layer_json(const StepInfo& step) {
  return {{"nodes", step.nodes},         {"op", step.op},     {"kernel", step.kernel},
          {"precision", step.precision}, {"macs", step.macs}, {"bytes_moved", step.bytes_moved},
          {"ms", step.milliseconds},     {"gops", gops(step)}};
}

std::string layers_text(const std::vector<StepInfo>& steps) {
  std::string text = fmt::format("{:>9} {:>6} {:>9} {:>8}  {:<28} {}\n", "ms", "share", "MMACs",
                                 "GOPS", "kernel", "step");
  double total = 0;
  for (const StepInfo& step : steps) total += step.milliseconds;
  for (const StepInfo& step : steps)
    text += fmt::format("{:>9.4f} {:>5.1f}% {:>9.3f} {:>8.1f}  {:<28} {} {}\n", step.milliseconds,
                        100 * step.milliseconds / total, 1e-6 * static_cast<double>(step.macs),
                        gops(step), step.kernel, step.op, step.nodes.empty() ? "" : step.nodes[0]);
  return text + fmt::format("{:>9.4f} in all steps\n", total);
}

/// What the ratio (the peer's time / lapidary's) says.
std::string faster_text(double speedup) {
  return speedup >= 1 ? fmt::format("lapidary is {:.2f}x faster", speedup)
                      : fmt::format("lapidary is {:.2f}x slower", 1 / speedup);
}

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
    std::vector<std::string> shapes, inputs, versus;
    FloatOptions floats;
    bool layers = false;
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
  sub->add_option("--versus", o->versus,
                  "Other engines in turn with this one: onnxruntime, openvino, openvino-f32, "
                  "openvino-bf16, litert=FILE.tflite, lapidary=FILE.onnx; each also as ENGINE=FILE")
      ->delimiter(',');
  sub->add_flag("--layers", o->layers, "Also the time of each step, on the first thread count");
  add_float_options(*sub, o->floats);
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      o->bench.seed = common.seed;
      o->bench.float_arithmetic = o->floats.arithmetic();
      o->bench.log = common.log();
      o->bench.input_shapes = parse_shapes(o->shapes);
      take_inputs(o->inputs, o->bench);
      std::vector<VersusRow> rows;
      if (o->versus.empty())
        for (Latency& l : bench(load_onnx(o->model), o->bench)) rows.push_back({std::move(l), {}});
      else
        rows = bench_versus(o->model, o->versus, o->bench);
      nlohmann::ordered_json json = {
          {"model", o->model},
          {"float_arithmetic", float_arithmetic_name(o->bench.float_arithmetic)},
          {"latency_ms", nlohmann::ordered_json::array()}};
      std::string text = fmt::format("{:>7} {:>5} {:>6} {:>10} {:>10} {:>10}  {}\n", "threads",
                                     "batch", "runs", "median ms", "p90 ms", "p99 ms", "engine");
      for (const VersusRow& row : rows) {
        json["latency_ms"].push_back(latency_json(row.own));
        text += latency_text(row.own) + "lapidary, " + row.own.isa + '\n';
        for (const PeerLatency& peer : row.peers) {
          auto entry = latency_json(peer.latency);
          entry.erase("isa");
          entry["engine"] = peer.engine;
          entry["version"] = peer.version;
          entry["speedup"] = peer.speedup;
          json["latency_ms"].back()["versus"].push_back(std::move(entry));
          text += latency_text(peer.latency) +
                  fmt::format("{} {}: {}\n", peer.engine, peer.version, faster_text(peer.speedup));
        }
      }
      if (o->layers) {
        const std::vector<StepInfo> steps = bench_layers(load_onnx(o->model), o->bench);
        text += '\n' + layers_text(steps);
        for (const StepInfo& step : steps) json["layers"].push_back(layer_json(step));
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
