#pragma once

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "calibrate/run.h"
#include "lapidary/compress.h"
#include "quantize/placement.h"
#include "quantize/qdq_graph.h"
#include "quantize/ranges.h"
#include "quantize/weights.h"
#include "test/calibrate/tiny.h"

namespace lapidary {

/// Graphs in a few words: every value is called after its node.
struct Net {
  explicit Net(int64_t opset = 17) : graph(empty_graph(opset)), build(graph) {}

  ValueId input(const std::string& name, std::vector<Dim> shape) {
    return build.input(name, DType::kF32, std::move(shape));
  }
  ValueId constant(const std::string& name, Tensor value) {
    return build.constant(name, std::move(value));
  }
  ValueId op(const std::string& type, std::vector<ValueId> inputs, const std::string& name,
             GraphBuilder::Attrs attrs = {}) {
    return build.op(type, std::move(inputs), std::move(attrs), name);
  }
  /// 3 x 3 convolution of `from` channels to `to`, padded, with a bias.
  ValueId conv(ValueId x, int64_t from, int64_t to, const std::string& name, int64_t group = 1) {
    return op("Conv",
              {x, constant(name + "_w", ramp({to, from / group, 3, 3}, to)),
               constant(name + "_b", ramp({to}, from))},
              name, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}, {"group", group}});
  }
  Graph finish(const std::vector<ValueId>& outputs) {
    graph.set_outputs(outputs);
    infer_types(graph);
    graph.verify();
    return graph;
  }

  Graph graph;
  GraphBuilder build;
};

/// 10 log10(sum y^2 / sum (y - made)^2) over all elements.
inline double sqnr_db(const Tensor& y, const Tensor& made) {
  double signal = 0, noise = 0;
  for (size_t i = 0; i < static_cast<size_t>(y.size()); ++i) {
    signal += std::pow(static_cast<double>(y.data<float>()[i]), 2);
    noise += std::pow(
        static_cast<double>(y.data<float>()[i]) - static_cast<double>(made.data<float>()[i]), 2);
  }
  return 10 * std::log10(signal / noise);
}

inline std::string name_of(const Graph& graph, ValueId id) { return graph.value(id).name; }

/// A graph quantized step by step, as `quantize` does it, by min-max and without corrections.
struct Steps {
  Steps(Graph form, const Statistics& stats,
        const TargetRecord& target = find_target("onnxruntime-cpu"))
      : graph(std::move(form)), placement(place(graph, target, {})) {
    ranges = observe_ranges(graph, placement, stats, {"minmax", {}, target.activation});
    annotate(graph, placement, ranges, target.activation);
    for (const LinearLayer& layer : placement.layers) {
      WeightOptions how{target.weight};
      how.scheme.axis = layer.weight_axis;
      graph.mutable_value(layer.weight).quant = weight_qparams(*graph.constant(layer.weight), how);
    }
    qdq = insert_qdq(graph, placement, target);
    infer_types(qdq.graph);
  }

  Graph graph;
  Placement placement;
  RangeMap ranges;
  QdqGraph qdq;
};

}  // namespace lapidary
