#pragma once

#include "kernels/gemm_f32/gemm_f32.h"

namespace lapidary::kernels {

/// B as [ceil(N / block)][K][block], columns past N zero.
size_t packed_b_bytes(const GemmF32Shape& shape, int64_t block);
void pack_b(const GemmF32Shape& shape, const GemmF32B& b, int64_t block, void* packed);

}  // namespace lapidary::kernels
