#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lapidary/compress.h"
#include "lapidary/ranks.h"
#include "lapidary/trainer.h"

namespace lapidary {

/// Bits of what integer layers multiply: 2 to 8. What no layer reads (residual sums, scores) has 8.
struct QatBits {
  int weights = 8;
  int activations = 8;  ///< of layers' inputs
  /// Weights and inputs of layers before or behind which there is no other; 0: as all others.
  int first_last = 8;
  /// Node patterns (name, glob, re:REGEX, op:TYPE) and the bits of such layers' weights and inputs;
  /// later ones win, over first_last too. A tensor that several layers read has the most.
  std::vector<std::pair<std::string, int>> layers = {};
};

struct QatOptions {
  std::string target = "onnxruntime-cpu";  ///< see list_targets
  /// lsq     scales learned (Esser et al. 2020)
  /// lsq+    and zero points, of activations that take either sign (Bhalgat et al. 2020)
  /// pact    weights as dorefa, the ends of activations behind a Relu learned (Choi et al. 2018),
  ///         other activations as lsq
  /// dorefa  weights through tanh (Zhou et al. 2016), ranges of activations fixed
  /// fixed   all ranges as observed
  std::string method = "lsq";
  QatBits bits = {};
  std::vector<std::string> skip = {};  ///< node patterns that stay float
  std::optional<bool> per_channel = {};
  /// Weights of at most 4 bits are stored as int4 (opset 21), not in a byte each: half the file.
  /// ONNX Runtime computes such layers in floats.
  bool int4 = false;
  std::string calibrator = kDefaultCalibrator;  ///< of the ranges that training starts from
  int64_t samples = 256;                        ///< that they are observed on
  /// Processes that make the same graph together: each observes its part of the samples.
  Ranks* ranks = nullptr;
  int threads = 0;
  LogSink log = {};
};

struct QatGraph {
  Graph graph;                               ///< with ai.lapidary.FakeQuantize nodes
  std::vector<TrainedParameter> parameters;  ///< its float constants that training changes
  std::vector<KeptFloat> kept_float;
  std::vector<std::string> warnings;  ///< also in the log
};

/// The graph that quantization-aware training trains: placed as `quantize` places Q/DQ, so that it
/// is the graph that will be lowered (clamps that saturation stands for are gone), biases float,
/// BatchNormalization unfolded. Ranges of activations come from `statistics` (of this graph, or
/// null) and, what those lack, from `samples` (may be null). Scales of weights:
///   s = min(2 mean|w| / sqrt(qmax), max|w| / qmax)    lsq, lsq+
///   s = max|w| / qmax                                 otherwise
/// With one scale per output channel a layer's FakeQuantize reads its weights w as they are: its
/// integers are those of the folded weights w r, r = gamma / sqrt(running variance + epsilon),
/// rounded with the scale s |r|, whatever becomes of r. With one scale for all it is
/// FakeQuantize(w r) / r (Krishnamoorthi 2018, 3.2).
/// A QDQ model is lifted (lift_qdq) and keeps its bits and ranges; a graph that has FakeQuantize
/// nodes keeps them. Throws Error{kUsage} for unknown names, patterns of `bits.layers` that name no
/// layer, bits outside 2..8, missing ranges.
LAPIDARY_API QatGraph make_qat_graph(const Graph& graph, const Statistics* statistics,
                                     const Dataset* samples, const QatOptions& options = {});

/// A trained graph as standard QDQ: BatchNormalization folded with its running statistics,
/// weights as int8, biases as int32 where the target keeps them so; activations of fewer than 8
/// bits as QuantizeLinear -> Clip -> DequantizeLinear of bytes. `options` as they were for
/// make_qat_graph. In the log a tensor's calibrator is the method; what was seen of it is not known
/// (NaN). Throws Error{kInvalid} where a scale is not finite.
LAPIDARY_API Graph lower_qat(const Graph& trained, const QatOptions& options = {},
                             QuantizeLog* log = nullptr);

/// The way back from QDQ: pairs of Q and DQ (with a Clip of integers between them) become
/// FakeQuantize, integer constants float32 behind one, biases float32. Bits of weights are read
/// from the integers: the fewest of 2 to 8 that hold them all. Throws Error{kUnsupported}
/// for integer operators.
LAPIDARY_API Graph lift_qdq(const Graph& graph);

}  // namespace lapidary
