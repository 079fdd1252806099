#include "tools/peaks.h"

#include <fmt/format.h>

namespace lapidary::cli {

nlohmann::ordered_json peaks_json(const MachinePeaks& p) {
  nlohmann::ordered_json out = {
      {"threads", p.threads}, {"isa", p.isa}, {"int8_gops", p.int8_gops}, {"f32_gops", p.f32_gops}};
  out["bf16_gops"] = p.bf16_gops > 0 ? nlohmann::ordered_json(p.bf16_gops) : nullptr;
  out["cache_gb_s"] = p.cache_gb_s;
  out["memory_gb_s"] = p.memory_gb_s;
  return out;
}

std::string peaks_text(const MachinePeaks& p) {
  return fmt::format(
      "{} thread{}, {}: INT8 {:.0f} GOPS, FP32 {:.0f} GOPS{}, reads {:.0f} GB/s from cache, {:.1f} "
      "GB/s from memory",
      p.threads, p.threads == 1 ? "" : "s", p.isa, p.int8_gops, p.f32_gops,
      p.bf16_gops > 0 ? fmt::format(", BF16 {:.0f} GOPS", p.bf16_gops) : "", p.cache_gb_s,
      p.memory_gb_s);
}

}  // namespace lapidary::cli
