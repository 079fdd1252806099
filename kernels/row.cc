#include "kernels/row.h"

#include "kernels/conv_bf16/conv_bf16.h"
#include "kernels/conv_f16w/conv_f16w.h"
#include "kernels/conv_f32/conv_f32.h"
#include "kernels/conv_f32_im2col/conv_f32_im2col.h"
#include "kernels/conv_f32_winograd/conv_f32_winograd.h"
#include "kernels/conv_s8/conv_s8.h"
#include "kernels/dw_f32/dw_f32.h"
#include "kernels/dw_s8/dw_s8.h"
#include "kernels/eltwise_f32/eltwise_f32.h"
#include "kernels/eltwise_s8/eltwise_s8.h"
#include "kernels/exp_f32/exp_f32.h"
#include "kernels/gemm_f32/gemm_f32.h"
#include "kernels/norm_f32/norm_f32.h"
#include "kernels/pool/pool.h"
#include "kernels/probe/probe.h"
#include "kernels/quantize/quantize.h"
#include "kernels/softmax_f32/softmax_f32.h"
#include "kernels/stats_f32/stats_f32.h"
#include "kernels/transpose/transpose.h"
#include "src/base/fail.h"

namespace lapidary::kernels {

std::string isa_refusal(Isa isa) {
  if (isa_enabled(isa)) return "";
  if (!cpu_has(isa)) return fmt::format("this CPU has no {}", isa_name(isa));
  return fmt::format("LAPIDARY_ISA caps at {}", isa_name(isa_cap()));
}

std::vector<RowInfo> all_rows() {
  std::vector<RowInfo> rows;
  const auto append = [&](const auto& kernels) {
    for (const auto& kernel : kernels) rows.push_back(kernel.row);
  };
  append(conv_bf16_kernels());
  append(conv_f16w_kernels());
  append(conv_f32_kernels());
  append(conv_f32_im2col_kernels());
  append(conv_f32_winograd2_kernels());
  append(conv_f32_winograd4_kernels());
  append(conv_s8_kernels());
  append(dw_f32_kernels());
  append(dw_s8_kernels());
  append(eltwise_f32_kernels());
  append(eltwise_s8_kernels());
  append(exp_f32_kernels());
  append(gemm_f32_kernels());
  append(norm_f32_kernels());
  append(pool_kernels());
  append(probe_kernels());
  append(quantize_kernels());
  append(softmax_f32_kernels());
  append(stats_f32_kernels());
  append(transpose_kernels());
  return rows;
}

}  // namespace lapidary::kernels
