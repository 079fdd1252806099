#pragma once

#include <gmock/gmock.h>

#include "lapidary/passes.h"
#include "src/passes/pass.h"
#include "test/passes/run_graph.h"

namespace lapidary {

using testing::ElementsAre;

/// A graph under construction: y is its output.
struct Model {
  explicit Model(int64_t opset = 13) : graph(empty_graph(opset)), build(graph) {}
  ValueId input(std::vector<Dim> shape, const std::string& name = "x") {
    return build.input(name, DType::kF32, std::move(shape));
  }
  ValueId constant(const std::string& name, Tensor t) { return build.constant(name, std::move(t)); }
  ValueId ints(const std::string& name, const std::vector<int64_t>& v) {
    return constant(name, Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v));
  }
  ValueId number(const std::string& name, float v) { return constant(name, Tensor::scalar(v)); }
  void finish(ValueId y) {
    build.output(y);
    infer_types(graph);
  }
  /// Runs the pass; the graph must stay consistent and, where it is run, say the same.
  PassResult run(PassResult (*pass)(Graph&, const PassOptions&), const PassOptions& options = {}) {
    PassResult result = pass(graph, options);
    graph.verify();
    return result;
  }

  Graph graph;
  GraphBuilder build;
};

inline void expect_same_results(Model& m, PassResult (*pass)(Graph&, const PassOptions&),
                                Shape shape, float tolerance = 1e-6f) {
  const std::map<std::string, Tensor> x{{"x", ramp(std::move(shape))}};
  const Tensor before = run_graph(m.graph, x)[0];
  EXPECT_GT(m.run(pass).changes, 0);
  infer_types(m.graph);
  expect_near(run_graph(m.graph, x)[0], before, tolerance);
}

inline void expect_untouched(Model& m, PassResult (*pass)(Graph&, const PassOptions&),
                             const PassOptions& options = {}) {
  const Graph before = m.graph;
  EXPECT_EQ(m.run(pass, options).changes, 0);
  std::string difference;
  EXPECT_TRUE(same_graph(m.graph, before, &difference)) << difference;
}

inline GraphBuilder::Attrs window(std::vector<int64_t> kernel, GraphBuilder::Attrs more = {}) {
  more.emplace_back("kernel_shape", std::move(kernel));
  return more;
}

inline ValueId batchnorm(Model& m, ValueId x, std::vector<float> variance) {
  const auto n = static_cast<int64_t>(variance.size());
  return m.build.op(
      "BatchNormalization",
      {x, m.constant("gamma", ramp({n}, 3)), m.constant("beta", ramp({n}, 9)),
       m.constant("mean", ramp({n}, 20)), m.constant("var", Tensor::of<float>({n}, variance))},
      {}, "bn");
}

}  // namespace lapidary
