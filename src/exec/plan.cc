#include "src/exec/plan.h"

#include <chrono>
#include <cstring>

#include "src/base/fail.h"
#include "src/base/parallel.h"

namespace lapidary::exec {

std::vector<int64_t> Operand::strides() const {
  const size_t rank = shape.size();
  std::vector<int64_t> out(rank);
  int64_t step = 1;
  const bool last = layout == Layout::kChannelsLast && rank >= 3;
  if (last) {
    out[1] = 1;
    step = shape[1];
  }
  for (size_t axis = rank; axis-- > 0;) {
    if (last && axis == 1) continue;
    out[axis] = step;
    step *= shape[axis];
  }
  return out;
}

bool layouts_coincide(const Shape& shape) {
  if (shape.size() < 3 || shape[1] == 1) return true;
  for (size_t axis = 2; axis < shape.size(); ++axis)
    if (shape[axis] != 1) return false;
  return true;
}

std::vector<StepInfo> Plan::infos() const {
  std::vector<StepInfo> out;
  for (const Step& step : steps) out.push_back(step.info);
  return out;
}

namespace {

// Kernels read up to 64 bytes past the last element.
Tensor with_slack(const Tensor& tensor) {
  if (!tensor.borrowed() || dtype_size(tensor.dtype()) == 0) return tensor;
  Tensor copy(tensor.dtype(), tensor.shape());
  std::memcpy(copy.mutable_raw(), tensor.raw(), tensor.size_bytes());
  return copy;
}

}  // namespace

StepRun::StepRun(const Plan& plan, const Executor::Values& inputs, Tensor& arena)
    : plan_(plan), pointers_(plan.storages.size()), heap_(plan.storages.size()) {
  if (arena.size() < plan.arena_bytes) arena = Tensor(DType::kU8, {plan.arena_bytes});
  char* base = arena.size() > 0 ? static_cast<char*>(arena.mutable_raw()) : nullptr;
  for (size_t i = 0; i < plan.storages.size(); ++i) {
    const Storage& storage = plan.storages[i];
    switch (storage.kind) {
      case Storage::Kind::kArena:
        pointers_[i] = base + storage.offset;
        break;
      case Storage::Kind::kConstant:
        pointers_[i] = const_cast<void*>(storage.constant.raw());  // steps only read it
        break;
      case Storage::Kind::kInput:
        heap_[i] = with_slack(inputs.at(storage.name));
        pointers_[i] = const_cast<void*>(heap_[i].raw());  // steps only read it
        break;
      case Storage::Kind::kOutput:
        heap_[i] = Tensor(storage.dtype, storage.shape);
        pointers_[i] = heap_[i].mutable_raw();
        break;
      case Storage::Kind::kHeap:
        break;
    }
  }
}

Tensor StepRun::tensor(const Operand& operand) const {
  LAPIDARY_CHECK(operand.layout == Layout::kRowMajor && !operand.biased);
  const auto i = static_cast<size_t>(operand.storage);
  const Storage& storage = plan_.storages[i];
  switch (storage.kind) {
    case Storage::Kind::kArena:
      return Tensor::borrow(operand.dtype, operand.shape, pointers_[i], nullptr);
    case Storage::Kind::kConstant:
      return operand.known ? storage.constant.reshaped(operand.shape) : storage.constant;
    default:
      return operand.known ? heap_[i].reshaped(operand.shape) : heap_[i];
  }
}

void StepRun::set_heap(const Operand& operand, Tensor elements) const {
  const auto i = static_cast<size_t>(operand.storage);
  if (operand.known)
    LAPIDARY_CHECK(elements.dtype() == operand.dtype && elements.shape() == operand.shape);
  heap_[i] = std::move(elements);
  pointers_[i] = const_cast<void*>(heap_[i].raw());  // never written: may be shared
}

void StepRun::free_heap(int storage) const { heap_[static_cast<size_t>(storage)] = Tensor(); }

Tensor StepRun::take(const Operand& operand) const {
  const Tensor view = tensor(operand);
  return in_arena(operand.storage) ? with_slack(view) : view;
}

void StepRun::parallel(int64_t count, int64_t grain,
                       const std::function<void(int64_t, int64_t)>& body) const {
  parallel_for(
      count, grain, [&](int64_t begin, int64_t end, int) { body(begin, end); }, threads());
}

Executor::Values run_plan(Plan& plan, const Executor::Values& inputs, Tensor& arena,
                          const TapFn& tap, bool profile) {
  using Clock = std::chrono::steady_clock;
  const StepRun run(plan, inputs, arena);
  auto next_tap = plan.taps.begin();
  const auto call_taps = [&](int after) {
    for (; next_tap != plan.taps.end() && next_tap->after <= after; ++next_tap) {
      if (!tap) continue;
      Operand plain = next_tap->operand;
      plain.layout = Layout::kRowMajor;
      const Tensor elements = run.tensor(plain);
      tap({next_tap->name, elements.view(), next_tap->operand.layout == Layout::kChannelsLast});
    }
  };
  call_taps(-1);
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    Step& step = plan.steps[i];
    const auto start = profile ? Clock::now() : Clock::time_point();
    if (step.info.kernel == "reference")
      step.run(run);  // names the node itself
    else
      with_context(
          [&] {
            return step.info.nodes.empty() ? step.info.op
                                           : step.info.op + " '" + step.info.nodes[0] + "'";
          },
          [&] { step.run(run); });
    if (profile)
      step.info.milliseconds =
          std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    call_taps(static_cast<int>(i));
    for (const int storage : step.frees) run.free_heap(storage);
  }
  Executor::Values outputs;
  for (const ValueAt& output : plan.outputs) outputs.emplace(output.name, run.take(output.operand));
  return outputs;
}

}  // namespace lapidary::exec
