#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "lapidary/exec.h"
#include "lapidary/qat.h"
#include "quantize/qat/fake_nodes.h"
#include "src/passes/parameters.h"
#include "src/passes/qdq/qdq.h"
#include "test/quantize/nets.h"

namespace lapidary {

/// Positive numbers about 1, one in four times `gain`.
inline Tensor spread(int64_t count, int64_t offset, float gain = 1) {
  Tensor t = ramp({count}, offset);
  int64_t i = 0;
  for (float& v : t.mutable_data<float>()) v = (0.75f + v * v / 8) * (i++ % 4 == 2 ? gain : 1.0f);
  return t;
}

/// x [N,3,8,8] -> conv1 -> bn1 -> relu1 -> conv2 -> bn2 -> + relu1 -> relu2 -> depthwise conv3 ->
/// bn3 -> Clip to 6 "clip3" -> MaxPool "pool" -> global average -> Gemm "logits" [N,5]. Some gammas
/// are negative, one is 0.
inline Graph qat_net(bool batchnorm = true) {
  Net net(13);
  const auto norm = [&](ValueId x, int64_t channels, const std::string& name) {
    if (!batchnorm) return x;
    Tensor gamma = spread(channels, channels, -1);
    if (name == "bn2") gamma.mutable_data<float>()[1] = 0;
    return net.op(
        "BatchNormalization",
        {x, net.constant(name + "_gamma", gamma), net.constant(name + "_beta", ramp({channels}, 5)),
         net.constant(name + "_mean", ramp({channels}, 9)),
         net.constant(name + "_var", spread(channels, 4, 30))},
        name);
  };
  const ValueId x = net.input("x", {Dim::named("N"), 3, 8, 8});
  const ValueId relu1 = net.op("Relu", {norm(net.conv(x, 3, 8, "conv1"), 8, "bn1")}, "relu1");
  const ValueId branch = norm(net.conv(relu1, 8, 8, "conv2"), 8, "bn2");
  const ValueId relu2 = net.op("Relu", {net.op("Add", {branch, relu1}, "add")}, "relu2");
  const ValueId dw = norm(net.conv(relu2, 8, 8, "conv3", 8), 8, "bn3");
  const ValueId clip = net.op(
      "Clip",
      {dw, net.constant("low", Tensor::scalar(0.0f)), net.constant("high", Tensor::scalar(6.0f))},
      "clip3");
  const ValueId pool = net.op(
      "MaxPool", {clip}, "pool",
      {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}});
  const ValueId flat = net.op("Flatten", {net.op("GlobalAveragePool", {pool}, "average")}, "flat");
  const ValueId logits = net.op(
      "Gemm", {flat, net.constant("fc_w", ramp({8, 5}, 3)), net.constant("fc_b", ramp({5}, 2))},
      "logits");
  return net.finish({logits});
}

inline Dataset qat_data(int64_t count) {
  return dataset_of({{"x", tiny_samples(count, 0, {3, 8, 8})}});
}

/// How far the integers of a lowered graph are from what a graph with FakeQuantize nodes computes;
/// of one tensor, where it is named.
struct Distance {
  double rate = 0;   ///< share of integers that differ, of the tensor with most of them
  double total = 0;  ///< of all tensors
  double most = 0;   ///< the largest difference, in steps
  int64_t tensors = 0;
};
inline Distance distance(const Graph& trained, const Graph& lowered, const Tensor& x,
                         const std::string& input = "x", const std::string& only = "") {
  const ExecOptions all{.keep_all_values = true};
  Executor simulated(trained, all), integer(lowered, all);
  const auto a = simulated.run({{input, x}}), b = integer.run({{input, x}});
  Distance d;
  int64_t differ_in_all = 0, integers = 0;
  for (const FakeNode& fake : fake_nodes(trained)) {
    if (trained.constant(fake.x) || trained_constant(trained, fake.x).valid()) continue;
    const std::string name = trained.value(fake.output).name;
    const std::string stem = name.ends_with("_fake_quantized")
                                 ? name.substr(0, name.size() - std::strlen("_fake_quantized"))
                                 : name;
    if (!only.empty() && stem != only) continue;
    const auto clipped = b.find(stem + "_clipped"), stored = b.find(stem + "_quantized");
    const auto& found = clipped != b.end() ? clipped : stored;
    if (found == b.end()) continue;
    const QuantParams params = params_of(trained, fake);
    QuantParams kept = params;
    kept.storage = found->second.dtype();
    const Tensor real = dequantize_tensor(found->second, kept);
    const auto u = a.at(name).data<float>(), v = real.data<float>();
    int64_t differ = 0;
    for (size_t i = 0; i < u.size(); ++i) {
      const double steps = std::abs(static_cast<double>(u[i]) - v[i]) / params.scale[0];
      d.most = std::max(d.most, steps);
      differ += steps > 0.5;
    }
    d.rate = std::max(d.rate, static_cast<double>(differ) / static_cast<double>(u.size()));
    differ_in_all += differ;
    integers += static_cast<int64_t>(u.size());
    ++d.tensors;
  }
  d.total =
      static_cast<double>(differ_in_all) / static_cast<double>(std::max<int64_t>(integers, 1));
  return d;
}

inline std::vector<const Tensor*> layer_integers(const Graph& lowered) {
  std::vector<const Tensor*> found;
  for (const NodeId id : lowered.nodes()) {
    const Node& node = lowered.node(id);
    if (!node.is("Conv") && !node.is("Gemm")) continue;
    const auto dq = dequantized(lowered, node.inputs[1]);
    if (dq) found.push_back(lowered.constant(dq->data));
  }
  return found;
}

inline int largest_code(const Tensor& stored) {
  int most = 0;
  for (const int8_t q : stored.data<int8_t>()) most = std::max(most, std::abs(q));
  return most;
}

}  // namespace lapidary
