#pragma once

#include "lapidary/compress.h"
#include "lapidary/report.h"

namespace lapidary {

/// What a quantization did, in the report: of several the last one holds.
inline void set_quantized(const QuantizeLog& log, Report& report) {
  report.kept_float = log.kept_float;
  report.layer_bits = log.layers;
  report.tensors = log.tensors;
  report.quantized = log.quantized;
  report.warnings.insert(report.warnings.end(), log.warnings.begin(), log.warnings.end());
}

}  // namespace lapidary
