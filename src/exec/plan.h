#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lapidary/exec.h"
#include "lapidary/graph.h"
#include "src/base/function_ref.h"

namespace lapidary::exec {

/// How the elements of a value of rank >= 3 lie: [N,C,H,W] as written, or as [N,H,W,C].
enum class Layout : uint8_t { kRowMajor, kChannelsLast };

/// Where elements lie at run time.
struct Storage {
  enum class Kind {
    kArena,     ///< bytes [offset, offset + size_bytes) of the arena
    kConstant,  ///< `constant`
    kInput,     ///< the caller's tensor `name`
    kOutput,    ///< a new tensor, returned as `name`
    kHeap,      ///< a tensor that a reference step makes; its shape may be known at run time only
  };
  Kind kind = Kind::kArena;
  int64_t size_bytes = 0;
  int64_t offset = 0;
  Tensor constant;
  std::string name;
  DType dtype = DType::kUndefined;  ///< of kOutput, with its shape
  Shape shape;
  int first_step = -1, last_step = -1;  ///< -1: before the first step
};

/// A value as it lies in a storage. Values that are only renamed or reshaped share one.
struct Operand {
  int storage = -1;
  DType dtype = DType::kUndefined;
  Shape shape;  ///< as the graph says it, whatever the layout
  Layout layout = Layout::kRowMajor;
  bool biased = false;  ///< s8 elements stored as u8 with 128 added
  bool known = true;    ///< false: type known at run time only
  /// A slice of the channels of what `storage` holds: only the Concat that it is part of may read
  /// it.
  bool slice = false;

  bool valid() const { return storage >= 0; }
  int64_t count() const { return element_count(shape); }
  int64_t size_bytes() const { return count() * static_cast<int64_t>(dtype_size(dtype)); }
  /// Elements between neighbours along each axis of `shape`.
  std::vector<int64_t> strides() const;
};

/// True where both layouts of such a shape are the same bytes.
bool layouts_coincide(const Shape& shape);

class StepRun;

/// One kernel call, or a node's reference evaluation.
struct Step {
  StepInfo info;
  std::function<void(const StepRun&)> run;
  std::vector<int> frees;  ///< heap storages that nobody reads after this step
};

/// A named value just after step `after` (-1: before all).
struct ValueAt {
  std::string name;
  Operand operand;
  int after = -1;
};

/// A graph bound to input shapes: steps over storages. Immutable but for the times of a profile.
struct Plan {
  std::vector<Step> steps;
  std::vector<Storage> storages;
  std::vector<ValueAt> taps;     ///< in order of `after`
  std::vector<ValueAt> outputs;  ///< row-major, not biased
  int64_t arena_bytes = 0;
  int64_t packed_bytes = 0;
  int threads = 1;
  std::vector<StepInfo> infos() const;
};

/// Where each storage of a plan is, run after run: pointers into the arena and constants stay,
/// those of inputs, outputs and the heap are a run's own.
class StepRun {
 public:
  /// `plan` must outlive it.
  explicit StepRun(const Plan& plan);

  // -- around a run
  /// Plan::arena_bytes there, 64-byte aligned.
  void bind_arena(void* base);
  /// The elements of an input, or room for those of an output, 64 readable bytes behind them.
  void bind(int storage, Tensor elements);
  /// Lets go of inputs, outputs and heap.
  void release();
  /// Does so at the end of a run, however it ends.
  class Release {
   public:
    explicit Release(StepRun& run) : run_(run) {}
    ~Release() { run_.release(); }
    Release(const Release&) = delete;
    Release& operator=(const Release&) = delete;

   private:
    StepRun& run_;
  };
  const std::vector<int>& inputs() const { return inputs_; }
  const std::vector<int>& outputs() const { return outputs_; }

  const Plan& plan() const { return plan_; }
  int threads() const { return plan_.threads; }

  template <class T>
  T* data(const Operand& operand) const {
    return static_cast<T*>(at(operand.storage));
  }
  void* at(int storage) const { return pointers_[static_cast<size_t>(storage)]; }
  bool in_arena(int storage) const {
    return plan_.storages[static_cast<size_t>(storage)].kind == Storage::Kind::kArena;
  }
  /// The operand as a tensor: shares what is on the heap, borrows from the arena (so it must not
  /// outlive the step). Row-major operands only.
  Tensor tensor(const Operand& operand) const;
  /// Gives a heap storage its elements.
  void set_heap(const Operand& operand, Tensor elements) const;
  void free_heap(int storage) const;
  /// The tensor to return for an output.
  Tensor take(const Operand& operand) const;
  /// Calls body(begin, end) on ranges that cover [0, count), on up to the plan's threads.
  void parallel(int64_t count, int64_t grain, FunctionRef<void(int64_t, int64_t)> body) const;

 private:
  const Plan& plan_;
  const void* arena_ = nullptr;
  std::vector<int> inputs_, outputs_, heaps_;  // storages of those kinds
  mutable std::vector<void*> pointers_;
  mutable std::vector<Tensor> heap_;
};

/// The tensor, or a copy of a borrowed one: kernels read up to 64 bytes past the last element.
Tensor with_slack(const Tensor& tensor);

/// All steps; what `run` needs is bound.
void run_steps(const Plan& plan, const StepRun& run);

/// Runs all steps in one parallel region. `inputs` were checked against the graph; `run` is of the
/// same plan; `tap` may be empty. Where `profile`, each step's time is stored in its StepInfo.
Executor::Values run_plan(Plan& plan, StepRun& run, const Executor::Values& inputs, Tensor& arena,
                          const TapFn& tap, bool profile);

}  // namespace lapidary::exec
