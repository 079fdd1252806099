#include <fmt/format.h>

#include <charconv>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/pipeline/report/to_json.h"
#include "tools/cli.h"
#include "tools/peaks.h"
#include "tools/shapes.h"

namespace lapidary::cli {

namespace {

std::string latency_text(const Latency& l) {
  return fmt::format("{:>7} {:>5} {:>6} {:>10.3f} {:>10.3f} {:>10.3f}  ", l.threads, l.batch,
                     l.runs, l.median_ms, l.p90_ms, l.p99_ms);
}

/// Operations (two for a multiply-accumulate) in 1e9 a second.
double gops(const StepInfo& step) {
  return step.milliseconds > 0 ? 2e-6 * static_cast<double>(step.macs) / step.milliseconds : 0;
}

/// Of the machine's peak in the step's precision.
double share_of_peak(const StepInfo& step, const MachinePeaks& peaks) {
  return gops(step) / peak_gops(peaks, step.precision);
}

nlohmann::ordered_json layer_json(const StepInfo& step, const MachinePeaks& peaks) {
  nlohmann::ordered_json out = {{"nodes", step.nodes},     {"op", step.op},
                                {"kernel", step.kernel},   {"precision", step.precision},
                                {"macs", step.macs},       {"bytes_moved", step.bytes_moved},
                                {"ms", step.milliseconds}, {"gops", gops(step)}};
  out["share_of_peak"] =
      step.macs > 0 ? nlohmann::ordered_json(share_of_peak(step, peaks)) : nullptr;
  return out;
}

std::string layers_text(const std::vector<StepInfo>& steps, const MachinePeaks& peaks) {
  std::string text = fmt::format("{:>9} {:>6} {:>9} {:>8} {:>7}  {:<28} {}\n", "ms", "share",
                                 "MMACs", "GOPS", "of peak", "kernel", "step");
  double total = 0;
  for (const StepInfo& step : steps) total += step.milliseconds;
  for (const StepInfo& step : steps) {
    const std::string speed = step.macs > 0 ? fmt::format("{:>8.1f} {:>6.1f}%", gops(step),
                                                          100 * share_of_peak(step, peaks))
                                            : std::string(16, ' ');
    text +=
        fmt::format("{:>9.4f} {:>5.1f}% {:>9.3f} {}  {:<28} {} {}\n", step.milliseconds,
                    100 * step.milliseconds / total, 1e-6 * static_cast<double>(step.macs), speed,
                    step.kernel, step.op, step.nodes.empty() ? "" : printable(step.nodes[0]));
  }
  return text + fmt::format("{:>9.4f} in all steps; {}\n", total, peaks_text(peaks));
}

int time_kernels(const KernelBenchOptions& options, const Common& common) {
  const std::vector<KernelTime> times = bench_kernels(options);
  nlohmann::ordered_json json = {{"kernels", nlohmann::ordered_json::array()}};
  std::string text = fmt::format("{:>7} {:>10} {:>8} {:>8} {:>7} {:<9} {:<22} {}\n", "threads",
                                 "ms", "GOPS", "GB/s", "of peak", "(limit)", "row", "shape");
  const std::string* shape = nullptr;
  for (const KernelTime& t : times) {
    json["kernels"].push_back({{"family", t.family},
                               {"row", t.row},
                               {"isa", t.isa},
                               {"shape", t.shape},
                               {"threads", t.threads},
                               {"ms", t.ms},
                               {"gops", t.gops},
                               {"gb_s", t.gb_s},
                               {"limit", t.limit},
                               {"share_of_peak", t.share_of_peak}});
    if (shape != nullptr && *shape != t.shape) text += '\n';
    shape = &t.shape;
    const std::string limit = "(" + t.limit + ")";
    text += fmt::format("{:>7} {:>10.4f} {:>8.1f} {:>8.1f} {:>6.1f}% {:<9} {:<22} {}\n", t.threads,
                        t.ms, t.gops, t.gb_s, 100 * t.share_of_peak, limit, t.row, t.shape);
  }
  emit(common, json, text);
  return 0;
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
    std::vector<std::string> shapes, inputs, versus, families;
    FloatOptions floats;
    bool layers = false, kernels = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "bench", "Latency of one inference", common, false);
  CLI::Option* model = sub->add_option("model", o->model, "The ONNX model");
  sub->add_option("--threads", o->bench.threads, "Thread counts: 1,2")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  sub->add_option("--batch", o->bench.batch,
                  "Samples in one inference, where the model's first axis is open")
      ->check(CLI::Range(1, 65536));
  CLI::Option* seconds =
      sub->add_option("--seconds", o->bench.seconds,
                      "Time spent on each thread count (default 1); with --kernels on each shape "
                      "and thread count (default 0.1)")
          ->check(CLI::Range(0.001, 3600.0));
  sub->add_option("--input", o->inputs,
                  "NAME=FILE.npy, or NAME=NUMBER for every element; others are random (floats in "
                  "[-1, 1), integers 0 or 1)");
  add_shapes(*sub, o->shapes, "Sizes");
  sub->add_option("--versus", o->versus,
                  "Other engines in turn with this one: onnxruntime, openvino, openvino-f32, "
                  "openvino-bf16, litert=FILE.tflite, lapidary=FILE.onnx; each also as ENGINE=FILE")
      ->delimiter(',');
  sub->add_option(
         "--winograd", o->bench.winograd,
         "2 or 4: float 3x3 convolutions by Winograd's F(2x2) or up to F(4x4) where that is "
         "faster; sums round differently (default 0: none)")
      ->check(CLI::IsMember(std::vector<int>(kWinogradTiles.begin(), kWinogradTiles.end())));
  sub->add_flag("--layers", o->layers, "Also the time of each step, on the first thread count");
  add_float_options(*sub, o->floats);
  CLI::Option* kernels =
      sub->add_flag("--kernels", o->kernels,
                    "Instead of a model every kernel row that this CPU has, those of one shape in "
                    "turn; --isa leaves none out")
          ->excludes(model);
  for (const char* of_models : {"--batch", "--input", "--shape", "--versus", "--winograd",
                                "--layers", "--bf16", "--fp16", "--fp16-semantics"})
    sub->get_option(of_models)->excludes(kernels);
  sub->add_option("--family", o->families, "With --kernels: only these families")
      ->delimiter(',')
      ->needs(kernels);
  sub->callback([o, seconds, &common, &action] {
    if (!o->kernels && o->model.empty()) throw CLI::RequiredError("model, or --kernels,");
    action = [o, seconds, &common] {
      if (o->kernels) {
        KernelBenchOptions options;
        options.threads = o->bench.threads;
        options.families = o->families;
        if (*seconds) options.seconds = o->bench.seconds;
        options.log = common.log();
        return time_kernels(options, common);
      }
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
        const MachinePeaks peaks = measure_peaks(o->bench.threads[0]);
        text += '\n' + layers_text(steps, peaks);
        for (const StepInfo& step : steps) json["layers"].push_back(layer_json(step, peaks));
        json["peaks"] = peaks_json(peaks);
      }
      emit(common, json, text);
      return 0;
    };
  });
}

}  // namespace lapidary::cli
