#include <lapidary/lapidary.h>

#include <cstdio>

namespace lp = lapidary;

// y = Relu(x), built by hand.
lp::Graph relu_graph() {
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
  return g;
}

// A typed error that crosses the library.
template <class Call>
bool throws(lp::ErrorCode code, Call&& call) {
  try {
    call();
  } catch (const lp::Error& error) {
    return error.code() == code;
  }
  return false;
}

// What a program may choose of the process: threads and instruction set.
bool runtime_is_chosen() {
  lp::set_thread_count(1);
  lp::set_isa_cap(lp::isa_from_name("scalar"));
  return lp::thread_count() == 1 && lp::isa_cap() == lp::Isa::kScalar &&
         lp::cpu_has(lp::isa_cap()) && lp::isa_name(lp::all_isas().front()) == "scalar" &&
         throws(lp::ErrorCode::kUsage, [] { lp::set_thread_count(-1); }) &&
         throws(lp::ErrorCode::kUsage, [] { lp::isa_from_name("sclar"); });
}

// Saves, loads and runs the graph on arrays from files, and writes what came out.
bool graph_runs_on_files() {
  lp::save_onnx(relu_graph(), "relu.onnx");
  lp::write_npy("x.npy", lp::Tensor::of<float>({2}, {-1.f, 2.f}));
  lp::Executor executor(lp::load_onnx("relu.onnx"));
  lp::write_npz("y.npz", executor.run({{"x", lp::read_npy("x.npy")}}));
  const lp::Tensor y = lp::read_npz("y.npz").at("y");
  const auto values = y.data<float>();
  return y.shape() == lp::Shape{2} && values[0] == 0 && values[1] == 2;
}

int main() {
  const bool runtime = runtime_is_chosen(), runs = graph_runs_on_files();
  const bool model = throws(lp::ErrorCode::kIo, [] { lp::load_onnx("no such file.onnx"); });
  const bool array = throws(lp::ErrorCode::kIo, [] { lp::read_npy("no such file.npy"); });
  std::printf("runtime %d, graph on files %d, errors %d %d\n", runtime, runs, model, array);
  return runtime && runs && model && array ? 0 : 1;
}
