#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/export.h"
#include "lapidary/log.h"

namespace lapidary {

/// What this machine does at most, measured in loops that do nothing else. Operations are two for a
/// multiply-accumulate.
struct MachinePeaks {
  int threads = 1;
  std::string isa;  ///< the cap under which the loops were chosen
  double int8_gops = 0, f32_gops = 0;
  double bf16_gops = 0;                    ///< 0: there are no such instructions
  double cache_gb_s = 0, memory_gb_s = 0;  ///< reads of 256 KiB a thread, of 96 MiB in all
};
/// Takes about a tenth of a second, and 96 MiB of memory.
LAPIDARY_API MachinePeaks measure_peaks(int threads);

/// Where work stands under the roofline (Williams, Waterman, Patterson 2009).
struct Roofline {
  double intensity = 0;        ///< operations a byte: 2 macs / bytes
  double attainable_gops = 0;  ///< min(peak, intensity * memory_gb_s)
  double least_ms = 0;         ///< max(2 macs / peak, bytes / memory_gb_s)
  bool memory_bound = false;   ///< the second of each is the one that counts
};
/// `precision` as StepInfo has it. Bytes that lie in a cache already may go beyond it.
LAPIDARY_API Roofline roofline(const MachinePeaks& peaks, std::string_view precision, int64_t macs,
                               int64_t bytes);
/// The peak of that precision, in GOPS.
LAPIDARY_API double peak_gops(const MachinePeaks& peaks, std::string_view precision);

struct KernelBenchOptions {
  std::vector<int> threads = {1};
  std::vector<std::string> families = {};  ///< empty: all
  double seconds = 0.1;                    ///< for all rows of one shape on one number of threads
  LogSink log = {};
};
/// One row of a kernel family on one shape.
struct KernelTime {
  std::string family, row, isa, shape;
  int threads = 1;
  double ms = 0;             ///< median of the rounds
  double gops = 0;           ///< 0: the shape has no multiply-accumulates
  double gb_s = 0;           ///< inputs, weights and outputs, each once, over the time
  std::string limit;         ///< "int8", "float32", "bfloat16", "cache", "memory"
  double share_of_peak = 0;  ///< gops, or gb_s, over what `limit` allows on so many threads
};
/// Times every row that this CPU can run, whatever instruction set is the cap, those of one shape
/// in turn. Throws Error{kUsage} for an unknown family.
LAPIDARY_API std::vector<KernelTime> bench_kernels(const KernelBenchOptions& options = {});

}  // namespace lapidary
