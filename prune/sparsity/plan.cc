#include "prune/sparsity/plan.h"

#include <algorithm>
#include <cmath>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

using Kind = SparsePattern::Kind;

double ratio_of(const SparsifyOptions& o) {
  const SparsePattern& p = o.pattern;
  if (p.kind != Kind::kNM) {
    const double ratio = o.ratio.value_or(0.5);
    if (!(ratio > 0 && ratio < 1))
      fail_usage("'ratio' is {}; it is a share, more than 0 and less than 1", ratio);
    return ratio;
  }
  if (p.n < 1 || p.n >= p.m) fail_usage("pattern {}: of m elements 1 to m - 1 stay", p.text());
  const double ratio = 1 - static_cast<double>(p.n) / static_cast<double>(p.m);
  if (o.ratio && std::fabs(*o.ratio - ratio) > 1e-9)
    fail_usage("'ratio' is {}; pattern {} makes {} of the elements zero", *o.ratio, p.text(),
               ratio);
  return ratio;
}

bool is_global(const SparsifyOptions& o, const SparsityMethod& method) {
  const bool only_local = method.solve != nullptr || o.pattern.kind == Kind::kNM;
  const std::string scope = o.scope.value_or(only_local ? "local" : "global");
  if (scope != "global" && scope != "local")
    fail_usage("'scope' is '{}'; it is global or local", printable(scope, 100));
  if (scope == "global" && only_local)
    fail_usage("'scope' is global; {} gives every tensor the same share",
               method.solve ? std::string(method.name) : "pattern " + o.pattern.text());
  return scope == "global";
}

bool fits(const LayerWeights& layer, const SparsePattern& p) {
  return p.kind != Kind::kNM || layer.matrix.channels % p.m == 0;
}

/// One warning of all layers whose channels n:m does not divide; "CONV (3), CONV (1 per group)".
std::string misfits_text(const Graph& graph, const std::vector<LayerWeights>& layers, int64_t m) {
  constexpr size_t kNamed = 5;
  std::vector<std::string> named;
  for (size_t i = 0; i < std::min(layers.size(), kNamed); ++i)
    named.push_back(fmt::format("{} ({}{})", node_label(graph, layers[i].readers[0]),
                                layers[i].matrix.channels,
                                layers[i].matrix.groups > 1 ? " per group" : ""));
  if (layers.size() > kNamed) named.push_back(fmt::format("{} more", layers.size() - kNamed));
  return fmt::format(
      "{} stay{} dense: input channels are no multiple of {}; `prune` leaves such numbers with "
      "`round_to: {}`",
      fmt::join(named, ", "), layers.size() == 1 ? "s" : "", m, m);
}

}  // namespace

SparsityPlan plan_sparsity(const Graph& graph, const SparsifyOptions& options) {
  SparsityPlan plan;
  plan.method = &find_sparsity_method(options.method);
  const SparsePattern& p = options.pattern;
  if (p.kind == Kind::kBlock && (p.rows < 1 || p.columns < 1))
    fail_usage("a block of {} x {} elements", p.rows, p.columns);
  plan.ratio = ratio_of(options);
  plan.global = is_global(options, *plan.method);
  if (plan.method->solve && p.kind == Kind::kNM && options.block % p.m != 0)
    fail_usage("'block' is {}; {} with pattern {} wants a multiple of {}, as {}", options.block,
               plan.method->name, p.text(), p.m, std::max(p.m, options.block / p.m * p.m));
  if (plan.method->solve && p.kind == Kind::kBlock)
    fail_usage("pattern {}: {} chooses elements; take unstructured or N:M", p.text(),
               plan.method->name);
  std::vector<LayerWeights> misfits;
  for (LayerWeights& layer : float_weights(graph, options.include, options.exclude)) {
    if (!fits(layer, p)) {
      misfits.push_back(std::move(layer));
      continue;
    }
    const std::string reason =
        plan.method->refuses ? plan.method->refuses(graph, layer) : std::string();
    if (reason.empty()) {
      plan.names.push_back(graph.value(layer.constant).name);
      plan.layers.push_back(std::move(layer));
    } else {
      plan.warnings.push_back(
          fmt::format("{} stays dense: {}", node_label(graph, layer.readers[0]), reason));
    }
  }
  if (!misfits.empty())
    plan.warnings.insert(plan.warnings.begin(), misfits_text(graph, misfits, p.m));
  if (plan.layers.empty())
    fail_usage("no layer's weights can be made sparse by {}, pattern {}: {}", plan.method->name,
               p.text(), fmt::join(plan.warnings, "; "));
  return plan;
}

Masks choose_masks(const SparsityPlan& plan, const SparsifyOptions& options, double ratio,
                   const TensorOf& weights, const TensorOf& masked) {
  std::vector<ScoredWeights> scored;
  std::vector<Shape> shapes;
  for (size_t n = 0; n < plan.layers.size(); ++n) {
    const std::string& name = plan.names[n];
    const WeightMatrix& matrix = plan.layers[n].matrix;
    const Tensor elements = weights(name);
    const auto w = elements.data<float>();
    if (!std::all_of(w.begin(), w.end(), [](float v) { return std::isfinite(v); }))
      fail_invalid("'{}' has weights that are not finite", printable(name, 200));
    ScoredWeights one{matrix, plan.method->scores({options, name, w, matrix, n})};
    if (const Tensor mask = masked(name); !mask.empty()) {
      if (mask.dtype() != DType::kU8 || mask.shape() != elements.shape())
        fail_usage("the mask of '{}' is {}, expected uint8{}", printable(name, 200),
                   tensor_type(mask).text(), shape_text(elements.shape()));
      const auto kept = mask.data<uint8_t>();
      one.masked.resize(w.size());
      for_each_element(matrix, [&](size_t i, size_t offset) { one.masked[i] = kept[offset] == 0; });
    }
    scored.push_back(std::move(one));
    shapes.push_back(elements.shape());
  }
  const auto dropped = select_least(scored, options.pattern, ratio, plan.global);
  Masks out;
  for (size_t n = 0; n < scored.size(); ++n) {
    Tensor mask(DType::kU8, shapes[n]);
    const auto kept = mask.mutable_data<uint8_t>();
    for_each_element(scored[n].matrix,
                     [&](size_t i, size_t offset) { kept[offset] = dropped[n][i] == 0; });
    out[plan.names[n]] = std::move(mask);
  }
  return out;
}

}  // namespace lapidary
