#include "src/base/parallel.h"
#include "src/exec/steps/batch.h"
#include "src/exec/steps/product_s8.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

using kernels::ConvS8Args;
using kernels::ConvS8Weights;

namespace {

/// One matrix after the other: B is packed into scratch, then multiplied.
struct BatchedProduct {
  Operand a, b, y;
  kernels::ConvShape shape;
  std::vector<int64_t> a_at, b_at;
  const kernels::ConvS8Kernel* kernel = nullptr;
  int64_t packed_bytes = 0, scratch_bytes = 0;  ///< per thread
  ByteParams x_params, b_params, y_params;
  float multiplier = 0;
};

void multiply(const BatchedProduct& p, const StepRun& run, size_t i, char* scratch) {
  const ConvS8Weights weights{.data = run.data<const uint8_t>(p.b) + p.b_at[i],
                              .is_unsigned = true,
                              .oc_stride = 1,
                              .ic_stride = p.shape.out_c,
                              .zero_point = p.b_params.zero};
  p.kernel->call->pack(p.shape, weights, scratch);
  kernels::set_bias(scratch, nullptr, p.x_params.zero);
  kernels::set_multipliers(scratch, &p.multiplier, 1);
  ConvS8Args args;
  args.shape = p.shape;
  args.x = run.data<const uint8_t>(p.a) + p.a_at[i];
  args.packed = scratch;
  args.y = run.data<uint8_t>(p.y) + static_cast<int64_t>(i) * p.shape.in_w * p.shape.out_c;
  args.x_zero = p.x_params.zero;
  args.y_zero = p.y_params.zero;
  args.scratch = scratch + p.packed_bytes;
  p.kernel->call->run(args);
}

int64_t aligned(size_t bytes) { return static_cast<int64_t>((bytes + 63) / 64 * 64); }

}  // namespace

/// QLinearMatMul of two computed tensors (attention).
bool build_qlinear_matmul_of_two(PlanBuilder& b, NodeId id) {
  const ValueId left = b.input(id, 0), right = b.input(id, 3), result = b.output(id);
  if (!is_byte(b.dtype(left)) || !is_byte(b.dtype(right)) || !is_byte(b.dtype(result)))
    return false;
  const Shape ls = b.shape(left), rs = b.shape(right), ys = b.shape(result);
  const auto x = byte_params(b, id, 1, b.dtype(left)), w = byte_params(b, id, 4, b.dtype(right)),
             y = byte_params(b, id, 6, b.dtype(result));
  if (ls.size() < 2 || rs.size() < 2 || !x || !w || !y) return false;

  BatchedProduct p;
  p.shape = kernels::gemm_shape(ls[ls.size() - 2], ls.back(), rs.back());
  p.a_at = batch_offsets(ls, ys, p.shape.in_w * p.shape.in_c);
  p.b_at = batch_offsets(rs, ys, p.shape.in_c * p.shape.out_c);
  p.kernel = kernels::select_conv_s8(p.shape).kernel;
  p.packed_bytes = aligned(p.kernel->call->packed_bytes(p.shape));
  p.scratch_bytes = aligned(p.kernel->call->scratch_bytes(p.shape));
  p.x_params = *x;
  p.b_params = *w;
  p.y_params = *y;
  p.multiplier = kernels::requant_multiplier(x->scale, w->scale, y->scale);

  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = p.kernel->row.name;
  spec.precision = "int8";
  p.a = b.get_u8(left, Layout::kRowMajor);
  p.b = b.get_u8(right, Layout::kRowMajor);
  p.y = b.create_u8(result, Layout::kRowMajor);
  const int64_t per_thread = p.packed_bytes + p.scratch_bytes;
  const int scratch = b.scratch(per_thread * b.threads());
  spec.reads = {p.a, p.b};
  spec.writes = {p.y};
  spec.scratch = {scratch};
  spec.run = [p, scratch, per_thread](const StepRun& run) {
    char* base = static_cast<char*>(run.at(scratch));
    const auto body = [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; ++i)
        multiply(p, run, static_cast<size_t>(i), base + per_thread * thread);
    };
    parallel_for(static_cast<int64_t>(p.a_at.size()), 1, body, run.threads());
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
