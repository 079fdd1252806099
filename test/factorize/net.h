#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "lapidary/exec.h"
#include "lapidary/factorize.h"
#include "src/factorize/matrix.h"
#include "src/ir/builder.h"
#include "src/ops/infer.h"

namespace lapidary {

/// Numbers in (-1, 1) that reference.py makes alike: ((7919 i + 104729 (i + seed)^2) mod 2003) /
/// 1001.5 - 1.
inline Tensor noise(const Shape& shape, int64_t seed) {
  Tensor t(DType::kF32, shape);
  const auto out = t.mutable_data<float>();
  for (int64_t i = 0; i < std::ssize(out); ++i)
    out[static_cast<size_t>(i)] = static_cast<float>(
        static_cast<double>((i * 7919 + (i + seed) * (i + seed) * 104729) % 2003) / 1001.5 - 1);
  return t;
}
inline lowrank::Matrix noise_matrix(int64_t rows, int64_t columns, int64_t seed) {
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Tensor t = noise({rows, columns}, seed);
  return Eigen::Map<const RowMajor>(t.data<float>().data(), rows, columns).cast<double>();
}

/// One layer with weights and, where asked, a bias, called "layer": x -> y.
struct LayerNet {
  std::string op = "Conv";
  Tensor w;
  std::vector<Dim> x;
  GraphBuilder::Attrs attrs = {};
  bool bias = true;

  Graph graph() const {
    Graph g;
    g.set_opset("", 17);
    GraphBuilder b(g);
    std::vector<ValueId> inputs = {b.input("x", DType::kF32, x), b.constant("w", w)};
    const bool rows_last = op == "MatMul" || (op == "Gemm" && attrs.empty());
    if (bias) inputs.push_back(b.constant("b", noise({w.dim(rows_last ? 1 : 0)}, 90)));
    b.output(b.op(op, inputs, attrs, "layer"));
    infer_types(g);
    return g;
  }
};

inline Tensor output_of_run(const Graph& graph, const Shape& input_shape) {
  return Executor(graph, {.executor = ExecutorKind::kReference})
      .run({{"x", noise(input_shape, 91)}})
      .at(graph.value(graph.outputs()[0]).name);
}

/// Largest difference over the largest magnitude of `b`.
inline double apart(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return INFINITY;
  double worst = 0, largest = 0;
  for (size_t i = 0; i < a.data<float>().size(); ++i) {
    worst = std::max<double>(worst, std::fabs(a.data<float>()[i] - b.data<float>()[i]));
    largest = std::max<double>(largest, std::fabs(b.data<float>()[i]));
  }
  return worst / largest;
}

}  // namespace lapidary
