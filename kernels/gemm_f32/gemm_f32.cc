#include "kernels/gemm_f32/gemm_f32.h"

#include "kernels/families.h"
#include "kernels/gemm_f32/pack.h"
#include "kernels/scalar.h"
#include "kernels/work.h"

namespace lapidary::kernels {

size_t packed_b_bytes(const GemmF32Shape& s, int64_t block) {
  return static_cast<size_t>(round_up(s.n, block) * s.k) * sizeof(float);
}

void pack_b(const GemmF32Shape& s, const GemmF32B& b, int64_t block, void* packed) {
  const int64_t ld = b.ld > 0 ? b.ld : (b.transposed ? s.k : s.n);
  const int64_t k_step = b.transposed ? 1 : ld, n_step = b.transposed ? ld : 1;
  float* to = static_cast<float*>(packed);
  for (int64_t n = 0; n < s.n; n += block)
    for (int64_t k = 0; k < s.k; ++k)
      for (int64_t i = 0; i < block; ++i)
        *to++ = n + i < s.n ? b.data[k * k_step + (n + i) * n_step] : 0.0f;
}

namespace {

constexpr int64_t kBlock = 8;  // columns

size_t packed_bytes(const GemmF32Shape& s) { return packed_b_bytes(s, kBlock); }
int64_t blocks(const GemmF32Shape& s) { return ceil_div(s.n, kBlock); }
void pack(const GemmF32Shape& s, const GemmF32B& b, void* packed) { pack_b(s, b, kBlock, packed); }

void run(const GemmF32Args& p) {
  const GemmF32Shape& s = p.shape;
  const int64_t lda = p.lda > 0 ? p.lda : s.k, ldy = p.ldy > 0 ? p.ldy : s.n;
  const int64_t ld_residual = p.ld_residual > 0 ? p.ld_residual : s.n;
  const int64_t ldb = p.packed_b != nullptr ? kBlock : (p.b.ld > 0 ? p.b.ld : s.n);
  const int64_t m_end = p.m_end < 0 ? s.m : p.m_end;
  const int64_t block_end = p.block_end < 0 ? blocks(s) : p.block_end;
  for (int64_t m = p.m_begin; m < m_end; ++m) {
    for (int64_t block = p.block_begin; block < block_end; ++block) {
      const int64_t n = block * kBlock, count = s.n - n < kBlock ? s.n - n : kBlock;
      const float* b = p.packed_b != nullptr
                           ? static_cast<const float*>(p.packed_b) + block * s.k * kBlock
                           : p.b.data + n;
      float acc[kBlock] = {};
      for (int64_t i = 0; i < count && p.bias != nullptr; ++i) acc[i] = p.bias[n + i];
      for (int64_t k = 0; k < s.k; ++k)
        for (int64_t i = 0; i < count; ++i) acc[i] += p.a[m * lda + k] * b[k * ldb + i];
      for (int64_t i = 0; i < count; ++i) {
        if (p.residual != nullptr) acc[i] += p.residual[m * ld_residual + n + i];
        p.y[m * ldy + n + i] = activate(acc[i], p.activation);
      }
    }
  }
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const GemmF32Functions name;
#include "kernels/gemm_f32/kernels.def"
#undef LAPIDARY_KERNEL

const GemmF32Functions gemm_f32_scalar = {packed_bytes, blocks, pack, run};

std::span<const GemmF32Kernel> gemm_f32_kernels() {
  static const GemmF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"gemm_f32", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/gemm_f32/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> gemm_f32_rows() { return rows_of(gemm_f32_kernels()); }

Choice<GemmF32Kernel> select_gemm_f32(const GemmF32Shape&) { return choose(gemm_f32_kernels()); }

void run_gemm_f32(const GemmF32Kernel& kernel, const GemmF32Args& args, int threads) {
  const ConvShape shape = gemm_shape(args.shape.m, args.shape.k, args.shape.n);
  const int count = threads_worth(shape, threads);
  const int64_t blocks = kernel.call->blocks(args.shape);
  const bool by_blocks = split_by_blocks(shape, blocks, count);
  const auto body = [&](int64_t begin, int64_t end, int) {
    GemmF32Args part = args;
    (by_blocks ? part.block_begin : part.m_begin) = begin;
    (by_blocks ? part.block_end : part.m_end) = end;
    kernel.call->run(part);
  };
  parallel_for(by_blocks ? blocks : args.shape.m, 1, body, count);
}

}  // namespace lapidary::kernels
