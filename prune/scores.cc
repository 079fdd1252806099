#include <algorithm>
#include <cmath>
#include <numeric>

#include "prune/criterion.h"
#include "prune/read_statistics.h"
#include "src/base/float_types.h"
#include "src/base/parallel.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

using prune::GroupView;
using prune::MemberScores;
using prune::MemberView;

/// What is checked of a CriterionSpec besides the criterion's own parameters.
const FieldTable& spec_fields() {
  using S = CriterionSpec;
  static const FieldTable kTable{
      "criterion",
      {field("reduce", &S::reduce, "").one_of({"sum", "mean", "max"}),
       field("normalize", &S::normalize, "").one_of({"none", "mean", "max", "sum", "norm"})}};
  return kTable;
}

/// What criteria see of a graph's groups.
class Views {
 public:
  Views(const PruningGraph& graph, const Gradients& gradients, const prune::ReadValues& reads)
      : graph_(graph), gradients_(gradients), reads_(reads) {}

  GroupView group(size_t index) {
    const PruneGroup& group = graph_.groups()[index];
    GroupView out{.index = index};
    for (const PruneMember& member : group.members) add_constant(member, out);
    for (const PruneMember& read : group.read) {
      const auto seen = reads_.find({read.tensor, read.axis});
      if (seen != reads_.end()) out.read.push_back({.member = &read, .read = &seen->second});
    }
    return out;
  }

 private:
  void add_constant(const PruneMember& member, GroupView& out) {
    const Graph& graph = graph_.graph();
    const Tensor& constant = *graph.constant(graph.find_value(member.tensor));
    if (!is_float(constant.dtype())) return;
    MemberView view{.member = &member,
                    .values = floats(constant, values_, member.tensor),
                    .shape = constant.shape()};
    if (const auto found = gradients_.find(member.tensor); found != gradients_.end()) {
      if (found->second.shape() != constant.shape() || !is_float(found->second.dtype()))
        fail_usage("'{}' is {}, its gradient {}", printable(member.tensor),
                   tensor_type(constant).text(), tensor_type(found->second).text());
      view.gradients = floats(found->second, gradient_values_, member.tensor);
    }
    out.members.push_back(std::move(view));
  }
  static const float* floats(const Tensor& tensor, Gradients& kept, const std::string& name) {
    const auto [at, added] = kept.try_emplace(name);
    if (added) at->second = to_float_type(tensor, DType::kF32);
    return at->second.data<float>().data();
  }

  const PruningGraph& graph_;
  const Gradients& gradients_;
  const prune::ReadValues& reads_;
  Gradients values_, gradient_values_;  ///< as float32, by the constant's name
};

/// s_m(u) = sqrt(mean w^2) over the unit's elements of each weight m that computes the units.
MemberScores root_mean_squares(const GroupView& group) {
  return prune::score_each(group.output_weights(), [](const MemberView& m, size_t unit) {
    double sum = 0;
    int64_t count = 0;
    m.each(unit, [&](size_t at, size_t) {
      sum += static_cast<double>(m.values[at]) * static_cast<double>(m.values[at]);
      ++count;
    });
    return std::sqrt(sum / static_cast<double>(count));
  });
}

std::vector<double> reduced(const MemberScores& members, const std::string& how) {
  std::vector<double> out = members.front();
  for (size_t m = 1; m < members.size(); ++m)
    for (size_t u = 0; u < out.size(); ++u)
      out[u] = how == "max" ? std::max(out[u], members[m][u]) : out[u] + members[m][u];
  if (how == "mean")
    for (double& score : out) score /= static_cast<double>(members.size());
  return out;
}

/// Scores that are all zero stay.
void normalize(std::vector<double>& scores, const std::string& how) {
  double by = 1;
  if (how == "max") by = *std::ranges::max_element(scores);
  if (how == "sum" || how == "mean") by = std::accumulate(scores.begin(), scores.end(), 0.0);
  if (how == "mean") by /= static_cast<double>(scores.size());
  if (how == "norm")
    by = std::sqrt(std::inner_product(scores.begin(), scores.end(), scores.begin(), 0.0));
  if (by > 0)
    for (double& score : scores) score /= by;
}

}  // namespace

UnitScores score_units(const PruningGraph& graph, const CriterionSpec& spec,
                       const ScoreInputs& inputs) {
  const ThreadScope scope(inputs.threads);
  const prune::Criterion& criterion = prune::find_criterion(spec.kind);
  CriterionSpec checked;
  bind(spec_fields(), unbind(spec_fields(), &spec), &checked);
  const auto score = criterion.make(spec);
  if (needs_gradients(spec) && inputs.gradients.empty())
    fail_usage("criterion '{}' needs gradients of a loss", criterion.name);
  prune::ReadValues reads;
  if (criterion.needs_data()) {
    if (inputs.data == nullptr) fail_usage("criterion '{}' needs data", criterion.name);
    if (!graph.groups().empty())
      reads = prune::collect_reads(graph, *inputs.data, inputs.samples, inputs.threads,
                                   criterion.needs);
  }
  Views views(graph, inputs.gradients, reads);
  UnitScores out;
  for (size_t g = 0; g < graph.groups().size(); ++g)
    with_context([&] { return fmt::format("group '{}'", printable(graph.groups()[g].name)); },
                 [&] {
                   const GroupView group = views.group(g);
                   MemberScores members = score(group);
                   if (members.empty()) members = root_mean_squares(group);
                   std::vector<double> scores = reduced(members, spec.reduce);
                   for (size_t u = 0; u < scores.size(); ++u)
                     if (!std::isfinite(scores[u])) fail_invalid("unit {} scores {}", u, scores[u]);
                   normalize(scores, spec.normalize);
                   out.push_back(std::move(scores));
                 });
  return out;
}

}  // namespace lapidary
