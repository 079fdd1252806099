#pragma once

#include <map>
#include <string>
#include <vector>

#include "lapidary/distill.h"
#include "lapidary/exec.h"
#include "src/base/fail.h"
#include "test/passes/run_graph.h"

namespace lapidary {

/// A graph of the input "x", float32 [N, columns]: its output "layer" is columns [begin, end) as
/// [N, shape...].
inline Graph columns_net(int64_t columns, int64_t begin, int64_t end, Shape shape,
                         int64_t opset = 17) {
  Graph graph = empty_graph(opset);
  GraphBuilder b(graph);
  const auto ints = [&](std::vector<int64_t> values) {
    const Shape count{std::ssize(values)};
    return b.constant("c", Tensor::of<int64_t>(count, values));
  };
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), columns});
  const ValueId part = b.op("Slice", {x, ints({begin}), ints({end}), ints({1})}, {}, "part");
  shape.insert(shape.begin(), 0);
  b.output(b.op("Reshape", {part, ints(shape)}, {}, "layer"));
  return graph;
}

/// Student and teacher that take the first columns and the others of one batch.
struct Pair {
  Graph student, teacher;
  Tensor x;
};
inline Pair make_pair_of(int64_t n, const Shape& student, const Shape& teacher,
                         int64_t opset = 17) {
  const int64_t s = element_count(student), t = element_count(teacher);
  return {columns_net(s + t, 0, s, student, opset), columns_net(s + t, s, s + t, teacher, opset),
          ramp({n, s + t})};
}

/// A value of the student by the reference executor; the teacher's by a Teacher.
inline Tensor run_student(const Graph& student, const Graph& teacher, const Distillation& made,
                          Trainer::Values inputs, const std::string& value) {
  Teacher(teacher, made)(inputs);
  Graph graph = student;
  graph.set_outputs({graph.find_value(value)});
  return Executor(graph, {.executor = ExecutorKind::kReference}).run(inputs).at(value);
}

template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace lapidary
