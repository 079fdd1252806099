#include "src/pipeline/peaks.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
#include <new>

#include "kernels/probe/probe.h"
#include "src/base/isa.h"
#include "src/base/parallel.h"

namespace lapidary {

namespace {

using kernels::ProbeFunctions;
using kernels::ProbeKernel;
using kernels::ProbeLoop;

constexpr int64_t kCacheBytes = int64_t{256} << 10;
constexpr double kTrialSeconds = 1e-3;
constexpr int kTrials = 16, kMemoryTrials = 3;  // of memory each takes several milliseconds

double seconds_of(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Rounds a second on each of `threads`, all at once, without the time to hand them out: the best
/// of a few trials of a millisecond or more, for whatever else runs here can only make it less.
double best_rate(int threads, int trials,
                 const std::function<void(int thread, int64_t rounds)>& run) {
  const auto best_seconds = [&](int64_t rounds) {
    double best = std::numeric_limits<double>::infinity();
    for (int trial = 0; trial < trials; ++trial) {
      const auto body = [&](int64_t thread, int64_t, int) {
        run(static_cast<int>(thread), rounds);
      };
      best = std::min(best, seconds_of([&] { parallel_for(threads, 1, body, threads); }));
    }
    return best;
  };
  const double handing_out = best_seconds(0);
  for (int64_t rounds = 1;;) {
    const double seconds = best_seconds(rounds) - handing_out;
    if (seconds >= kTrialSeconds) return static_cast<double>(rounds) / seconds;
    const double missing = 1.25 * kTrialSeconds / std::max(seconds, 1e-6);
    rounds *= std::clamp<int64_t>(static_cast<int64_t>(missing), 2, 64);
  }
}

/// 64-byte aligned, every page touched by the thread that reads it.
class Memory {
 public:
  Memory(int threads, int64_t bytes_each) : bytes_each_(bytes_each) {
    const auto bytes = static_cast<size_t>(bytes_each) * static_cast<size_t>(threads);
    data_.reset(static_cast<char*>(::operator new (bytes, std::align_val_t{64})));
    parallel_for(
        threads, 1,
        [&](int64_t begin, int64_t end, int) {
          std::memset(at(begin), 1, static_cast<size_t>((end - begin) * bytes_each_));
        },
        threads);
  }
  char* at(int64_t thread) const { return data_.get() + thread * bytes_each_; }

 private:
  struct Free {
    void operator()(char* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::unique_ptr<char, Free> data_;
  int64_t bytes_each_;
};

}  // namespace

MachinePeaks measure_peaks(int threads, const std::function<bool(Isa)>& usable) {
  const auto first = [&](const auto& has) -> const ProbeFunctions* {
    for (const ProbeKernel& kernel : kernels::probe_kernels())
      if (usable(kernel.row.isa) && has(*kernel.call)) return kernel.call;
    return nullptr;
  };
  MachinePeaks peaks;
  peaks.threads = threads;
  alignas(64) static constexpr char kZeros[64] = {};
  const auto gops = [&](ProbeLoop ProbeFunctions::*loop) {
    const ProbeFunctions* row =
        first([&](const ProbeFunctions& f) { return (f.*loop).run != nullptr; });
    if (row == nullptr) return 0.0;
    const ProbeLoop& found = row->*loop;
    return 2e-9 * static_cast<double>(found.macs * threads) *
           best_rate(threads, kTrials,
                     [&](int, int64_t rounds) { found.run(kZeros, kZeros, rounds); });
  };
  peaks.int8_gops = gops(&ProbeFunctions::int8);
  peaks.f32_gops = gops(&ProbeFunctions::f32);
  peaks.bf16_gops = gops(&ProbeFunctions::bf16);
  const ProbeFunctions* reader = first([](const ProbeFunctions& f) { return f.read != nullptr; });
  const auto gb_s = [&](int64_t bytes_each, int trials) {
    const Memory memory(threads, bytes_each);
    return 1e-9 * static_cast<double>(bytes_each * threads) *
           best_rate(threads, trials, [&](int thread, int64_t rounds) {
             for (int64_t i = 0; i < rounds; ++i) reader->read(memory.at(thread), bytes_each);
           });
  };
  peaks.cache_gb_s = gb_s(kCacheBytes, kTrials);
  peaks.memory_gb_s = gb_s(kPeaksMemoryBytes / threads / 64 * 64, kMemoryTrials);
  return peaks;
}

MachinePeaks measure_peaks(int threads) {
  MachinePeaks peaks = measure_peaks(threads, isa_enabled);
  peaks.isa = isa_name(isa_cap());
  return peaks;
}

double peak_gops(const MachinePeaks& peaks, std::string_view precision) {
  // There is no peak of bits: their sums are compared with those of bytes.
  if (precision == "int8" || precision == "ternary" || precision == "binary")
    return peaks.int8_gops;
  // Without its instructions bfloat16 is multiplied as float32.
  return precision == "bfloat16" ? std::max(peaks.bf16_gops, peaks.f32_gops) : peaks.f32_gops;
}

Roofline roofline(const MachinePeaks& peaks, std::string_view precision, int64_t macs,
                  int64_t bytes) {
  const double peak = peak_gops(peaks, precision);
  const double work = 2 * static_cast<double>(macs), moved = static_cast<double>(bytes);
  const double compute_ms = peak > 0 ? 1e-6 * work / peak : 0;
  const double memory_ms = peaks.memory_gb_s > 0 ? 1e-6 * moved / peaks.memory_gb_s : 0;
  Roofline out;
  out.intensity = bytes > 0 ? work / moved : 0;
  out.memory_bound = memory_ms > compute_ms;
  out.least_ms = std::max(compute_ms, memory_ms);
  out.attainable_gops = macs > 0 ? 1e-6 * work / out.least_ms : 0;
  return out;
}

}  // namespace lapidary
