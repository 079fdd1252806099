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

Tensor with_slack(const Tensor& tensor) {
  if (!tensor.borrowed() || dtype_size(tensor.dtype()) == 0) return tensor;
  Tensor copy(tensor.dtype(), tensor.shape());
  std::memcpy(copy.mutable_raw(), tensor.raw(), tensor.size_bytes());
  return copy;
}

StepRun::StepRun(const Plan& plan)
    : plan_(plan), pointers_(plan.storages.size()), heap_(plan.storages.size()) {
  for (size_t i = 0; i < plan.storages.size(); ++i) {
    const auto storage = static_cast<int>(i);
    switch (plan.storages[i].kind) {
      case Storage::Kind::kArena:
        break;
      case Storage::Kind::kConstant:
        pointers_[i] = const_cast<void*>(plan.storages[i].constant.raw());  // steps only read it
        break;
      case Storage::Kind::kInput:
        inputs_.push_back(storage);
        break;
      case Storage::Kind::kOutput:
        outputs_.push_back(storage);
        break;
      case Storage::Kind::kHeap:
        heaps_.push_back(storage);
        break;
    }
  }
}

void StepRun::bind_arena(void* base) {
  if (base == arena_) return;
  arena_ = base;
  for (size_t i = 0; i < plan_.storages.size(); ++i)
    if (plan_.storages[i].kind == Storage::Kind::kArena)
      pointers_[i] = static_cast<char*>(base) + plan_.storages[i].offset;
}

void StepRun::bind(int storage, Tensor elements) {
  const auto i = static_cast<size_t>(storage);
  heap_[i] = std::move(elements);
  pointers_[i] = const_cast<void*>(heap_[i].raw());  // steps only read inputs; outputs are ours
}

void StepRun::release() {
  for (const std::vector<int>* storages : {&inputs_, &outputs_, &heaps_})
    for (const int storage : *storages) free_heap(storage);
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
                       FunctionRef<void(int64_t, int64_t)> body) const {
  parallel_for(
      count, grain, [&](int64_t begin, int64_t end, int) { body(begin, end); }, threads());
}

namespace {

void run_step(const Step& step, const StepRun& run) {
  try {
    step.run(run);
  } catch (const Error& error) {
    if (step.info.kernel == "reference") throw;  // names the node itself
    const auto& nodes = step.info.nodes;
    throw error.within(nodes.empty() ? step.info.op : step.info.op + " '" + nodes[0] + "'");
  }
}

void run_observed(Plan& plan, const StepRun& run, const TapFn& tap, bool profile) {
  using Clock = std::chrono::steady_clock;
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
    run_step(step, run);
    if (profile)
      step.info.milliseconds =
          std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    call_taps(static_cast<int>(i));
    for (const int storage : step.frees) run.free_heap(storage);
  }
}

}  // namespace

void run_steps(const Plan& plan, const StepRun& run) {
  for (const Step& step : plan.steps) {
    run_step(step, run);
    for (const int storage : step.frees) run.free_heap(storage);
  }
}

Executor::Values run_plan(Plan& plan, StepRun& run, const Executor::Values& inputs, Tensor& arena,
                          const TapFn& tap, bool profile) {
  const StepRun::Release release(run);
  if (arena.size() < plan.arena_bytes) arena = Tensor(DType::kU8, {plan.arena_bytes});
  if (plan.arena_bytes > 0) run.bind_arena(arena.mutable_raw());
  const auto storage_at = [&](int i) -> const Storage& {
    return plan.storages[static_cast<size_t>(i)];
  };
  for (const int i : run.inputs()) run.bind(i, with_slack(inputs.at(storage_at(i).name)));
  for (const int i : run.outputs()) run.bind(i, Tensor(storage_at(i).dtype, storage_at(i).shape));
  parallel_region(plan.threads, [&] {
    if (plan.taps.empty() && !profile) return run_steps(plan, run);
    run_observed(plan, run, tap, profile);
  });
  Executor::Values outputs;
  for (const ValueAt& output : plan.outputs) outputs.emplace(output.name, run.take(output.operand));
  return outputs;
}

}  // namespace lapidary::exec
