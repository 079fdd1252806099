#include "tools/peaks.h"

#include <fmt/format.h>

namespace lapidary::cli {

std::string peaks_text(const MachinePeaks& p) {
  return fmt::format(
      "{} thread{}, {}: INT8 {:.0f} GOPS, FP32 {:.0f} GOPS{}, reads {:.0f} GB/s from cache, {:.1f} "
      "GB/s from memory",
      p.threads, p.threads == 1 ? "" : "s", p.isa, p.int8_gops, p.f32_gops,
      p.bf16_gops > 0 ? fmt::format(", BF16 {:.0f} GOPS", p.bf16_gops) : "", p.cache_gb_s,
      p.memory_gb_s);
}

}  // namespace lapidary::cli
