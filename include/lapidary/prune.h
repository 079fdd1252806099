#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lapidary/data.h"
#include "lapidary/exec.h"
#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/log.h"
#include "lapidary/named.h"
#include "lapidary/trainer.h"

namespace lapidary {

/// What an axis is to the units that it loses elements with.
enum class UnitRole {
  kWeightOut,  ///< output channels of a weight: what computes the units
  kWeightIn,   ///< input channels of a weight: what reads them
  kBias,
  kGain,  ///< of a normalization
  kRead,  ///< a computed value's, where a node sums over it
  kOther
};

/// An axis of a tensor that loses elements with units of a group.
struct PruneMember {
  std::string tensor;
  int64_t axis = 0;
  UnitRole role = UnitRole::kOther;
  std::string node;                            ///< node_key of its first reader
  std::vector<std::vector<int64_t>> elements;  ///< per unit: its places on the axis
};

/// Units (channels, heads, features) of which each can be removed alone, with its elements in all
/// members; they are alike: each has as many elements of the same axes. Two at least: one unit must
/// stay.
struct PruneGroup {
  /// node_key of the first node that computes them; of several groups of one node the second is
  /// "NODE #2". Unique.
  std::string name;
  int64_t units = 0;
  std::vector<PruneMember> members;
  /// Computed values whose units are summed over: what readers (`node`) see of them, before each
  /// reader's weights. `tensor` is the value.
  std::vector<PruneMember> read;
  /// Why the rest would not come out as before even where a unit was zero; empty: it would.
  std::string lossy;
};

/// An axis of a weight that keeps all its elements.
struct FrozenAxis {
  std::string tensor, node;
  int64_t axis = 0, size = 0;
  std::string reason;  ///< the first that was found
};

/// Per group, ascending.
using RemovedUnits = std::vector<std::vector<int64_t>>;

struct PruneCost {
  int64_t macs = 0;        ///< of one sample; sizes that are not known count as 1
  int64_t parameters = 0;  ///< elements of float constants
  int64_t bytes = 0;       ///< of constants
};

/// A graph with what of it can be removed: element by element of every axis, which go together, by
/// the op table's rules (OpDef::axes); what no rule proves is frozen.
class LAPIDARY_API PruningGraph {
 public:
  /// Works on a copy in which functions are inlined, shape arithmetic that is known is folded and
  /// Splits list their sizes. Throws Error{kInvalid} for graphs whose types contradict each other,
  /// Error{kUnsupported} for models that are quantized or have float16 weights: models are pruned
  /// before.
  explicit PruningGraph(const Graph& graph);
  ~PruningGraph();
  PruningGraph(PruningGraph&&) noexcept;
  PruningGraph& operator=(PruningGraph&&) noexcept;

  const Graph& graph() const;  ///< that copy
  const std::vector<PruneGroup>& groups() const;
  const std::vector<FrozenAxis>& frozen() const;

  /// Throws Error{kUsage} where a group is missing or would keep nothing.
  PruneCost cost(const RemovedUnits& removed) const;
  /// Without these units: smaller constants, attributes and shapes that follow; names are kept.
  /// Types are inferred anew. Throws as `cost`.
  Graph prune(const RemovedUnits& removed, KeptElements* kept = nullptr) const;
  /// `graph()` with these units zeroed where nodes sum over them: what `prune` must compute, up to
  /// the order of sums, where no group that lost units is lossy.
  Graph masked(const RemovedUnits& removed) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// -- scores

/// How much each unit matters, by one criterion.
struct CriterionSpec {
  std::string kind = "magnitude";  ///< see list_criteria
  Numbers params = {};             ///< see list_criteria
  /// A unit's score over its group's members: sum | mean | max.
  std::string reduce = "mean";
  /// Scores of a group, divided by: none | mean | max | sum | norm (2-norm).
  std::string normalize = "mean";
  uint64_t seed = 0;  ///< of `random`
};
/// What criteria look at besides weights.
struct ScoreInputs {
  Gradients gradients = {};       ///< of criteria that need_gradients
  const Dataset* data = nullptr;  ///< of criteria that need_data
  int64_t samples = 128;          ///< of `data`, spread over it
  int threads = 0;
};
/// Per group and unit, not negative; a low score may go. A group of which the criterion sees
/// nothing (norm_scale: no normalization; of data: no value that is read, or not by a weight) is
/// scored by the root mean square of a unit's weights: normalize, then, before groups are compared.
/// Throws Error{kUsage} for unknown names and for inputs that the criterion lacks, Error{kInvalid}
/// for scores that are not finite.
using UnitScores = std::vector<std::vector<double>>;
LAPIDARY_API UnitScores score_units(const PruningGraph& graph, const CriterionSpec& spec,
                                    const ScoreInputs& inputs = {});
LAPIDARY_API bool needs_gradients(const CriterionSpec& spec);
LAPIDARY_API bool needs_data(const CriterionSpec& spec);
LAPIDARY_API std::vector<NamedHelp> list_criteria();

// -- selection

/// What is to be left, as a share of what was there: of units, multiply-accumulates, parameters,
/// bytes of constants, or of what SelectOptions::latency says. One of them.
struct PruneTarget {
  std::string of = "units";  ///< units | macs | parameters | size | latency
  double share = 0.5;
};
struct SelectOptions {
  PruneTarget target = {};
  /// global: all units in one ranking; local: the same share of every group.
  std::string scope = "global";
  int64_t round_to = 1;  ///< units left in a group are a multiple of it where it has as many
  /// global: rank by score over what one unit alone saves of the target's cost.
  bool per_cost = false;
  double max_ratio = 0.9;  ///< no group loses a larger share of its units
  bool lossy = false;      ///< groups that are lossy too
  /// Patterns of nodes (name, glob, re:REGEX, op:TYPE), globs of their weights or names of groups:
  /// these lose nothing.
  std::vector<std::string> keep = {};
  /// Of the target latency: milliseconds (or any other cost) of the graph without these units.
  std::function<double(const RemovedUnits&)> latency = {};
  /// Such a pattern -> share of the units of every group it matches that goes, exactly.
  std::map<std::string, double> ratios = {};
};
struct Selection {
  RemovedUnits removed;
  PruneCost before, after;
  double asked = 0, got = 0;  ///< share left of what the target counts
  std::vector<std::string>
      reasons;  ///< per group: why it may lose nothing, "by name: conv1"; or empty
  /// Where the nearest point is further from the target than one unit explains: the options that
  /// are in the way, "max_ratio (0.9)"; else empty.
  std::vector<std::string> in_the_way;
};
/// The units of lowest score, as many as come closest to the target. Throws Error{kUsage} for
/// patterns that match no group and targets out of range.
LAPIDARY_API Selection select_units(const PruningGraph& graph, const UnitScores& scores,
                                    const SelectOptions& options);

// -- proof

/// The largest difference between elements of `pruned`'s outputs, that `graph.prune(removed)` gave,
/// and a of the masked graph on the same inputs, as a share of |a| + s, where s is the root mean
/// square of the smallest-valued slice (channel, sample) that the element lies in: some 1e-5 where
/// the two sum in another order, near 1 where an index is wrong. Throws Error{kUnsupported}
/// where the graph cannot be executed, Error{kInvalid} where outputs are not finite,
/// Error{kInternal} where the pruned graph alone cannot be executed.
LAPIDARY_API double compare_with_masked(const PruningGraph& graph, const RemovedUnits& removed,
                                        const Graph& pruned, const Executor::Values& inputs,
                                        int threads = 0);
/// What `compare_with_masked` may give of a pruned graph that is right.
inline constexpr double kMaskedTolerance = 1e-3;

// -- repair without labels

struct RepairOptions {
  int64_t samples = 1024;  ///< of the data, the first ones; 0: all
  /// Layers that read what was removed get weights that bring their outputs nearest to what they
  /// were: W' = W H[:, S] (H[S, S] + damping mean(diag H) I)^-1, H = X X^T of the layer's inputs in
  /// the whole model, S the inputs that are left (He et al. 2017, with all of S at once).
  bool weights = true;
  double damping = 0.01;
  /// Mean and variance of every channel: those of BatchNormalization are estimated anew; layers
  /// that none follows are scaled and shifted so that their outputs have those of the whole model.
  bool statistics = true;
  /// Weights that are zero stay zero: least squares over the others of each row.
  bool keep_zeros = false;
  int threads = 0;
  LogSink log = {};
};
struct RepairRecord {
  int64_t weights = 0;                  ///< layers with new weights
  int64_t norms = 0;                    ///< BatchNormalizations with new statistics
  int64_t scaled = 0;                   ///< layers that were scaled and shifted
  std::vector<std::string> notes = {};  ///< layers that were left as they are, with the reason
};
/// Brings `pruned`, that `graph.prune(removed)` gave, nearer to what `graph` computes. Throws
/// Error{kInvalid} where values are not finite.
LAPIDARY_API RepairRecord repair(const PruningGraph& graph, const RemovedUnits& removed,
                                 Graph& pruned, const Dataset& data,
                                 const RepairOptions& options = {});

// -- sparse learning

/// What a step of training does to units beside the loss: pulls them towards 0, apart from the
/// optimizer and its memory, by lr (the step's learning rate) times `strength`.
struct RegularizerSpec {
  std::string kind = "group_lasso";  ///< see list_regularizers
  double strength = 1e-3;
  Numbers params = {};  ///< see list_regularizers
};
/// What FitOptions::before_step does for a graph made of `graph.graph()` (its loss added): names of
/// constants are the same. Of the constants of a unit it changes those that training changes.
/// `units`: those it acts on; empty: all of groups that are not lossy. Throws Error{kUsage} for
/// unknown names, values out of range, units that the graph lacks or the kind must be given, and
/// graphs with nothing to act on.
LAPIDARY_API TrainHook make_regularizer(const PruningGraph& graph, const RegularizerSpec& spec,
                                        std::function<double(int64_t step, int64_t total)> lr,
                                        const RemovedUnits& units = {});
/// Whether it must be given units: those that are to go.
LAPIDARY_API bool needs_units(const RegularizerSpec& spec);
LAPIDARY_API std::vector<NamedHelp> list_regularizers();

}  // namespace lapidary
