#include "src/base/parallel.h"
#include "src/exec/steps/batch.h"
#include "src/exec/steps/product_s8.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

using kernels::ConvS8Args;
using kernels::ConvS8Weights;

namespace {

/// One matrix after the other: B is packed into scratch, then multiplied. Each thread does matrices
/// of its own; where those are half as many as threads or fewer, all threads share each product.
struct BatchedProduct {
  Operand a, b, y;
  kernels::ConvShape shape;
  std::vector<int64_t> a_at, b_at;
  const kernels::ConvS8Kernel* kernel = nullptr;
  int64_t packed_bytes = 0, scratch_bytes = 0;  ///< of a product on one thread
  int x_zero = 0, b_zero = 0, y_zero = 0;
  float multiplier = 0;
  kernels::ConvS8Output output = kernels::ConvS8Output::kU8;
};

/// Product i on `threads` threads; scratch: packed_bytes, then scratch_bytes for each of them.
void multiply(const BatchedProduct& p, const StepRun& run, size_t i, char* scratch, int threads) {
  const ConvS8Weights weights{.data = run.data<const uint8_t>(p.b) + p.b_at[i],
                              .is_unsigned = true,
                              .oc_stride = 1,
                              .ic_stride = p.shape.out_c,
                              .zero_point = p.b_zero};
  p.kernel->call->pack(p.shape, weights, scratch);
  kernels::set_bias(scratch, nullptr, p.x_zero);
  kernels::set_multipliers(scratch, &p.multiplier, 1);
  ConvS8Args args;
  args.shape = p.shape;
  args.x = run.data<const uint8_t>(p.a) + p.a_at[i];
  args.packed = scratch;
  const int64_t y_bytes = static_cast<int64_t>(dtype_size(p.y.dtype));
  args.y = run.data<char>(p.y) + static_cast<int64_t>(i) * p.shape.in_w * p.shape.out_c * y_bytes;
  args.x_zero = p.x_zero;
  args.y_zero = p.y_zero;
  args.output = p.output;
  args.scratch = scratch + p.packed_bytes;
  if (threads == 1)
    p.kernel->call->run(args);
  else
    kernels::run_conv_s8(*p.kernel, args, threads);
}

int64_t aligned(size_t bytes) { return static_cast<int64_t>((bytes + 63) / 64 * 64); }

/// The product of two computed tensors of bytes: shapes and offsets, the rest is the caller's.
std::optional<BatchedProduct> batched_product(const PlanBuilder& b, ValueId left, ValueId right,
                                              ValueId result) {
  if (!is_byte(b.dtype(left)) || !is_byte(b.dtype(right))) return std::nullopt;
  const Shape ls = b.shape(left), rs = b.shape(right), ys = b.shape(result);
  if (ls.size() < 2 || rs.size() < 2) return std::nullopt;
  BatchedProduct p;
  p.shape = kernels::gemm_shape(ls[ls.size() - 2], ls.back(), rs.back());
  p.a_at = batch_offsets(ls, ys, p.shape.in_w * p.shape.in_c);
  p.b_at = batch_offsets(rs, ys, p.shape.in_c * p.shape.out_c);
  p.kernel = kernels::select_conv_s8(p.shape).kernel;
  p.packed_bytes = aligned(p.kernel->call->packed_bytes(p.shape));
  p.scratch_bytes = aligned(p.kernel->call->scratch_bytes(p.shape));
  return p;
}

void emit_batched(PlanBuilder& b, NodeId id, BatchedProduct p, ValueId left, ValueId right) {
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = p.kernel->row.name;
  spec.precision = "int8";
  p.a = b.get_u8(left, Layout::kRowMajor);
  p.b = b.get_u8(right, Layout::kRowMajor);
  p.y = b.create_u8(b.output(id), Layout::kRowMajor);
  const int64_t per_thread = p.packed_bytes + p.scratch_bytes;
  const int scratch = b.scratch(per_thread * b.threads());  // enough for either way
  spec.reads = {p.a, p.b};
  spec.writes = {p.y};
  spec.scratch = {scratch};
  spec.run = [p, scratch, per_thread](const StepRun& run) {
    char* base = static_cast<char*>(run.at(scratch));
    const auto count = static_cast<int64_t>(p.a_at.size());
    if (2 * count <= run.threads()) {
      for (int64_t i = 0; i < count; ++i)
        multiply(p, run, static_cast<size_t>(i), base, run.threads());
      return;
    }
    const auto body = [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; ++i)
        multiply(p, run, static_cast<size_t>(i), base + per_thread * thread, 1);
    };
    parallel_for(count, 1, body, run.threads());
  };
  b.emit(std::move(spec));
}

}  // namespace

/// QLinearMatMul of two computed tensors (attention).
bool build_qlinear_matmul_of_two(PlanBuilder& b, NodeId id) {
  const ValueId left = b.input(id, 0), right = b.input(id, 3), result = b.output(id);
  if (!is_byte(b.dtype(result))) return false;
  auto p = batched_product(b, left, right, result);
  const auto x = byte_params(b, id, 1, b.dtype(left)), w = byte_params(b, id, 4, b.dtype(right)),
             y = byte_params(b, id, 6, b.dtype(result));
  if (!p || !x || !w || !y) return false;
  p->x_zero = x->zero;
  p->b_zero = w->zero;
  p->y_zero = y->zero;
  p->multiplier = kernels::requant_multiplier(x->scale, w->scale, y->scale);
  emit_batched(b, id, std::move(*p), left, right);
  return true;
}

/// MatMulIntegerToFloat of two computed tensors, without a bias (attention scores).
bool build_matmul_integer_to_float_of_two(PlanBuilder& b, NodeId id) {
  const ValueId left = b.input(id, 0), right = b.input(id, 1);
  auto p = batched_product(b, left, right, b.output(id));
  const auto x = byte_params(b, b.input(id, 2), b.input(id, 4), b.dtype(left)),
             w = byte_params(b, b.input(id, 3), b.input(id, 5), b.dtype(right));
  if (!p || !x || !w || b.input(id, 6)) return false;
  p->x_zero = x->zero;
  p->b_zero = w->zero;
  p->multiplier = x->scale * w->scale;
  p->output = kernels::ConvS8Output::kF32;
  emit_batched(b, id, std::move(*p), left, right);
  return true;
}

}  // namespace lapidary::exec
