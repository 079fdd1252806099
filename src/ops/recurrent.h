#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "src/ops/movement.h"

// What RNN, GRU and LSTM share: directions, batch, sequence lengths, activations. Their cells
// differ.

namespace lapidary {

/// f of a gate or cell.
struct Activation {
  std::string_view name;       ///< lower case: "tanh"
  double alpha = 0, beta = 0;  ///< the node's, or the defaults; 0 where it has none
  double (*apply)(double x, double alpha, double beta) = nullptr;
  double operator()(double x) const { return apply(x, alpha, beta); }
};
/// All directions' in a row. `defaults` are those of one direction where the node names none.
/// Throws Error{kInvalid} for unknown names and too few.
LAPIDARY_API std::vector<Activation> read_activations(const AttrView& attrs,
                                                      const std::vector<std::string>& defaults);
/// 1 or 2. Throws Error{kInvalid} for an unknown `direction`.
LAPIDARY_API int64_t directions_of(const AttrView& attrs);

/// The weights of one direction, in double.
struct RecurrentWeights {
  int64_t input_size = 0, hidden_size = 0, gates = 0;
  std::span<const double> w;         ///< [gates * hidden, input]
  std::span<const double> r;         ///< [gates * hidden, hidden]
  std::span<const double> w_bias;    ///< [gates * hidden]
  std::span<const double> r_bias;    ///< [gates * hidden]
  std::span<const double> peephole;  ///< [3 * hidden], LSTM: i, o, f; may be empty
  std::vector<Activation> activations;
  double clip = 0;  ///< bound of what enters an activation; 0: none

  /// Row `gate * hidden + unit` of W on x (without bias), and of R on h.
  double input_sum(int64_t gate, int64_t unit, std::span<const double> x) const;
  double hidden_sum(int64_t gate, int64_t unit, std::span<const double> h) const;
  double bias(int64_t gate, int64_t unit) const;
  double activate(size_t which, double x) const;
};

/// One time step of one batch element: h and c are read and replaced.
using RecurrentCell = std::function<void(const RecurrentWeights&, std::span<const double> x,
                                         std::span<double> h, std::span<double> c)>;

/// Types of Y, Y_h (and Y_c); X [T,B,I], W [D,gates*H,I], R [D,gates*H,H], layout 1: batch first.
void infer_recurrent(InferContext& ctx, int64_t gates);

/// Runs `cell` over time. `defaults` are the activations of one direction where the node has none.
void evaluate_recurrent(EvalContext& ctx, int64_t gates, const std::vector<std::string>& defaults,
                        const RecurrentCell& cell);

/// Attributes of all three.
std::vector<AttrSpec> recurrent_attrs(std::vector<AttrSpec> own = {});

}  // namespace lapidary
