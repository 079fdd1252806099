// Layer after layer in graph order, each on inputs that the layers before it, sparse already, make.

#include <algorithm>
#include <vector>

#include "calibrate/hessian.h"
#include "prune/sparsity/method.h"
#include "prune/sparsity/solver.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

void solve_layer(Graph& graph, const LayerWeights& layer, const Hessian& hessian,
                 const SolverOptions& options) {
  const auto w = graph.mutable_value(layer.constant).constant->mutable_data<float>();
  const WeightMatrix& m = layer.matrix;
  std::vector<float> ordered(w.size());
  for_each_element(m, [&](size_t i, size_t offset) { ordered[i] = w[offset]; });
  const auto each = static_cast<size_t>(m.rows * m.columns());
  parallel_for(m.groups, 1, [&](int64_t begin, int64_t end, int) {
    for (auto g = static_cast<size_t>(begin); g < static_cast<size_t>(end); ++g) {
      SolverOptions how = options;
      how.before = static_cast<int64_t>(g * each);
      sparsegpt_solve(std::span(ordered).subspan(g * each, each), m.columns(), hessian.groups[g],
                      how);
    }
  });
  for_each_element(m, [&](size_t i, size_t offset) { w[offset] = ordered[i]; });
}

void solve(Graph& graph, std::span<const LayerWeights> layers, const SparsifyOptions& options,
           const Dataset& data) {
  if (options.block < 1) fail_usage("'block' is {}; it is positive", options.block);
  if (!(options.damping > 0)) fail_usage("'damping' is {}; it is above 0", options.damping);
  if (options.samples < 0) fail_usage("'samples' is {}; it is not negative", options.samples);
  const SolverOptions how{.pattern = options.pattern,
                          .ratio = options.ratio.value_or(0.5),
                          .damping = options.damping,
                          .block = options.block};
  const auto input = [&](const LayerWeights& layer) {
    return graph.node(layer.readers[0]).inputs[0];
  };
  std::vector<bool> done(layers.size());
  int64_t solved = 0;
  for (size_t first = 0; first < layers.size(); ++first) {
    if (done[first]) continue;
    // Layers of one input do not depend on each other.
    std::vector<const LayerWeights*> together;
    for (size_t i = first; i < layers.size(); ++i) {
      if (done[i] || input(layers[i]) != input(layers[first])) continue;
      done[i] = true;
      together.push_back(&layers[i]);
    }
    const auto found = hessians(graph, together, data, options.samples, options.threads);
    for (size_t i = 0; i < together.size(); ++i)
      with_context([&] { return node_label(graph, together[i]->readers[0]); },
                   [&] { solve_layer(graph, *together[i], found[i], how); });
    solved += std::ssize(together);
    options.log.advance("sparsify", solved, std::ssize(layers));
  }
}

}  // namespace

const SparsityMethod& sparsity_sparsegpt() {
  static const SparsityMethod kMethod{
      .name = "sparsegpt",
      .help =
          "layer by layer what its outputs on calibration samples miss least, the other weights "
          "changed to make up for it",
      .solve = solve,
      .refuses = [](const Graph& graph, const LayerWeights& layer) {
        return hessian_refusal(graph, layer, kMostInvertedColumns);
      }};
  return kMethod;
}

}  // namespace lapidary
