#include "lapidary/sparsify.h"

#include "prune/sparsity/plan.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

void apply_masks(Graph& graph, const Masks& masks) {
  for (const auto& [name, mask] : masks) {
    auto& constant = graph.mutable_value(graph.find_value(name)).constant;
    const auto w = constant->mutable_data<float>();
    const auto kept = mask.data<uint8_t>();
    for (size_t i = 0; i < w.size(); ++i)
      if (!kept[i]) w[i] = 0;
  }
}

}  // namespace

Sparsity sparsify(Graph& graph, const SparsifyOptions& options, const Dataset* samples) {
  const ThreadScope scope(options.threads);
  SparsityPlan plan = plan_sparsity(graph, options);
  if (plan.method->solve) {
    if (samples == nullptr || samples->size() == 0)
      fail_usage("{} needs samples of the layers' inputs: calibration data", plan.method->name);
    if (options.masked) fail_usage("{} makes masks anew; it takes none", plan.method->name);
    plan.method->solve(graph, plan.layers, options, *samples);
  } else {
    const TensorOf weights = [&](const std::string& name) {
      return *graph.constant(graph.find_value(name));
    };
    const TensorOf masked = [&](const std::string& name) {
      if (options.masked == nullptr) return Tensor();
      const auto found = options.masked->find(name);
      return found == options.masked->end() ? Tensor() : found->second;
    };
    apply_masks(graph, choose_masks(plan, options, plan.ratio, weights, masked));
  }
  Sparsity out;
  out.warnings = std::move(plan.warnings);
  const Masks masks = masks_of(graph, 0);
  for (size_t n = 0; n < plan.layers.size(); ++n) {
    const std::string& name = plan.names[n];
    SparseTensor one{name, node_key(graph, plan.layers[n].readers[0]),
                     graph.constant(plan.layers[n].constant)->size(), 0};
    if (const auto mask = masks.find(name); mask != masks.end()) {
      for (const uint8_t kept : mask->second.data<uint8_t>()) one.zeros += kept == 0;
      out.masks.insert(*mask);
    }
    if (one.zeros == one.elements)
      out.warnings.push_back(
          fmt::format("all weights of '{}' are zero: what the layer computes no longer depends on "
                      "its input; take a lower ratio, `scope: local`, or exclude it",
                      printable(one.node, 200)));
    out.elements += one.elements;
    out.zeros += one.zeros;
    out.tensors.push_back(std::move(one));
  }
  for (const std::string& warning : out.warnings) options.log.warn(warning);
  return out;
}

std::vector<std::string> sparsified_tensors(const Graph& graph, const SparsifyOptions& options) {
  return plan_sparsity(graph, options).names;
}

}  // namespace lapidary
