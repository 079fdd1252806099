#pragma once

#include <string>
#include <vector>

#include "lapidary/compress.h"
#include "lapidary/ranks.h"
#include "lapidary/trainer.h"

namespace lapidary {

struct BinarizeOptions {
  /// binary | ternary | float: what the weights of layers become. `float` with activations of one
  /// bit is the first of two stages: a second call adds the weights.
  std::string weights = "binary";
  /// Of binary weights, per output channel:
  ///   xnor   mean|w| sign(w)                                            (Rastegari et al. 2016)
  ///   irnet  2^round(log2 mean|v|) sign(v), v = (w - mean) / deviation         (Qin et al. 2020)
  ///   sign   sign(w)
  /// of ternary ones:
  ///   twn    a {-1, 0, 1}: 0 where |w| <= 0.7 mean|w|, a the mean of the others   (Li et al. 2016)
  ///   ttq    {-N, 0, P}, N and P learned, of each layer; 0 up to a share of max|w|
  ///                                                                         (Zhu et al. 2017)
  /// Empty: xnor, twn.
  std::string method = {};
  double threshold = 0.05;  ///< of ttq: that share
  int activations = 1;      ///< bits of layers' inputs: 1, 8 or 32 (float)
  /// What stands for the derivative of the sign: ste | bireal | swish | ede; empty: ede with
  /// irnet, else ste. With bireal the weights have ste, as Liu et al. (2018) have it.
  std::string estimator = {};
  /// ReActNet's layers (Liu et al. 2020): a learned shift of each channel before its sign, and
  /// behind the layer a PRelu between learned shifts, in place of the Relu that is there.
  bool react = false;
  /// Node patterns (name, glob, re:REGEX, op:TYPE) of the layers that are converted; empty: all but
  /// those before or behind which there is no other.
  std::vector<std::string> layers = {};
  std::vector<std::string> skip = {};  ///< patterns of nodes that stay float
  int first_last = 8;                  ///< bits of layers at the ends: 8 (integers) or 32 (float)
  /// What lies around a binary input, where its convolution is padded: zero | one.
  std::string padding = "zero";
  /// packed: Lapidary's operators, one bit (two of ternary weights) each; standard: ONNX's own,
  /// weights as float32 or int8.
  std::string format = "packed";

  std::string target = "onnxruntime-cpu";       ///< of integer layers, see list_targets
  std::string calibrator = kDefaultCalibrator;  ///< of the ranges that they start from
  int64_t samples = 256;                        ///< that those are observed on
  Ranks* ranks = nullptr;  ///< processes that make the same graph together, see QatOptions
  int threads = 0;
  LogSink log = {};
};

struct BinaryGraph {
  Graph graph;  ///< with ai.lapidary.Binarize, BinarizeWeight, TernarizeWeight and FakeQuantize
  std::vector<TrainedParameter> parameters;  ///< its float constants that training changes
  std::vector<std::string> layers;           ///< keys of the layers that are converted
  std::vector<KeptFloat> kept_float;
  std::vector<std::string> warnings;  ///< also in the log
  int64_t bypassed = 0;  ///< Relus (or clamps at 0) behind which signs would all be +1: not read
};

/// The graph that trains binary or ternary layers: convolutions of two spatial axes (group 1) and
/// matrix products with constant weights. BatchNormalization is unfolded; a layer without one is
/// warned of. A clamp at 0 before a sign is not read by it: the sign is of what the clamp read.
/// Activations of 8 bits, and the layers at the ends, are quantized as make_qat_graph does it,
/// whose `statistics` and `samples` these are. A graph that has Binarize nodes is taken on with its
/// nodes: where the weights behind them are float they become what `options` say. Throws
/// Error{kUsage} for unknown names and contradictions, patterns that name no layer, quantized
/// models, and where no layer is left to convert.
LAPIDARY_API BinaryGraph make_binary_graph(const Graph& graph, const Statistics* statistics,
                                           const Dataset* samples,
                                           const BinarizeOptions& options = {});

/// A trained graph as it is deployed: BatchNormalization folded with its running statistics, signs
/// and weights in `options.format`, integer layers as lower_qat leaves them.
///   packed    BinaryConv or BinaryMatMul where signs meet binary weights; other weights are
///             UnpackBinary or UnpackTernary of bits, times their scale
///   standard  Where(x >= 0, 1, -1) and the products of constants
/// `options` as they were for make_binary_graph. Throws Error{kUsage} for a graph that was not made
/// by it, Error{kInvalid} where weights are not finite.
LAPIDARY_API Graph lower_binary(const Graph& trained, const BinarizeOptions& options = {},
                                QuantizeLog* log = nullptr);

/// IR-Net's estimator sharpens in training: before step i of n the graph's `sharpness` constants
/// are
///   t = 0.1 * 100^(i / (n - 1))                                             (Qin et al. 2020)
/// Empty where the graph has none.
LAPIDARY_API TrainHook grow_sharpness(const Graph& graph);

}  // namespace lapidary
