#include <algorithm>
#include <chrono>
#include <map>

#include "kernels/bench/bench.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/pipeline/bench.h"
#include "src/pipeline/peaks.h"

namespace lapidary {

namespace {

using kernels::BenchCase;
using kernels::BenchLimit;
using kernels::BenchRun;

/// Cases of one shape, of one or several families.
struct Group {
  std::vector<BenchCase> cases;
  const BenchCase& first() const { return cases.front(); }
};

std::vector<Group> groups_of(const std::vector<std::string>& asked) {
  const auto families = kernels::bench_families();
  std::vector<std::string> names;
  for (const auto& family : families) names.emplace_back(family.name);
  for (const std::string& name : asked)
    if (std::find(names.begin(), names.end(), name) == names.end())
      fail_usage("no kernel family is called '{}'; there are {}{}", printable(name, 100),
                 fmt::join(names, ", "), did_you_mean(name, names));
  std::vector<Group> out;
  std::map<std::string, size_t> by_shape;
  for (const auto& family : families) {
    if (!asked.empty() && std::find(asked.begin(), asked.end(), family.name) == asked.end())
      continue;
    for (BenchCase& each : family.cases()) {
      const auto [at, added] = by_shape.emplace(each.shape, out.size());
      if (added) out.emplace_back();
      out[at->second].cases.push_back(std::move(each));
    }
  }
  return out;
}

double ms_of(const BenchRun& run, int threads, int64_t times) {
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < times; ++i) run.run(threads);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
             .count() /
         static_cast<double>(times);
}

/// The median time of each row, rows in turn and back again until `seconds` are over. A row that
/// takes as long as that by itself has its first run only.
std::vector<double> time_rows(const std::vector<BenchRun>& runs, int threads, double seconds) {
  constexpr double kTurnMs = 1;
  std::vector<int64_t> times;
  std::vector<std::vector<double>> ms(runs.size());
  std::vector<double> first;
  for (const BenchRun& run : runs) {
    first.push_back(ms_of(run, threads, 1));
    if (first.back() < 1e3 * seconds) first.back() = std::min(first.back(), ms_of(run, threads, 1));
    times.push_back(std::max<int64_t>(1, static_cast<int64_t>(kTurnMs / (first.back() + 1e-6))));
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (int round = 0; round == 0 || std::chrono::steady_clock::now() < end; ++round)
    for (size_t turn = 0; turn < runs.size(); ++turn) {
      const size_t i = round % 2 == 0 ? turn : runs.size() - 1 - turn;
      if (first[i] < 1e3 * seconds) ms[i].push_back(ms_of(runs[i], threads, times[i]));
    }
  std::vector<double> out;
  for (size_t i = 0; i < runs.size(); ++i) out.push_back(ms[i].empty() ? first[i] : median(ms[i]));
  return out;
}

struct Limit {
  std::string_view name;
  double value;  ///< GOPS or GB/s
};

Limit limit_of(BenchLimit limit, const MachinePeaks& peaks) {
  switch (limit) {
    case BenchLimit::kInt8:
      return {"int8", peaks.int8_gops};
    case BenchLimit::kF32:
      return {"float32", peaks.f32_gops};
    case BenchLimit::kBf16:
      return {"bfloat16", peak_gops(peaks, "bfloat16")};
    case BenchLimit::kCache:
      return {"cache", peaks.cache_gb_s};
    case BenchLimit::kMemory:
      return {"memory", peaks.memory_gb_s};
  }
  return {};
}

}  // namespace

std::vector<KernelTime> bench_kernels(const KernelBenchOptions& options) {
  const std::vector<Group> groups = groups_of(options.families);
  std::map<int, MachinePeaks> peaks;
  const auto peaks_of = [&](int threads) -> const MachinePeaks& {
    const auto found = peaks.find(threads);
    if (found != peaks.end()) return found->second;
    return peaks.emplace(threads, measure_peaks(threads, cpu_has)).first->second;
  };
  std::vector<KernelTime> out;
  for (size_t g = 0; g < groups.size(); ++g) {
    options.log.advance("time", static_cast<int64_t>(g), static_cast<int64_t>(groups.size()));
    const BenchCase& work = groups[g].first();
    const std::vector<int> counts = work.one_thread ? std::vector<int>{1} : options.threads;
    for (const int threads : counts) {
      std::vector<BenchRun> runs;
      for (const BenchCase& each : groups[g].cases)
        for (BenchRun& run : each.prepare(threads)) runs.push_back(std::move(run));
      if (runs.empty()) continue;
      const Limit limit = limit_of(work.limit, peaks_of(threads));
      const std::vector<double> ms = time_rows(runs, threads, options.seconds);
      for (size_t i = 0; i < runs.size(); ++i) {
        KernelTime time{std::string(runs[i].row.family),
                        std::string(runs[i].row.name),
                        std::string(isa_name(runs[i].row.isa)),
                        work.shape,
                        threads,
                        ms[i]};
        time.gops = 2e-6 * static_cast<double>(work.macs) / ms[i];
        time.gb_s = 1e-6 * static_cast<double>(work.bytes) / ms[i];
        time.limit = limit.name;
        const double rate = work.macs > 0 ? time.gops : time.gb_s;
        time.share_of_peak = limit.value > 0 ? rate / limit.value : 0;
        out.push_back(std::move(time));
      }
    }
  }
  return out;
}

}  // namespace lapidary
