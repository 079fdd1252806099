#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lapidary/bench.h"
#include "lapidary/compress.h"
#include "lapidary/exec.h"
#include "lapidary/export.h"
#include "lapidary/factorize.h"
#include "lapidary/passes.h"
#include "lapidary/prune.h"
#include "lapidary/sparsify.h"
#include "lapidary/train.h"

namespace lapidary {

/// Wall time of one inference.
struct Latency {
  int threads = 1;
  std::string isa;
  int64_t batch = 1;
  int64_t runs = 0;
  double median_ms = 0, p90_ms = 0, p99_ms = 0;
};

/// The model after one step (stage 0: as it came in).
struct StageRecord {
  std::string name;
  std::string file, sha256;
  int64_t size_bytes = 0;
  int64_t parameters = 0, nonzero_parameters = 0;
  int64_t macs = 0;              ///< of one sample
  bool macs_complete = true;     ///< false: some layer's shapes are not known
  int64_t activation_bytes = 0;  ///< arena of the plan for one sample
  int64_t packed_bytes = 0;      ///< of the plan's weights, as its kernels read them
  std::map<std::string, double> metrics;
  int64_t samples = 0;  ///< that the metrics were taken on
  std::vector<Latency> latency;
  double seconds = 0;          ///< that the step took, evaluation not included
  int64_t peak_rss_bytes = 0;  ///< of the process so far
};

/// One layer of the result beside the model that came in.
struct LayerRecord {
  std::string node, op;
  int64_t macs = 0, parameters = 0;
  std::optional<double> sqnr_db, cosine;  ///< absent where the tensor exists in one graph only
  std::optional<double> latency_ms;
  std::string kernel, precision;
  int64_t bytes_moved = 0;  ///< inputs, weights and outputs, each once
};

/// A stage's model computed in something else than FP32.
struct ExecutionRecord {
  std::string stage, precision;  ///< "fp32", "bfloat16"
  std::map<std::string, double> metrics;
  int64_t samples = 0;
  int64_t activation_bytes = 0, packed_bytes = 0;
  std::vector<Latency> latency;
  std::vector<LayerRecord> layers;  ///< what each ran on
};

/// What a stage's model returns on another class of CPU than those with VNNI.
struct CpuClassRecord {
  std::string stage, profile;  ///< "int8", "onnxruntime-1.31/avx2"
  std::map<std::string, double> metrics;
  int64_t samples = 0;
  std::vector<LayerSaturation> layers;  ///< that can saturate, over those samples
};

/// One bound that the recipe set.
struct LimitRecord {
  std::string limit;
  double asked = 0, got = 0;
  bool met = false;
};

/// Weights of the last stage that are masked: zeros that are stored and computed like all others.
struct MaskedRecord {
  std::string stage, before;  ///< the last one's name, and that of what it is held against
  Sparsity sparsity;          ///< of the last
  /// All constants of a stage's graph as one zlib stream (deflate, level 9).
  int64_t compressed_bytes = 0, compressed_before = 0;
};

/// A histogram of a quantized tensor and where its range was cut.
struct HistogramRecord {
  std::string tensor;
  double low = 0, width = 0;  ///< left edge of the first bin, width of each
  std::vector<uint64_t> counts;
  Range chosen;
};

/// One step's training.
struct TrainingRecord {
  std::string step;
  int64_t steps = 0, batch = 0;
  int64_t parameters = 0;  ///< tensors that it changed
  FitLog log;
  std::string metric;        ///< that told the best epoch
  std::string measured_on;   ///< the data's role; empty: nothing was measured
  int64_t best_epoch = -1;   ///< from 0
  std::string kept;          ///< which epoch the result is of: "last", "best"
  bool interrupted = false;  ///< there is no result, but a checkpoint
  std::string best_file;     ///< model of the best epoch; empty: none
  bool stopped_early = false;
};

/// What one step removed.
struct PruneRecord {
  struct Group {
    std::string name;
    int64_t units = 0, left = 0;
    std::string note;  ///< why it lost nothing, or what is lossy in it
  };
  std::string step, criterion;
  bool planned = false;       ///< of a dry run: `left` and `got` say how far it could go
  std::string target;         ///< "macs"
  double asked = 0, got = 0;  ///< share left of what the target counts
  PruneCost before, after;
  std::vector<Group> groups;
  /// Of the outputs, pruned beside masked (compare_with_masked); absent where `not_checked` says
  /// why.
  std::optional<double> difference;
  std::string not_checked;
  std::optional<RepairRecord> repaired;  ///< absent: nothing was tried
};

/// What the model's metric becomes where one group alone loses units.
struct SensitivityRecord {
  struct Group {
    std::string name;
    std::vector<std::pair<double, double>> points;  ///< share of units that was to go, metric
  };
  std::string step, metric;
  int64_t samples = 0;
  double whole = 0;  ///< metric of the model as it was
  std::vector<Group> groups;
};

/// The way to the smallest model within an accuracy budget.
struct SearchRecord {
  struct Point {
    double share = 0;   ///< of the target that was asked for
    double got = 0;     ///< left
    double metric = 0;  ///< measured
    bool met = false;   ///< within the budget
  };
  std::string step, target, metric;
  int64_t samples = 0;
  double whole = 0, budget = 0;  ///< metric of the model as it was; how much may be lost
  std::vector<Point> points;     ///< in the order they were tried
  double kept = 1;               ///< share of the model that was kept
};

/// What one step took apart into factors.
struct FactorizeRecord {
  std::string step;
  RankRule ranks;
  double got = 1;  ///< of a bound on the whole model: share that is left
  FactorizeCost before, after;
  std::optional<double> ms_before, ms_after;  ///< of the rule latency
  std::vector<FactorizedLayer> layers;
};

/// What a run was expected to take (all that --dry-run says), beside what it took.
struct Estimate {
  double seconds = 0;
  int64_t memory_bytes = 0;
  /// Of it while a step trains, 0 where none does: the process with the training library, weights,
  /// gradients, the optimizer's memory, the average of weights, and what backward reads of the
  /// activations of a batch.
  int64_t training_bytes = 0;
  int64_t calib_samples = 0, eval_samples = 0;
  std::optional<double> actual_seconds;        ///< absent where nothing ran
  std::optional<int64_t> actual_memory_bytes;  ///< the process's largest resident set
};

/// All that a run found. JSON, Markdown, HTML and the console print this object.
struct Report {
  std::string title;
  std::string version;
  uint64_t seed = 0;
  std::vector<std::pair<std::string, std::string>> environment;
  /// SHA-256 of model, data manifests, recipe, statistics.
  std::vector<std::pair<std::string, std::string>> provenance;
  std::vector<StageRecord> stages;
  /// Index of the stage that others are held against (agreement, SQNR, layers, drops): the first,
  /// or the last one whose weights began anew.
  size_t reference = 0;
  std::vector<TrainingRecord> trainings;
  std::vector<ExecutionRecord> executions;
  std::vector<CpuClassRecord> cpu_classes;
  std::vector<LayerRecord> layers;
  std::optional<MachinePeaks> peaks;   ///< on as many threads as the layers ran on, where timed
  std::vector<std::string> quantized;  ///< node keys that run on integers
  /// Whose kernels the quantized file is for; empty: ONNX Runtime's, and Lapidary's.
  std::string engine;
  std::vector<KeptFloat> kept_float;
  std::vector<PruneRecord> prunings;
  std::vector<SensitivityRecord> sensitivities;
  std::vector<SearchRecord> searches;
  std::vector<FactorizeRecord> factorizations;
  std::vector<FrozenAxis> frozen_axes;  ///< of weights, before the last step that pruned
  std::vector<LayerBits> layer_bits;    ///< of the last step that quantized
  std::vector<TensorQuant> tensors;
  std::vector<HistogramRecord> histograms;
  std::vector<PassRecord> passes;
  std::vector<LimitRecord> limits;
  std::optional<MaskedRecord> masked;  ///< absent: no step masked weights
  std::optional<Estimate> estimate;
  std::vector<std::string> warnings;
  /// The step that was asked to stop and kept a checkpoint, or "evaluation" behind all of them;
  /// empty: all ran. What would have come after it is missing.
  std::string interrupted;
};

/// Schema "lapidary.report/1".
LAPIDARY_API std::string report_json(const Report& report);
LAPIDARY_API std::string report_markdown(const Report& report);
/// One file that needs nothing else: inline SVG, no script from elsewhere, every string escaped.
LAPIDARY_API std::string report_html(const Report& report);
/// Tables in columns; ANSI colours where asked; on a `terminal` cells end after 60 bytes with an
/// ellipsis, elsewhere they are whole.
LAPIDARY_API std::string report_console(const Report& report, bool color, bool terminal = false);

/// Name and value pairs: CPU, ISA, threads, memory, versions.
LAPIDARY_API std::vector<std::pair<std::string, std::string>> describe_environment();
LAPIDARY_API std::string version();

}  // namespace lapidary
