#include "src/exec/parts.h"

#include <algorithm>
#include <cstring>

#include "src/base/parallel.h"

namespace lapidary::exec {

namespace {

const Storage& storage_of(const Plan& plan, int storage) {
  return plan.storages[static_cast<size_t>(storage)];
}

/// Its bytes are the result already: the plan's steps wrote them there.
bool written_in_place(const Plan& plan, const ValueAt& output) {
  const Storage& storage = storage_of(plan, output.operand.storage);
  return storage.kind == Storage::Kind::kOutput && storage.name == output.name;
}

}  // namespace

BatchParts::BatchParts(Plan& plan, int64_t parts) : plan_(plan), parts_(parts) {
  const int64_t threads = std::min<int64_t>(plan.threads, parts);
  for (int64_t i = 0; i < threads; ++i) {
    workspaces_.push_back(std::make_unique<Workspace>(Workspace{StepRun(plan), Tensor()}));
    if (plan.arena_bytes == 0) continue;
    workspaces_.back()->arena = Tensor(DType::kU8, {plan.arena_bytes});
    workspaces_.back()->run.bind_arena(workspaces_.back()->arena.mutable_raw());
  }
}

int64_t BatchParts::arena_bytes() const {
  return plan_.arena_bytes * static_cast<int64_t>(workspaces_.size());
}

void BatchParts::run_part(int64_t part, Workspace& workspace, const Executor::Values& inputs,
                          const std::vector<char*>& outputs) {
  StepRun& run = workspace.run;
  const StepRun::Release release(run);
  for (const int i : run.inputs()) {
    const Tensor& whole = inputs.at(storage_of(plan_, i).name);
    Shape shape = whole.shape();
    shape[0] /= parts_;
    const auto bytes = static_cast<int64_t>(whole.size_bytes()) / parts_;
    run.bind(i, Tensor::borrow(whole.dtype(), std::move(shape),
                               static_cast<const char*>(whole.raw()) + part * bytes, nullptr));
  }
  for (size_t i = 0; i < plan_.outputs.size(); ++i) {
    const Operand& lies = plan_.outputs[i].operand;
    if (written_in_place(plan_, plan_.outputs[i]))
      run.bind(lies.storage, Tensor::borrow(lies.dtype, lies.shape,
                                            outputs[i] + part * lies.size_bytes(), nullptr));
  }
  run_steps(plan_, run);
  for (size_t i = 0; i < plan_.outputs.size(); ++i) {
    const Operand& lies = plan_.outputs[i].operand;
    if (!written_in_place(plan_, plan_.outputs[i]))
      std::memcpy(outputs[i] + part * lies.size_bytes(), run.tensor(lies).raw(),
                  static_cast<size_t>(lies.size_bytes()));
  }
}

Executor::Values BatchParts::run(const Executor::Values& inputs) {
  Executor::Values own;  // kernels read past the end
  for (const auto& [name, tensor] : inputs) own.emplace(name, with_slack(tensor));
  Executor::Values results;
  std::vector<char*> outputs;
  for (const ValueAt& output : plan_.outputs) {
    Shape shape = output.operand.shape;
    shape[0] *= parts_;
    Tensor& result = results[output.name];
    if (result.empty()) result = Tensor(output.operand.dtype, std::move(shape));
    outputs.push_back(static_cast<char*>(result.mutable_raw()));
  }
  const auto threads = static_cast<int64_t>(workspaces_.size());
  const int64_t divided = parts_ / threads * threads;
  parallel_region(static_cast<int>(threads), [&] {
    const auto some = [&](int64_t begin, int64_t end, int thread) {
      for (int64_t part = begin; part < end; ++part)
        run_part(part, *workspaces_[static_cast<size_t>(thread)], own, outputs);
    };
    parallel_for(divided, 1, some, static_cast<int>(threads));
    for (int64_t part = divided; part < parts_; ++part)
      run_part(part, *workspaces_[0], own, outputs);
  });
  return results;
}

int64_t part_size(int64_t samples, int threads) {
  // Parts of 1 to 4 samples take the same time, within noise, on the quantized ResNet-20 and -50,
  // MobileNetV2, SqueezeNet and a small ViT (Ice Lake, L2 of 1.25 MB a core): larger ones move more
  // activations, smaller ones read the weights more often.
  constexpr int64_t kMostSamples = 4;
  for (const bool evenly : {true, false})
    for (int64_t size = std::min(kMostSamples, samples); size > 0; --size) {
      const int64_t parts = samples / size;
      if (samples % size == 0 && parts >= threads && (!evenly || parts % threads == 0)) return size;
    }
  return samples;
}

}  // namespace lapidary::exec
