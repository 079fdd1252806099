#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/factorize/layer.h"

namespace lapidary::lowrank {

using Ranks = std::vector<int64_t>;

/// A layer's weights, taken apart: what any ranks cost and keep. Ranks: one, or two that belong to
/// two axes; each from 1 to the full one.
class Decomposition {
 public:
  virtual ~Decomposition() = default;
  virtual Ranks full() const = 0;
  /// Share of ||W||^2 that is kept, at least.
  virtual double energy(const Ranks& ranks) const = 0;
  /// Of each axis, by `vbmf_rank`.
  virtual Ranks vbmf() const = 0;
  /// Of the layer that is left; with sizes that are not known as 1.
  virtual FactorizeCost cost(const Ranks& ranks) const = 0;
  /// `refined`: as near to W as the method comes; else nodes of the same sizes, sooner.
  virtual std::vector<Factor> factors(const Ranks& ranks, bool refined) const = 0;
  /// W' [O, taps I] that these factors compute together.
  virtual Matrix composed(const std::vector<Factor>& factors) const = 0;
};

/// A row of methods.def: one small file in methods/.
struct Method {
  std::string_view name, help;
  /// Why it does not fit the layer's form; empty: it does.
  std::string (*refusal)(const Layer& layer);
  /// `w`: weights_of the layer. `inputs`: sums of x x^T of what its columns multiply
  /// [taps I, taps I], the error to be that of outputs; null: that of weights. Both outlive the
  /// result.
  std::unique_ptr<Decomposition> (*take_apart)(const Layer& layer, const Matrix& w,
                                               const Matrix* inputs);
  bool reads_inputs = false;  ///< `inputs` may be given
};
std::span<const Method* const> all_methods();
/// Throws Error{kUsage} with the closest names.
const Method& find_method(std::string_view name);

}  // namespace lapidary::lowrank
