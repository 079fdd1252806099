#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/data.h"
#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/log.h"
#include "lapidary/trainer.h"

namespace lapidary {

/// u8 of the constant's shape by its name: 0 where the element is masked (0, and stays so), else 1.
using Masks = std::map<std::string, Tensor>;

/// Which elements of a layer's weights become zero together. A layer's weights are looked at as one
/// matrix per group: rows are output channels, columns are (tap of the kernel, input channel) with
/// the input channels innermost, the order in which kernels add products up. Gemm and MatMul have
/// one tap.
struct SparsePattern {
  enum class Kind {
    kUnstructured,  ///< every element for itself
    kNM,    ///< of every `m` consecutive input channels of a row and tap, `n` stay (NVIDIA's 2:4)
    kBlock  ///< `rows` output channels by `columns` consecutive input channels of one tap; smaller
            ///< at the ends
  };
  Kind kind = Kind::kUnstructured;
  int64_t n = 2, m = 4;
  int64_t rows = 4, columns = 4;

  /// "unstructured", "2:4" (n:m), "4x8" (rows x columns). Throws Error{kUsage}.
  LAPIDARY_API static SparsePattern parse(std::string_view text);
  LAPIDARY_API std::string text() const;
  bool operator==(const SparsePattern&) const = default;
};

struct SparsifyOptions {
  std::string method = "magnitude";  ///< see list_sparsity_methods
  SparsePattern pattern = {};
  /// Share of the elements that become zero; null: 0.5, of n:m 1 - n / m, which alone it may be.
  std::optional<double> ratio = {};
  /// global: one threshold for all weights; local: each weight tensor gives the same share. Null:
  /// global; of sparsegpt and n:m local, which alone it may be.
  std::optional<std::string> scope = {};
  std::vector<std::string> include =
      {};  ///< node patterns: name, glob, re:REGEX, op:TYPE; empty: all
  std::vector<std::string> exclude = {};  ///< node patterns that stay as they are
  uint64_t seed = 0;                      ///< of random
  /// Movement scores by constant, float32 of its shape (Trainer::movement).
  const std::map<std::string, Tensor>* movement = nullptr;
  /// Elements masked already: they stay so and count. Null: none.
  const Masks* masked = nullptr;
  // Of sparsegpt.
  int64_t samples = 128;  ///< of the data, the first so many; 0: all
  double damping = 0.01;  ///< added to the Hessian's diagonal, in means of it
  int64_t block = 128;    ///< columns whose mask is chosen together, a multiple of m
  int threads = 0;
  LogSink log = {};
};

/// Zeros of one layer's weights.
struct SparseTensor {
  std::string tensor;  ///< the constant
  std::string node;    ///< key of the first layer that reads it
  int64_t elements = 0, zeros = 0;
};
struct Sparsity {
  std::vector<SparseTensor> tensors;  ///< in graph order
  std::vector<std::string> warnings;  ///< what stayed dense, what became all zeros
  Masks masks;                        ///< of `tensors` that have zeros
  int64_t elements = 0, zeros = 0;    ///< in all
};

/// Makes weights zero in place: those of layers with MACs (Conv, ConvTranspose, Gemm, MatMul) that
/// are float32 constants. Nothing is removed: shapes, MACs and time stay what they were. Weights
/// that n:m does not fit (input channels per group no multiple of m) stay dense, with a warning.
/// `samples`: of sparsegpt; the inputs of each layer come from the model whose layers before it are
/// sparse already. Throws Error{kUsage} for unknown names, patterns that match nothing,
/// contradictions, no such weights; Error{kInvalid} for weights or inputs that are not finite.
LAPIDARY_API Sparsity sparsify(Graph& graph, const SparsifyOptions& options = {},
                               const Dataset* samples = nullptr);

/// A share of zeros below which a file's weights are taken as dense: some are zero by chance, or in
/// channels that nothing reads.
inline constexpr double kLeastMasked = 0.1;
/// Masks of the zeros that a graph's float32 layer weights have, behind FakeQuantize too; of
/// tensors with at least `least` of them. For models that were masked before they were saved.
LAPIDARY_API Masks masks_of(const Graph& graph, double least = kLeastMasked);

/// Zeros of all layer weights: float, or integers at their zero point behind DequantizeLinear or in
/// integer operators. No masks.
LAPIDARY_API Sparsity measure_sparsity(const Graph& graph);

struct SparsityMethodInfo {
  std::string name, help;
  bool one_shot = true;        ///< `sparsify` takes it without movement scores
  bool while_training = true;  ///< `gradual_sparsity` takes it
  bool reads_samples = false;
};
/// magnitude, movement, random, sparsegpt.
LAPIDARY_API std::vector<SparsityMethodInfo> list_sparsity_methods();

// -- while training

struct GradualOptions {
  SparsifyOptions sparsify = {};
  double initial = 0;            ///< share of zeros at the beginning; of n:m as far as it goes
  double begin = 0, end = 0.75;  ///< shares of the run
  int64_t every = 100;           ///< steps between two masks
};
/// s(t) = final + (initial - final) (1 - (t - first) / (last - first))^3 for first <= t <= last
/// (Zhu, Gupta 2017); initial before, final behind.
LAPIDARY_API double cubic_sparsity(double initial, double final, int64_t first, int64_t last,
                                   int64_t t);
/// For FitOptions::before_step: masks that grow to options.sparsify's ratio, made anew every
/// `every` steps from round(begin total) to round(end total) from the trainer's weights, movement
/// scores and masks. `graph` is the one that is trained, or what its loss was added to. Throws
/// Error{kUsage} as `sparsify` does, for sparsegpt and shares that contradict each other.
LAPIDARY_API std::function<void(Trainer&, int64_t step, int64_t total)> gradual_sparsity(
    const Graph& graph, const GradualOptions& options);
/// The constants that `sparsify` with these options would change. Throws as it does.
LAPIDARY_API std::vector<std::string> sparsified_tensors(const Graph& graph,
                                                         const SparsifyOptions& options);

}  // namespace lapidary
