#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/export.h"
#include "lapidary/graph.h"

namespace lapidary {

enum class ExecutorKind {
  kFast,       ///< kernels, fused and planned
  kReference,  ///< the op table's evaluations, node by node: the judge
};

/// What products and sums of floats are computed in.
enum class FloatArithmetic {
  kF32,   ///< FP32; FP16 in the file is how constants are stored, and where they multiply as they
          ///< are they stay FP16 in memory
  kBf16,  ///< convolutions, transposed ones too, and products by constant matrices multiply BF16
          ///< (both factors rounded half to even); FP32 stay their sums, depthwise convolutions,
          ///< those of groups with an odd number of channels and everything else
  kF16,   ///< every input, constant and op's result is rounded to FP16, sums FP32, as FP16 hardware
          ///< computes; of a file with FP16 values only those, of others after graph optimization
          ///< (BatchNormalization folded, MatMul and the Add of a bias one op). Computed by FP32
          ///< kernels: its time is not that of such hardware
  kF16Storage,  ///< kF32 with the constants that convolutions (but depthwise ones) and products
                ///< read rounded to FP16
};

/// "float32", "bfloat16", "float16", "float16 storage".
LAPIDARY_API std::string_view float_arithmetic_name(FloatArithmetic arithmetic);

/// Whose products of bytes are computed. An execution profile names engine, version, kind of CPU.
enum class IntegerArithmetic {
  /// Exact sums in 32 bits: "onnxruntime-1.31/vnni", what ONNX Runtime computes on CPUs with VNNI.
  kExact,
  /// "onnxruntime-1.31/avx2", what it computes on x86 CPUs with AVX2 or AVX512 but no VNNI: where
  /// weights are s8, products of neighbours in K (in convolutions ordered ky, kx, channel) are
  /// added in pairs that saturate to 16 bits. Exact there too: depthwise convolutions, u8 weights,
  /// products of two computed matrices.
  kAvx2Saturating,
};
/// "onnxruntime-1.31/vnni", "onnxruntime-1.31/avx2".
LAPIDARY_API std::string_view execution_profile(IntegerArithmetic arithmetic);
/// By profile, or by what it does: "exact", "avx2-saturating". Throws Error{kUsage}.
LAPIDARY_API IntegerArithmetic integer_arithmetic(std::string_view name);
/// All that `integer_arithmetic` takes.
LAPIDARY_API std::vector<std::string> integer_arithmetic_names();

/// The values of ExecOptions::winograd.
inline constexpr std::array kWinogradTiles{0, 2, 4};

struct ExecOptions {
  ExecutorKind executor = ExecutorKind::kFast;
  int threads = 0;  ///< 0: the process's thread count
  /// `run` returns every computed value, not only the outputs: of the graph as written (reference)
  /// or as lowered to integer ops (fast); nothing is fused then.
  bool keep_all_values = false;
  bool profile = false;  ///< fill StepInfo::milliseconds; a batch is then run whole
  /// 2 or 4: float 3x3 convolutions of stride 1 may be computed by Winograd's F(m x m, 3 x 3) with
  /// m up to that, where it is faster; sums then differ by some 1e-6 of their largest terms instead
  /// of 1e-7. Steps show it as kernel conv_f32_winograd2_*, conv_f32_winograd4_*. 0: none.
  int winograd = 0;
  /// The reference takes kF32 (an op of FP16 values rounds its result) and kF16.
  FloatArithmetic float_arithmetic = FloatArithmetic::kF32;
  IntegerArithmetic integer_arithmetic = IntegerArithmetic::kExact;  ///< other: fast executor only
};

/// One step of a plan: what a node, or several fused, became.
struct StepInfo {
  std::vector<std::string> nodes;  ///< node keys, the first names the step
  std::string op;
  std::string kernel;     ///< "conv_s8_avx512vnni", "reference"
  std::string precision;  ///< what is multiplied, or the type: "int8", "float32", "bfloat16", ...
  int64_t macs = 0;
  int64_t parameters = 0;
  int64_t bytes_moved = 0;  ///< inputs, weights and outputs, each once
  double milliseconds = 0;  ///< of the last run, where profiled
};

/// What became of a layer's sums of pairs under IntegerArithmetic::kAvx2Saturating.
struct LayerSaturation {
  std::string node, op;
  int64_t pair_sums = 0;  ///< added up so far
  int64_t saturated = 0;  ///< of them
};

/// A tapped value just after it was computed.
struct TapView {
  std::string_view value;
  TensorView tensor;  ///< shape as the graph says it ([N,C,...]), elements as laid out below
  /// Elements lie as [N,...,C] although the shape says [N,C,...]; of any rank from 3 on. The same
  /// value may lie so in one plan and not in another.
  bool channels_last = false;
};
using TapFn = std::function<void(const TapView&)>;

/// Runs a graph. Plans (shapes, fusion, packed weights, arena) are made per set of input shapes and
/// kept. A QDQ graph is lowered to integer kernels; what is left float is reported by `steps`. Not
/// safe for use from two threads at once; two Executors are.
class LAPIDARY_API Executor {
 public:
  using Values = std::map<std::string, Tensor>;

  /// Throws Error{kUnsupported} listing all ops (with counts) that cannot be executed.
  explicit Executor(Graph graph, ExecOptions options = {});
  ~Executor();
  Executor(Executor&&) noexcept;
  Executor& operator=(Executor&&) noexcept;

  /// Inputs by name -> outputs by name. Throws Error{kInvalid} for missing, unknown or mis-shaped
  /// inputs.
  Values run(const Values& inputs);

  /// `fn` is called for each of `values` (names of the graph given) whenever it was computed, in
  /// execution order, from the calling thread; not for constants. A tapped value is computed as
  /// such: nothing is fused or folded across it (tap the result of a BatchNormalization, not of the
  /// convolution before it, to keep the two merged). Replaces earlier taps; empty: none. Throws
  /// Error{kUsage} for an unknown name and for a float value of a QDQ graph that only exists inside
  /// an integer kernel.
  void tap(std::vector<std::string> values, TapFn fn);

  /// Steps of the most recent plan; before any run those for the graph's own shapes, an unknown
  /// leading axis taken as 1 (empty where other sizes are unknown).
  const std::vector<StepInfo>& steps() const;
  /// Bytes of the most recent plan's activation arenas (of all threads, where the batch is run in
  /// parts), and of its packed weights.
  int64_t arena_bytes() const;
  int64_t packed_bytes() const;
  /// The layers that can saturate, in execution order, over all runs so far; empty where integer
  /// arithmetic is exact.
  std::vector<LayerSaturation> saturation() const;
  const Graph& graph() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lapidary
