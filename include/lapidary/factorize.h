#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/data.h"
#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/log.h"
#include "lapidary/named.h"

namespace lapidary {

/// How ranks are chosen: layer by layer, or of all layers for a bound on the whole model.
struct RankRule {
  /// energy: the cheapest ranks that keep this share of the squared singular values;
  /// share: this share of the full rank, of each axis that has one;
  /// vbmf: `value` of the way from the full rank to the one of variational Bayes;
  /// macs | parameters | latency: this share of the whole model's is left at most, where the
  /// layers lose as little energy as they can.
  std::string by = "energy";
  double value = 0.9;

  /// All that `by` may be.
  static constexpr std::array kRules = {"energy", "share", "vbmf", "macs", "parameters", "latency"};

  /// Of a bound on the whole model.
  bool is_target() const { return by == "macs" || by == "parameters" || by == "latency"; }
};

struct FactorizeOptions {
  RankRule ranks = {};
  /// See list_factorizations; empty: all of them. Of several that fit a layer each is looked at.
  std::vector<std::string> methods = {};
  /// Ranks are multiples of it, rounded up, or full.
  int64_t round_to = 8;
  std::vector<std::string> keep = {};  ///< node patterns: layers that stay as they are
  /// Milliseconds of a graph, which is the whole model or one layer alone, as it is or in factors.
  /// `again`: not to be answered from memory. Needed for `latency`; otherwise, where it is given,
  /// layers that are slower in factors stay as they are.
  std::function<double(const Graph& graph, bool again)> latency = {};
  /// Where given, the error is not ||W - W'|| but that of outputs on the data, ||(W - W') X||: of
  /// the method svd alone.
  const Dataset* data = nullptr;
  int64_t samples = 256;  ///< of `data`, the first so many; 0: all
  int threads = 0;
  LogSink log = {};
};

struct FactorizeCost {
  int64_t macs = 0;        ///< of one sample; sizes that are not known count as 1
  int64_t parameters = 0;  ///< elements of float constants
};

/// What became of a layer with weights.
struct FactorizedLayer {
  std::string node, op;
  std::string method;                     ///< empty: it stayed as it was
  std::vector<int64_t> ranks = {};        ///< of tucker: input, output channels
  std::vector<int64_t> full = {};         ///< full ranks
  double energy = 1;                      ///< share of ||W||^2 that is kept (of data: ||W X||^2)
  double error = 0;                       ///< ||W - W'|| / ||W||, Frobenius
  FactorizeCost before = {}, after = {};  ///< of the layer's products alone
  std::optional<double> ms_before = {}, ms_after = {};  ///< where it was timed
  std::string reason = {};                              ///< why it stayed as it was
};

struct FactorizeResult {
  Graph graph;
  std::vector<FactorizedLayer> layers;  ///< in graph order
  FactorizeCost before, after;          ///< of the whole model
  /// Of the rule latency: of the whole model; after: as its layers' times predict.
  std::optional<double> ms_before, ms_after;
  double got = 1;  ///< of a bound: share that is left
};

/// Layers with constant weights become two or three smaller ones: the last keeps the layer's name,
/// outputs and bias, those before it are called NAME_u, NAME_v. Types are inferred anew. A layer
/// stays as it is where its factors have no fewer MACs or are not faster. Throws Error{kUsage} for
/// unknown names, patterns that match nothing, values out of range and bounds that cannot be met,
/// Error{kInvalid} for weights that are not finite.
LAPIDARY_API FactorizeResult factorize(const Graph& graph, const FactorizeOptions& options = {});

LAPIDARY_API std::vector<NamedHelp> list_factorizations();

}  // namespace lapidary
