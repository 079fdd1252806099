#pragma once

#include <span>
#include <string_view>

#include "distill/fragment.h"
#include "lapidary/distill.h"
#include "src/base/params.h"

namespace lapidary {

/// What a loss compares.
enum class Compared {
  kScores,    ///< of classes, before a Softmax; the graph's outputs where no layer is named
  kValues,    ///< anything; the graph's outputs where no layer is named
  kFeatures,  ///< layers, which must be named
};

/// What a loss is given to see.
struct DistillTraits {
  Compared compared;
  bool reads_labels = false;
  bool among_samples = false;  ///< compares the samples of a batch with each other
};

/// A row of losses.def.
struct DistillDef : DistillTraits {
  std::string_view name, help;
  const FieldTable& (*fields)();
  Setting (*defaults)();  ///< of those fields
  /// A scalar: the mean over samples. Throws Error{kUsage} where the two do not fit.
  ValueId (*build)(DistillFragment& fragment, const LayerPair& pair, const Setting& params);
};
std::span<const DistillDef* const> all_distill_losses();
/// Throws Error{kUsage} with the closest names.
const DistillDef& find_distill_loss(std::string_view name);

/// A row for a struct that has fields() and
/// `ValueId operator()(DistillFragment&, const LayerPair&) const`.
template <class Params>
constexpr DistillDef distill_row(std::string_view name, std::string_view help,
                                 DistillTraits traits) {
  return {traits,
          name,
          help,
          &Params::fields,
          [] {
            const Params defaults;
            return unbind(Params::fields(), &defaults);
          },
          [](DistillFragment& f, const LayerPair& pair, const Setting& params) {
            return bind<Params>(params)(f, pair);
          }};
}

}  // namespace lapidary
