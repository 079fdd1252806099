#pragma once

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/data.h"
#include "lapidary/exec.h"
#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/log.h"
#include "lapidary/report.h"

namespace lapidary {

struct EvaluateOptions {
  std::vector<std::string> metrics = {};  ///< empty: all whose needs are met (labels, a reference)
  int64_t batch = 0;                      ///< 0: chosen by size
  int threads = 0;
  ExecutorKind executor = ExecutorKind::kFast;
  int winograd = 0;  ///< as ExecOptions has it, of the model; a reference is run without
  FloatArithmetic float_arithmetic = FloatArithmetic::kF32;  ///< of the model; a reference is FP32
  /// Of the model, not of a reference.
  IntegerArithmetic integer_arithmetic = IntegerArithmetic::kExact;
  bool keep_outputs = false;
  LogSink log = {};
};

struct Validation {
  int64_t samples = 0;
  /// "top1", "top5", "agreement_with_fp32", "sqnr_db", ...; NaN: without a value, for outputs are
  /// not finite.
  std::map<std::string, double> metrics;
  bool labelled = false;  ///< the data bring labels
  static constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();
  /// The value of that name in `metrics`, kNotMeasured where there is none.
  double metric(const std::string& name) const {
    const auto found = metrics.find(name);
    return found == metrics.end() ? kNotMeasured : found->second;
  }
  /// metric("top1"), ("top5"), ("agreement_with_fp32"), ("sqnr_db").
  double top1 = kNotMeasured, top5 = kNotMeasured, agreement = kNotMeasured, sqnr_db = kNotMeasured;
  int64_t nonfinite_outputs = 0;  ///< elements of the first output that are NaN or infinite
  int64_t nonfinite_samples = 0;  ///< samples that have such an element
  double seconds = 0;             ///< inference of the candidate, without decoding
  double images_per_second = 0;
  Tensor outputs;               ///< first graph output, samples along axis 0; where asked
  std::vector<StepInfo> steps;  ///< what ran, of the last batch
  int64_t arena_bytes = 0;      ///< of the last batch's plan
  int64_t packed_bytes = 0;     ///< of its packed weights
  std::vector<LayerSaturation> saturation;  ///< over all samples; empty where integers are exact
};

struct MetricInfo {
  std::string name, help;
  bool higher_is_better = true;
  bool needs_labels = false, needs_reference = false;
};
LAPIDARY_API std::vector<MetricInfo> list_metrics();

/// Runs `model` over the data. Throws Error{kUsage} for an unknown metric or one whose needs are
/// not met.
LAPIDARY_API Validation evaluate(const Graph& model, const Dataset& data,
                                 const EvaluateOptions& options = {});
/// The same beside a float reference: agreement (same largest output) and SQNR of the first output,
/// mean over samples of 10 log10(sum y^2 / sum (y - yq)^2).
LAPIDARY_API Validation validate(const Graph& model, const Graph& reference, const Dataset& data,
                                 const EvaluateOptions& options = {});

struct CompareOptions {
  int64_t samples = 16;
  int threads = 0;
  LogSink log = {};
};
struct LayerError {
  std::string tensor, node, op;
  double sqnr_db = 0, cosine = 0;
};
struct LayerComparison {
  std::vector<LayerError> layers;  ///< in the model's order
  int64_t equalized = 0;  ///< tensors left out: equalization scaled their channels (kEqualizedKey)
  int64_t unlike = 0;     ///< tensors left out: their shapes differ, or their type has no values
};
/// Every float tensor of `model` that `reference` has by name too. Throws Error{kUsage} where
/// `options.samples` is below 1 or the data are empty.
LAPIDARY_API LayerComparison compare_layers(const Graph& model, const Graph& reference,
                                            const Dataset& data,
                                            const CompareOptions& options = {});

struct BenchOptions {
  std::vector<int> threads = {1};
  int64_t batch = 1;     ///< of inputs whose first axis is open
  double seconds = 1.0;  ///< per thread count, after warm-up
  int warmup = 3;
  /// Shapes for inputs by name; one size for a symbolic dim by its name ({"N", {8}}), wherever an
  /// input without a shape of its own has it.
  std::map<std::string, Shape> input_shapes = {};
  /// Inputs by name instead of random ones.
  std::map<std::string, Tensor> inputs = {};
  /// Inputs by name that hold one number in every element.
  std::map<std::string, double> constants = {};
  uint64_t seed = 0;  ///< of the random input
  int winograd = 0;   ///< as ExecOptions has it
  FloatArithmetic float_arithmetic = FloatArithmetic::kF32;
  LogSink log = {};
};
/// Latency of one inference on random input (seeded): floats in [-1, 1), integers 0 or 1. Throws
/// Error{kUsage} for names that are neither inputs nor symbols, open sizes that nothing binds, and
/// a batch other than 1 that no input is open to.
LAPIDARY_API std::vector<Latency> bench(const Graph& model, const BenchOptions& options = {});

/// The steps of the plan with the median time of each over profiled inferences, on the first of
/// `options.threads`.
LAPIDARY_API std::vector<StepInfo> bench_layers(const Graph& model,
                                                const BenchOptions& options = {});

/// Another engine beside this one, on one number of threads.
struct PeerLatency {
  std::string engine, version;
  Latency latency;
  /// Median over the rounds of (the peer's median / this engine's): above 1 this engine is faster.
  double speedup = 0;
};
struct VersusRow {
  Latency own;
  std::vector<PeerLatency> peers;
};
/// `bench` with peers in turn, the order reversed from round to round, so that all meet the same
/// machine. A peer is ENGINE or ENGINE=FILE (another file to run): "onnxruntime", "openvino" (its
/// default precision), "openvino-f32", "openvino-bf16", "litert" (needs a .tflite file), each in a
/// process of its own by the Python packages of `python3` or $LAPIDARY_PYTHON; "lapidary" (needs a
/// file), in this process and in FP32. Throws Error{kUsage} for an unknown engine,
/// Error{kUnsupported} where a peer cannot run.
LAPIDARY_API std::vector<VersusRow> bench_versus(const std::string& model_file,
                                                 const std::vector<std::string>& peers,
                                                 const BenchOptions& options = {});

struct ModelSummary {
  std::vector<std::pair<std::string, int64_t>> ops;  ///< name and count, most first
  int64_t nodes = 0, parameters = 0, nonzero_parameters = 0, parameter_bytes = 0, macs = 0;
  struct Layer {
    std::string node, op, output_type;
    int64_t macs = 0, parameters = 0, bytes = 0;
  };
  std::vector<Layer> layers;
  std::vector<std::string> inputs, outputs;  ///< "x float32[N,3,224,224]"
  std::vector<std::string> unknown_types;  ///< labels of nodes whose outputs could not be inferred
  bool macs_complete = true;               ///< false: some layer's shapes are not known
};
/// `input_shapes` as in BenchOptions; symbols of a batch axis that it leaves open count as 1.
LAPIDARY_API ModelSummary summarize(const Graph& model,
                                    const std::map<std::string, Shape>& input_shapes = {});
/// What the fast executor makes of a model, nothing run.
struct ExecutionPlan {
  std::vector<StepInfo> steps;  ///< fused; each with MACs, parameters, bytes and kernel
  int64_t arena_bytes = 0;      ///< of activations
  int64_t packed_bytes = 0;     ///< of weights as the kernels read them
};
/// For one sample where the batch is open. Empty where other sizes are; throws as Executor does.
LAPIDARY_API ExecutionPlan plan_execution(const Graph& model,
                                          const std::map<std::string, Shape>& input_shapes = {},
                                          const ExecOptions& options = {});

struct SelftestResult {
  struct Op {
    int64_t passed = 0, failed = 0, unsupported = 0;
  };
  std::map<std::string, Op> ops;
  Op summary;
  std::vector<std::string> passed, failed, unsupported;  ///< case names; failed ones with why
  std::vector<std::string>
      without_model;                 ///< cases whose model is to be fetched: none of the above
  std::vector<std::string> skipped;  ///< as asked: none of the above
};
struct SelftestOptions {
  ExecutorKind executor = ExecutorKind::kReference;
  std::string filter = "*";
  std::vector<std::string> skip =
      {};  ///< names of cases not to run, such as those whose data are wrong
};
/// Runs the ONNX backend test layout (folders with model.onnx and test_data_set_*/, at any depth; a
/// case is called by its path in `folder`). Outputs are compared in dtype, shape and every value:
/// rtol 1e-3, atol 1e-7 (onnx.backend.test.case's own); bfloat16 with rtol 2^-7, one unit in its
/// last place, for the stored data were cut, not rounded.
LAPIDARY_API SelftestResult selftest(const std::string& folder,
                                     const SelftestOptions& options = {});

}  // namespace lapidary
