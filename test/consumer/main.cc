#include <lapidary/lapidary.h>

#include <cstdio>

// Builds y = Relu(x) by hand, saves it, loads it, runs it, and catches a typed error across the library.
int main() {
  namespace lp = lapidary;
  lp::Graph g;
  g.set_opset("", 13);
  const lp::ValueId x = g.add_value("x", {lp::DType::kF32, std::vector<lp::Dim>{2}});
  const lp::ValueId y = g.add_value("y", {lp::DType::kF32, std::vector<lp::Dim>{2}});
  lp::Node relu;
  relu.op = "Relu";
  relu.inputs = {x};
  relu.outputs = {y};
  g.add_node(relu);
  g.set_inputs({x});
  g.set_outputs({y});
  lp::save_onnx(g, "relu.onnx");
  lp::Executor executor(lp::load_onnx("relu.onnx"));
  const auto out = executor.run({{"x", lp::Tensor::of<float>({2}, {-1.f, 2.f})}});
  const auto values = out.at("y").data<float>();
  bool caught = false;
  try {
    lp::load_onnx("there is no such file.onnx");
  } catch (const lp::Error& error) {
    caught = error.code() == lp::ErrorCode::kIo;
  }
  std::printf("%g %g %d\n", values[0], values[1], caught);
  return values[0] == 0 && values[1] == 2 && caught ? 0 : 1;
}
