#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "lapidary/evaluate.h"
#include "lapidary/model_io.h"
#include "src/base/fail.h"
#include "src/base/file.h"
#include "src/base/process.h"
#include "src/base/text.h"
#include "src/data/npy.h"
#include "src/pipeline/bench.h"
#include "src/pipeline/versus/peer.h"

namespace lapidary {

namespace {

constexpr double kRoundSeconds = 0.15;
/// Threads of an engine that has just run may still spin.
constexpr std::chrono::milliseconds kPause{20};
constexpr std::chrono::milliseconds kLoadLimit{300'000};
constexpr std::chrono::milliseconds kRoundLimit{600'000};

/// ENGINE or ENGINE=FILE.
struct PeerSpec {
  std::string engine, file;
};

PeerSpec parse_peer(const std::string& text, const std::string& model_file) {
  static const std::vector<std::string> kEngines = {"onnxruntime",   "openvino", "openvino-f32",
                                                    "openvino-bf16", "litert",   "lapidary"};
  const size_t equals = text.find('=');
  PeerSpec spec{text.substr(0, equals), equals == std::string::npos ? "" : text.substr(equals + 1)};
  if (std::find(kEngines.begin(), kEngines.end(), spec.engine) == kEngines.end())
    fail_usage("no engine '{}': there are {}", printable(spec.engine, 100),
               fmt::join(kEngines, ", "));
  if (spec.file.empty() && (spec.engine == "litert" || spec.engine == "lapidary"))
    fail_usage("'{}' needs a file to run: {}=FILE", spec.engine, spec.engine);
  if (spec.file.empty()) spec.file = model_file;
  (void)RandomAccessFile(spec.file);  // Error{kIo} of ours, not of a process that lacks it
  return spec;
}

/// An engine that holds a model, ready to run.
class Contender {
 public:
  virtual ~Contender() = default;
  /// Times in ms of the inferences that fit in `seconds`.
  virtual std::vector<double> round(double seconds) = 0;
  virtual std::string version() const = 0;
};

class Own : public Contender {
 public:
  Own(const Graph& model, const Executor::Values& inputs, int warmup, ExecOptions how)
      : executor_(model, how), inputs_(inputs) {
    for (int i = 0; i < warmup; ++i) executor_.run(inputs_);
  }
  std::vector<double> round(double seconds) override {
    return time_runs([&] { executor_.run(inputs_); }, seconds);
  }
  std::string version() const override { return LAPIDARY_VERSION; }

 private:
  Executor executor_;
  const Executor::Values& inputs_;
};

class Peer : public Contender {
 public:
  Peer(const PeerSpec& spec, int threads, const std::string& inputs_file)
      : engine_(spec.engine),
        process_({python(), "-c", kPeerSource, spec.engine, spec.file, std::to_string(threads),
                  inputs_file}) {
    version_ = answer(kLoadLimit).at("version");
  }
  std::vector<double> round(double seconds) override {
    process_.write_line(fmt::format("{}", seconds));
    return answer(kRoundLimit).at("ms");
  }
  std::string version() const override { return version_; }

 private:
  static std::string python() {
    const char* chosen = std::getenv("LAPIDARY_PYTHON");
    return chosen != nullptr ? chosen : "python3";
  }
  nlohmann::json answer(std::chrono::milliseconds limit) {
    const auto json = nlohmann::json::parse(process_.read_line(limit), nullptr, false);
    if (!json.is_object()) fail(ErrorCode::kIo, "{}: an answer that is not JSON", engine_);
    if (json.contains("error"))
      fail_unsupported("{} cannot run here: {} (LAPIDARY_PYTHON names another Python)", engine_,
                       printable(json["error"].get<std::string>(), 500));
    return json;
  }
  std::string engine_;
  LineProcess process_;
  std::string version_;
};

/// A folder of its own, gone with this object and all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_((std::filesystem::temp_directory_path() / "lapidary-bench-XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr)
      fail(ErrorCode::kIo, "cannot make a folder for temporary files in '{}'",
           std::filesystem::temp_directory_path().string());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

std::vector<VersusRow> bench_versus(const std::string& model_file,
                                    const std::vector<std::string>& peers,
                                    const BenchOptions& options) {
  std::vector<PeerSpec> specs;
  for (const std::string& peer : peers) specs.push_back(parse_peer(peer, model_file));
  const Graph model = load_onnx(model_file);
  const Executor::Values inputs = bench_inputs(model, options);
  const int64_t batch = leading_size(model, inputs);
  const TemporaryFolder folder;
  const std::string inputs_file = folder.path() + "/inputs.npz";
  write_npz(inputs_file, {inputs.begin(), inputs.end()});
  const int rounds = std::max(3, static_cast<int>(options.seconds / kRoundSeconds));

  std::vector<VersusRow> rows;
  for (const int threads : options.threads) {
    std::vector<std::unique_ptr<Contender>> contenders;
    contenders.push_back(
        std::make_unique<Own>(model, inputs, options.warmup,
                              ExecOptions{.threads = threads,
                                          .winograd = options.winograd,
                                          .float_arithmetic = options.float_arithmetic}));
    for (const PeerSpec& spec : specs) {
      if (spec.engine == "lapidary")
        contenders.push_back(std::make_unique<Own>(load_onnx(spec.file), inputs, options.warmup,
                                                   ExecOptions{.threads = threads}));
      else
        contenders.push_back(std::make_unique<Peer>(spec, threads, inputs_file));
    }
    const size_t count = contenders.size();
    std::vector<std::vector<double>> all(count), medians(count);
    for (int round = 0; round < rounds; ++round) {
      options.log.advance("time", round, rounds);
      for (size_t turn = 0; turn < count; ++turn) {
        const size_t i = round % 2 == 0 ? turn : count - 1 - turn;
        std::this_thread::sleep_for(kPause);
        const std::vector<double> ms = contenders[i]->round(kRoundSeconds);
        all[i].insert(all[i].end(), ms.begin(), ms.end());
        medians[i].push_back(median(ms));
      }
    }
    VersusRow row;
    row.own = summarize_times(all[0], threads, batch);
    for (size_t i = 1; i < count; ++i) {
      PeerLatency peer{specs[i - 1].engine, contenders[i]->version(),
                       summarize_times(all[i], threads, batch)};
      std::vector<double> ratios;
      for (size_t r = 0; r < medians[0].size(); ++r)
        ratios.push_back(medians[i][r] / medians[0][r]);
      peer.speedup = median(ratios);
      row.peers.push_back(std::move(peer));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace lapidary
