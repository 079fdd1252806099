#include "prune/regularizer.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/passes/parameters.h"

namespace lapidary::prune {

#define LAPIDARY_REGULARIZER(name) const Regularizer& regularizer_##name();
#include "prune/regularizers.def"
#undef LAPIDARY_REGULARIZER

std::span<const Regularizer* const> all_regularizers() {
  static const std::vector<const Regularizer*> kAll = {
#define LAPIDARY_REGULARIZER(name) &regularizer_##name(),
#include "prune/regularizers.def"
#undef LAPIDARY_REGULARIZER
  };
  return kAll;
}

const Regularizer& find_regularizer(std::string_view name) {
  std::vector<std::string> names;
  for (const Regularizer* row : all_regularizers()) {
    if (row->name == name) return *row;
    names.emplace_back(row->name);
  }
  fail_usage("no regularizer is called '{}'; there are {}{}", printable(name),
             fmt::join(names, ", "), did_you_mean(name, names));
}

namespace {

/// Names of the constants that training changes.
std::set<std::string> trained_names(const Graph& graph) {
  std::set<std::string> names;
  for (const ParameterUse& use : parameter_uses(graph))
    if (is_trained(use.role)) names.insert(graph.value(use.constant).name);
  return names;
}

/// All units of groups that can go without a trace.
RemovedUnits units_not_lossy(const PruningGraph& graph) {
  RemovedUnits all;
  for (const PruneGroup& group : graph.groups()) {
    std::vector<int64_t>& units = all.emplace_back();
    for (int64_t u = 0; group.lossy.empty() && u < group.units; ++u) units.push_back(u);
  }
  return all;
}

void check_units(const PruningGraph& graph, const RemovedUnits& units) {
  const auto& groups = graph.groups();
  if (units.size() != groups.size())
    fail_usage("units of {} groups are given, the graph has {}", units.size(), groups.size());
  for (size_t g = 0; g < groups.size(); ++g)
    for (const int64_t u : units[g])
      if (u < 0 || u >= groups[g].units)
        fail_usage("group '{}' has units 0 to {}, given is {}", groups[g].name, groups[g].units - 1,
                   u);
}

/// An axis of a constant, each of whose places belongs to a block or to none.
struct BlockAxis {
  static constexpr int64_t kNone = -1;
  size_t constant = 0;
  size_t axis = 0;
  std::vector<int64_t> blocks;  ///< by place

  /// f(block, elements) for runs of elements of one block.
  template <class T, class F>
  void each_run(const Shape& shape, std::span<T> elements, F f) const {
    size_t inner = 1;
    for (size_t d = axis + 1; d < shape.size(); ++d) inner *= static_cast<size_t>(shape[d]);
    for (size_t begin = 0, place = 0; begin < elements.size(); begin += inner) {
      if (blocks[place] != kNone) f(blocks[place], elements.subspan(begin, inner));
      if (++place == blocks.size()) place = 0;
    }
  }
};

class ShrinkBlocks {
 public:
  ShrinkBlocks(const PruningGraph& graph, const Regularizer& kind, Shrink shrink,
               std::function<double(int64_t, int64_t)> lr, const RemovedUnits& units)
      : shrink_(std::move(shrink)), lr_(std::move(lr)) {
    const std::set<std::string> trained = trained_names(graph.graph());
    for (size_t g = 0; g < units.size(); ++g) {
      const int64_t first = count_;
      if (!kind.gains) count_ += std::ssize(units[g]);
      for (const PruneMember& member : graph.groups()[g].members)
        if (kind.gains ? member.role == UnitRole::kGain : trained.contains(member.tensor))
          add(graph.graph(), member, units[g], kind.gains ? BlockAxis::kNone : first);
    }
  }

  bool empty() const { return axes_.empty(); }

  void operator()(Trainer& trainer, int64_t step, int64_t total) const {
    std::vector<Tensor> constants;
    for (const std::string& name : names_) constants.push_back(trainer.constant(name));
    std::vector<double> squares(static_cast<size_t>(count_));
    for (const BlockAxis& axis : axes_) {
      const Tensor& constant = constants[axis.constant];
      axis.each_run(constant.shape(), constant.data<float>(), [&](int64_t block, auto run) {
        double& sum = squares[static_cast<size_t>(block)];
        for (const double x : run) sum += x * x;
      });
    }
    const double lr = lr_(step, total);
    std::vector<float> factors;
    for (const double sum : squares)
      factors.push_back(static_cast<float>(std::max(0.0, shrink_(std::sqrt(sum), lr, step))));
    std::vector<bool> changed(names_.size());
    for (const BlockAxis& axis : axes_) {
      Tensor& constant = constants[axis.constant];
      axis.each_run(constant.shape(), constant.mutable_data<float>(), [&](int64_t block, auto run) {
        const float factor = factors[static_cast<size_t>(block)];
        if (factor == 1) return;
        for (float& x : run) x *= factor;
        changed[axis.constant] = true;
      });
    }
    for (size_t i = 0; i < names_.size(); ++i)
      if (changed[i]) trainer.set_constant(names_[i], constants[i]);
  }

 private:
  /// The units' places of the member, as blocks from `first` on; kNone: each a block of its own.
  void add(const Graph& graph, const PruneMember& member, const std::vector<int64_t>& units,
           int64_t first) {
    const auto known = std::ranges::find(names_, member.tensor);
    const bool own_blocks = first == BlockAxis::kNone;
    if (units.empty() || (own_blocks && known != names_.end())) return;
    const Tensor& constant = *graph.constant(graph.find_value(member.tensor));
    BlockAxis axis{
        static_cast<size_t>(known - names_.begin()), static_cast<size_t>(member.axis),
        std::vector<int64_t>(static_cast<size_t>(constant.dim(member.axis)), BlockAxis::kNone)};
    for (size_t i = 0; i < units.size(); ++i)
      for (const int64_t place : member.elements[static_cast<size_t>(units[i])])
        axis.blocks[static_cast<size_t>(place)] =
            own_blocks ? count_++ : first + static_cast<int64_t>(i);
    if (known == names_.end()) names_.push_back(member.tensor);
    axes_.push_back(std::move(axis));
  }

  Shrink shrink_;
  std::function<double(int64_t, int64_t)> lr_;
  std::vector<std::string> names_;
  std::vector<BlockAxis> axes_;
  int64_t count_ = 0;  ///< of blocks
};

}  // namespace

}  // namespace lapidary::prune

namespace lapidary {

std::vector<NamedHelp> list_regularizers() {
  std::vector<NamedHelp> out;
  for (const prune::Regularizer* row : prune::all_regularizers())
    out.push_back({std::string(row->name), std::string(row->help)});
  return out;
}

const FieldTable& regularizer_fields() {
  using S = RegularizerSpec;
  static const FieldTable kTable{
      "regularizer",
      {field("strength", &S::strength, "What its pull is multiplied by, with the learning rate")
           .range(0, 1e9)}};
  return kTable;
}

RegularizerSpec parse_regularizer(const Setting& setting) {
  RegularizerSpec out;
  Setting own = Setting::map({});
  if (setting.kind == Setting::Kind::kMap && setting.entries.size() == 1) {
    out.kind = setting.entries[0].first;
    own = setting.entries[0].second;
  } else if (setting.kind == Setting::Kind::kScalar) {
    out.kind = setting.text;
  } else {
    fail_setting(setting, "a regularizer is a name, or {{NAME: {{...}}}} with its parameters");
  }
  const prune::Regularizer& kind = with_context(
      [&] { return setting.where(); },
      [&]() -> const prune::Regularizer& { return prune::find_regularizer(out.kind); });
  const Field& strength = regularizer_fields().fields[0];
  std::erase_if(own.entries, [&](const auto& entry) {
    if (entry.first != strength.name) return false;
    strength.set(&out, entry.second, strength);
    return true;
  });
  kind.make(out.strength, own);  // checks names, types and ranges
  for (const auto& [name, value] : own.entries)
    out.params[name] = FieldCodec<std::vector<double>>::parse(value, {.name = name});
  return out;
}

Setting FieldCodec<RegularizerSpec>::format(const RegularizerSpec& v) {
  Setting params = to_setting(v.params);
  params.entries.emplace_back("strength", FieldCodec<double>::format(v.strength));
  return Setting::map({{v.kind, std::move(params)}});
}

bool needs_units(const RegularizerSpec& spec) {
  return prune::find_regularizer(spec.kind).needs_units;
}

TrainHook make_regularizer(const PruningGraph& graph, const RegularizerSpec& spec,
                           std::function<double(int64_t, int64_t)> lr, const RemovedUnits& units) {
  const prune::Regularizer& kind = prune::find_regularizer(spec.kind);
  if (!(spec.strength >= 0) || !std::isfinite(spec.strength))
    fail_usage("a regularizer's strength of {}", spec.strength);
  if (kind.needs_units && units.empty())
    fail_usage("'{}' acts on units that are to go, and none are given", kind.name);
  if (!units.empty()) prune::check_units(graph, units);
  const auto made = std::make_shared<const prune::ShrinkBlocks>(
      graph, kind, kind.make(spec.strength, to_setting(spec.params)), std::move(lr),
      units.empty() ? prune::units_not_lossy(graph) : units);
  if (made->empty())
    fail_usage("'{}' finds nothing to act on: the model has no units with {}", kind.name,
               kind.gains ? "gains of normalizations" : "constants that are trained");
  return [made](Trainer& trainer, int64_t step, int64_t total) { (*made)(trainer, step, total); };
}

}  // namespace lapidary
