#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "kernels/row.h"
#include "src/base/parallel.h"
#include "src/base/rng.h"

// What `bench --kernels` times: kernels/families.def lists the families, each
// kernels/<family>/bench.cc says on which shapes its rows run and how they are called. A row of a
// kernels.def needs nothing.
namespace lapidary::kernels {

/// The limit that a case is held against.
enum class BenchLimit {
  kInt8,    ///< multiply-accumulates of int8
  kF32,     ///< of float32
  kBf16,    ///< of bfloat16
  kCache,   ///< bytes, reads from the second-level cache
  kMemory,  ///< bytes, reads from memory
};

/// A row with the memory of a case, ready to run on so many threads.
struct BenchRun {
  RowInfo row;
  std::function<void(int threads)> run;
};

/// Work that several rows can do.
struct BenchCase {
  /// "3x3 56x56x64 -> 64 s8": cases of the same name are timed in turn, whatever their family.
  std::string shape;
  int64_t macs = 0;   ///< 0: bytes count
  int64_t bytes = 0;  ///< inputs, weights and outputs, each once
  BenchLimit limit = BenchLimit::kCache;
  bool one_thread = false;  ///< not split among threads: timed on one alone
  /// The rows that this CPU has, whatever LAPIDARY_ISA caps, for up to `threads` threads.
  std::function<std::vector<BenchRun>(int threads)> prepare = {};
};

#define LAPIDARY_FAMILY(name) std::vector<BenchCase> name##_bench();
#include "kernels/families.def"
#undef LAPIDARY_FAMILY

struct BenchFamily {
  std::string_view name;
  std::vector<BenchCase> (*cases)();
};
std::vector<BenchFamily> bench_families();

/// 64-byte aligned elements with 64 readable bytes after them, shared by copies; seeded noise: all
/// bytes, or floats in [-1, 1).
template <class T>
class BenchArray {
 public:
  explicit BenchArray(int64_t count)
      : data_(::operator new (bytes_of(count), std::align_val_t{64}),
              [](void* p) { ::operator delete (p, std::align_val_t{64}); }) {
    Rng rng(static_cast<uint64_t>(count));
    std::memset(data_.get(), 0, bytes_of(count));
    for (int64_t i = 0; i < count; ++i)
      if constexpr (std::is_same_v<T, float>)
        data()[i] = static_cast<float>(2 * rng.uniform() - 1);
      else
        data()[i] = static_cast<T>(rng.next());
  }
  T* data() const { return static_cast<T*>(data_.get()); }

 private:
  static size_t bytes_of(int64_t count) { return static_cast<size_t>(count) * sizeof(T) + 64; }
  std::shared_ptr<void> data_;
};

/// Rows [begin, end) of `rows` on each thread.
inline void split_rows(int64_t rows, int threads,
                       const std::function<void(int64_t begin, int64_t end)>& body) {
  parallel_for(
      rows, 1, [&](int64_t begin, int64_t end, int) { body(begin, end); }, threads);
}

/// The same call of each row that the CPU has: run(kernel, threads).
template <class Kernel, class Run>
std::vector<BenchRun> each_row(std::span<const Kernel> kernels, const Run& run) {
  std::vector<BenchRun> out;
  for (const Kernel& kernel : kernels)
    if (cpu_has(kernel.row.isa))
      out.push_back({kernel.row, [&kernel, run](int threads) { run(kernel, threads); }});
  return out;
}

}  // namespace lapidary::kernels
