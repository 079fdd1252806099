#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lapidary/calibrate.h"
#include "lapidary/data.h"
#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/log.h"

namespace lapidary {

/// Why a node is not integer in the result.
struct KeptFloat {
  std::string node, op, reason;
};

/// One quantized tensor, for the report.
struct TensorQuant {
  std::string tensor;
  std::string role;        ///< "activation", "weight", "bias"
  std::string calibrator;  ///< which one gave the range
  QuantParams params;
  Range seen, chosen;
};

/// What an integer layer multiplies.
struct LayerBits {
  std::string node, op;  ///< its key
  int weights = 8, activations = 8;
};

/// Metadata key of a quantized model: names, one a line, of the activations whose channels were
/// rescaled (QuantizeLog::equalized): they are not the float model's values.
inline constexpr const char* kEqualizedKey = "lapidary.equalized";

struct QuantizeLog {
  std::vector<KeptFloat> kept_float;
  std::vector<TensorQuant> tensors;
  std::vector<LayerBits> layers;       ///< that are integer, in graph order
  std::vector<std::string> quantized;  ///< node keys
  std::vector<std::string> warnings;
  std::vector<std::string> equalized;  ///< activations whose channels were brought to one range
  int64_t corrected_biases = 0;
  int64_t correction_samples = 0;
};

struct QuantizeOptions {
  std::string target = "onnxruntime-cpu";       ///< see list_targets
  std::string format = "qdq";                   ///< qdq | qoperator
  std::string calibrator = kDefaultCalibrator;  ///< see list_calibrators
  std::string weight_calibrator = "minmax";     ///< minmax | mse
  double percentile = 99.99;
  double momentum = 0.1;               ///< of moving_average: a new chunk's weight, (0, 1]
  std::vector<std::string> skip = {};  ///< node patterns: name, glob, re:REGEX, op:TYPE
  /// Only the inputs of Conv, Gemm and MatMul are quantized: slower and more accurate.
  bool inputs_only = false;
  std::optional<std::string> activation_type = {};  ///< uint8 | int8: instead of the target's
  std::optional<bool> per_channel = {};
  std::optional<bool> symmetric = {};
  /// Channels of activations before depthwise convolutions are brought to one range; needs samples.
  bool equalize = true;
  bool bias_correction = true;  ///< needs samples
  /// The correction is left out where the outputs of samples are clearly nearer without it.
  bool check_bias_correction = true;
  double hold_mb = 256;             ///< memory for held samples
  bool requantize = false;          ///< accept a model that is quantized already
  std::string nonfinite = "error";  ///< error | clamp: weights that are NaN or Inf
  int threads = 0;
  LogSink log = {};
};

/// Post-training quantization: standard ONNX out. `graph` is a float model; it is optimized first.
/// `samples` may be null: then bias correction is off and the log says so.
/// Throws Error{kUsage} (unknown names, patterns that match nothing, already quantized), kInvalid
/// (weights that are not finite, statistics of another graph).
LAPIDARY_API Graph quantize(const Graph& graph, const Statistics& statistics,
                            const Dataset* samples, const QuantizeOptions& options = {},
                            QuantizeLog* log = nullptr);
inline Graph quantize(const Graph& graph, const Statistics& statistics, const Dataset& samples,
                      const QuantizeOptions& options = {}, QuantizeLog* log = nullptr) {
  return quantize(graph, statistics, &samples, options, log);
}

/// What `quantize` would do as far as the graph alone says, without doing it: for --dry-run. Clamps
/// (Relu, Clip) count as integer; those stay float after all whose bounds are not the ends of the
/// range that calibration gives their output.
LAPIDARY_API QuantizeLog plan_quantization(const Graph& graph, const QuantizeOptions& options = {});

struct Fp16Options {
  bool weights_only = false;           ///< FP16 initializers behind Cast, float arithmetic
  std::vector<std::string> skip = {};  ///< nodes that stay FP32
  bool keep_io = true;                 ///< graph inputs and outputs stay FP32
  LogSink log = {};
};
/// FP16 model; nodes whose values would overflow FP16 (constants, known-unsafe ops) stay FP32
/// between Casts.
LAPIDARY_API Graph convert_to_fp16(const Graph& graph, const Fp16Options& options = {},
                                   std::vector<KeptFloat>* kept = nullptr);

struct TargetInfo {
  std::string name, help;
  std::string engine;  ///< whose kernels its files are for; empty: ONNX Runtime's and Lapidary's
};
LAPIDARY_API std::vector<TargetInfo> list_targets();

}  // namespace lapidary
