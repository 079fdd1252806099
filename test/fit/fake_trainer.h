#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "lapidary/train.h"
#include "src/ir/builder.h"

namespace lapidary {

/// Softmax regression on the batch's "x", [N, ...] as [N, F], trained by SGD with momentum and
/// gradients written by hand: p = softmax(W x + b), loss = -mean(sum_c t log p), dW = mean (p - t)
/// x. "mean" is a running statistic: the mean of x.
class FakeTrainer : public Trainer {
 public:
  static constexpr int64_t kClasses = 3;

  explicit FakeTrainer(int64_t features, bool mixup = false) : features_(features), mixup_(mixup) {
    constants_["w"] = Tensor(DType::kF32, {kClasses, features});
    constants_["b"] = Tensor(DType::kF32, {kClasses});
    constants_["mean"] = Tensor(DType::kF32, {1});
    for (const char* name : {"w", "b"}) {
      momentum_[name] = Tensor(DType::kF32, constants_[name].shape());
      average_[name] = constants_[name];
    }
  }

  int64_t not_finite_at = -1;  ///< step whose loss is NaN
  bool with_scalar = false;    ///< the graph has an input "alpha" without axes, which nothing reads
  std::vector<float> seen;     ///< first feature of every sample, in order
  std::vector<bool> moved;     ///< StepOptions::batch_statistics of every step
  std::vector<double> rates;   ///< learning rates

  StepResult step(const Values& inputs, const StepOptions& options) override {
    StepResult out;
    if (steps_ == not_finite_at) {
      out.loss = std::numeric_limits<double>::quiet_NaN();
      return out;
    }
    Gradients g = gradient(inputs, out);
    for (auto& [name, d] : g) {
      const auto m = momentum_[name].mutable_data<float>(),
                 w = constants_[name].mutable_data<float>(),
                 e = average_[name].mutable_data<float>();
      for (size_t i = 0; i < m.size(); ++i) {
        out.gradient_norm += d.data<float>()[i] * d.data<float>()[i];
        m[i] = 0.9f * m[i] + d.data<float>()[i];
        w[i] -= static_cast<float>(options.lr) * m[i];
        e[i] = 0.8f * e[i] + 0.2f * w[i];
      }
    }
    out.gradient_norm = std::sqrt(out.gradient_norm);
    if (options.batch_statistics) {
      float& mean = constants_["mean"].mutable_data<float>()[0];
      for (const float v : inputs.at("x").data<float>()) mean = 0.99f * mean + 0.01f * v;
    }
    moved.push_back(options.batch_statistics);
    rates.push_back(options.lr);
    ++steps_;
    return out;
  }

  Gradients gradients(const Values& inputs, const StepOptions&) override {
    StepResult ignored;
    return gradient(inputs, ignored);
  }
  Values forward(const Values&, const std::vector<std::string>&, bool) override { return {}; }

  Graph graph(bool averaged = false) const override {
    Graph graph;
    graph.set_opset("", 17);
    GraphBuilder b(graph);
    const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), features_});
    b.input(std::string(kLabelInput), DType::kI64, {Dim::named("N")});
    if (with_scalar) b.input("alpha", DType::kF32, {});
    if (mixup_) {
      b.input(std::string(kSecondLabelInput), DType::kI64, {Dim::named("N")});
      b.input(std::string(kShareInput), DType::kF32, {Dim::named("N")});
    }
    const auto of = [&](const char* name) {
      return b.constant(name,
                        averaged && average_.count(name) ? average_.at(name) : constants_.at(name));
    };
    const ValueId w = of("w"), bias = of("b");
    of("mean");
    b.output(b.op("Gemm", {x, w, bias}, {{"transB", int64_t{1}}}, "scores"));
    return graph;
  }
  Tensor constant(const std::string& name) const override { return constants_.at(name); }
  void set_constant(const std::string& name, const Tensor& value) override {
    constants_[name] = value;
  }
  Tensor mask(const std::string& name) const override {
    return masks_.count(name) ? masks_.at(name) : Tensor();
  }
  void set_mask(const std::string& name, const Tensor& mask) override {
    masks_[name] = mask;
    const auto kept = mask.data<uint8_t>();
    const auto w = constants_[name].mutable_data<float>();
    for (size_t i = 0; i < w.size(); ++i) w[i] *= kept[i];
  }
  Tensor movement(const std::string&) const override { return {}; }

  Values state() const override {
    Values out = constants_;
    for (const auto& [name, m] : momentum_) out["momentum/" + name] = m;
    for (const auto& [name, e] : average_) out["average/" + name] = e;
    out["steps"] = Tensor::scalar<int64_t>(steps_);
    return out;
  }
  void restore(const Values& state) override {
    for (auto& [name, tensor] : constants_) tensor = state.at(name);
    for (auto& [name, m] : momentum_) m = state.at("momentum/" + name);
    for (auto& [name, e] : average_) e = state.at("average/" + name);
    steps_ = state.at("steps").data<int64_t>()[0];
  }

 private:
  Gradients gradient(const Values& inputs, StepResult& out) {
    const Tensor& x = inputs.at("x");
    const int64_t n = x.dim(0);
    const auto labels = inputs.at(std::string(kLabelInput)).data<int64_t>();
    Gradients g;
    g["w"] = Tensor(DType::kF32, constants_["w"].shape());
    g["b"] = Tensor(DType::kF32, constants_["b"].shape());
    Tensor scores(DType::kF32, {n, kClasses});
    for (int64_t i = 0; i < n; ++i) {
      const auto row = x.data<float>().subspan(static_cast<size_t>(i * features_),
                                               static_cast<size_t>(features_));
      seen.push_back(row[0]);
      std::vector<double> t(kClasses, 0.0), p(kClasses);
      const auto at = static_cast<size_t>(i);
      const double share =
          mixup_ ? double{inputs.at(std::string(kShareInput)).data<float>()[at]} : 1.0;
      t[static_cast<size_t>(labels[at])] += share;
      if (mixup_)
        t[static_cast<size_t>(inputs.at(std::string(kSecondLabelInput)).data<int64_t>()[at])] +=
            1 - share;
      double sum = 0;
      for (size_t c = 0; c < kClasses; ++c) {
        double y = constants_["b"].data<float>()[c];
        for (size_t f = 0; f < row.size(); ++f)
          y += double{constants_["w"].data<float>()[c * row.size() + f]} * row[f];
        scores.mutable_data<float>()[at * kClasses + c] = static_cast<float>(y);
        sum += p[c] = std::exp(y);
      }
      for (size_t c = 0; c < kClasses; ++c) {
        p[c] /= sum;
        out.loss -= t[c] * std::log(p[c]) / static_cast<double>(n);
        const auto d = static_cast<float>((p[c] - t[c]) / static_cast<double>(n));
        g["b"].mutable_data<float>()[c] += d;
        for (size_t f = 0; f < row.size(); ++f)
          g["w"].mutable_data<float>()[c * row.size() + f] += d * row[f];
      }
    }
    out.outputs["scores"] = scores;
    return g;
  }

  int64_t features_, steps_ = 0;
  bool mixup_;
  Values constants_, momentum_, average_;
  Values masks_;  ///< as they were set; steps know nothing of them
};

}  // namespace lapidary
