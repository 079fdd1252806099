#include "kernels/gemm_f32/gemm_f32.h"

#include "src/exec/steps/batch.h"
#include "src/exec/steps/common.h"
#include "src/exec/steps/product_f32.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

using kernels::GemmF32Args;
using kernels::GemmF32Kernel;
using kernels::GemmF32Shape;

namespace {

/// y[m, n] = activation(sum_k a[m, k] b[k, n] + bias[n] + residual[m, n]), b packed.
struct PackedProduct {
  Tail tail;
  Operand a, residual;
  GemmF32Shape shape;
  const GemmF32Kernel* kernel = nullptr;
  NarrowProduct narrow;  ///< instead of `kernel` where it has a row; then the bias is packed too
  Tensor packed, bias;
};

kernels::ConvShape as_conv(const GemmF32Shape& s) { return kernels::gemm_shape(s.m, s.k, s.n); }

/// The product as a 1x1 convolution.
void emit_narrow(PlanBuilder& b, const PackedProduct& p) {
  const kernels::ConvF32Kernel* row = p.narrow.row;
  StepSpec spec;
  spec.nodes = p.tail.nodes;
  spec.kernel = row->row.name;
  spec.precision = p.narrow.precision;
  const Operand out = b.create(p.tail.output, Layout::kRowMajor);
  const int scratch =
      b.scratch(static_cast<int64_t>(kernels::scratch_bytes(*row, as_conv(p.shape), b.threads())));
  spec.reads = {p.a};
  if (p.residual.valid()) spec.reads.push_back(p.residual);
  spec.writes = {out};
  spec.scratch = {scratch};
  spec.run = [row, out, scratch, shape = as_conv(p.shape), a = p.a, residual = p.residual,
              packed = p.packed, activation = p.tail.activation](const StepRun& run) {
    kernels::ConvF32Args args;
    args.shape = shape;
    args.x = run.data<const float>(a);
    args.packed = packed.raw();
    args.y = run.data<float>(out);
    args.activation = activation;
    args.residual = residual.valid() ? run.data<const float>(residual) : nullptr;
    args.scratch = run.at(scratch);
    kernels::run_conv_f32(*row, args, run.threads());
  };
  b.emit(std::move(spec));
}

void emit_packed(PlanBuilder& b, const PackedProduct& p) {
  if (p.narrow.row != nullptr) return emit_narrow(b, p);
  StepSpec spec;
  spec.nodes = p.tail.nodes;
  spec.kernel = p.kernel->row.name;
  const Operand out = b.create(p.tail.output, Layout::kRowMajor);
  spec.reads = {p.a};
  if (p.residual.valid()) spec.reads.push_back(p.residual);
  spec.writes = {out};
  spec.run = [p, out](const StepRun& run) {
    GemmF32Args args;
    args.shape = p.shape;
    args.a = run.data<const float>(p.a);
    args.packed_b = p.packed.raw();
    args.y = run.data<float>(out);
    args.bias = p.bias.empty() ? nullptr : p.bias.data<float>().data();
    args.residual = p.residual.valid() ? run.data<const float>(p.residual) : nullptr;
    args.activation = p.tail.activation;
    kernels::run_gemm_f32(*p.kernel, args, run.threads());
  };
  b.emit(std::move(spec));
}

/// `matrix` [K, N], or [N, K] where transposed.
void pack(PlanBuilder& b, PackedProduct& p, const Tensor& matrix, bool transposed = false) {
  const float* data = matrix.data<float>().data();
  const kernels::ConvShape conv = as_conv(p.shape);
  p.narrow = narrow_product(b, conv, matrix);
  if (const kernels::ConvF32Kernel* row = p.narrow.row) {
    p.packed = b.packed(static_cast<int64_t>(row->call->packed_bytes(conv)));
    row->call->pack(conv,
                    {.data = data,
                     .oc_stride = transposed ? p.shape.k : 1,
                     .ic_stride = transposed ? 1 : p.shape.n,
                     .bias = p.bias.empty() ? nullptr : p.bias.data<float>().data()},
                    p.packed.mutable_raw());
    return;
  }
  const kernels::GemmF32B weights{.data = data, .transposed = transposed};
  p.kernel = kernels::select_gemm_f32(p.shape).kernel;
  p.packed = b.packed(static_cast<int64_t>(p.kernel->call->packed_bytes(p.shape)));
  p.kernel->call->pack(p.shape, weights, p.packed.mutable_raw());
}

/// The bias of an Add behind a product: consumed into `p`.
void take_bias(const PlanBuilder& b, PackedProduct& p) {
  const NodeId next = b.only_consumer(p.tail.output);
  if (!next || !b.node(next).is("Add")) return;
  for (const size_t slot : {size_t{0}, size_t{1}}) {
    const Tensor* c = b.constant(b.input(next, slot));
    if (c == nullptr || b.shape(b.output(next)) != b.shape(p.tail.output)) continue;
    p.bias = column_vector(*c, p.shape.n, 1.0f);
    if (p.bias.empty()) continue;
    std::vector<NodeId> nodes = p.tail.nodes;
    const Tail rest = float_tail(b, next, true);
    p.tail = rest;
    p.tail.nodes.insert(p.tail.nodes.begin(), nodes.begin(), nodes.end());
    return;
  }
}

/// Both operands computed: one product per matrix of the batch.
bool build_batched(PlanBuilder& b, NodeId id) {
  const ValueId left = b.input(id, 0), right = b.input(id, 1);
  const Shape ls = b.shape(left), rs = b.shape(right), ys = b.shape(b.output(id));
  if (ls.size() < 2 || rs.size() < 2) return false;
  const GemmF32Shape shape{ls[ls.size() - 2], rs.back(), ls.back()};
  const auto* kernel = kernels::select_gemm_f32(shape).kernel;
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = kernel->row.name;
  const Operand a = b.row_major(left), c = b.row_major(right);
  const Operand out = b.create(b.output(id), Layout::kRowMajor);
  spec.reads = {a, c};
  spec.writes = {out};
  spec.run = [=, a_at = batch_offsets(ls, ys, shape.m * shape.k),
              b_at = batch_offsets(rs, ys, shape.k * shape.n)](const StepRun& run) {
    const auto product = [&](size_t i) {
      GemmF32Args args;
      args.shape = shape;
      args.a = run.data<const float>(a) + a_at[i];
      args.b.data = run.data<const float>(c) + b_at[i];
      args.y = run.data<float>(out) + static_cast<int64_t>(i) * shape.m * shape.n;
      return args;
    };
    if (a_at.size() == 1) return kernels::run_gemm_f32(*kernel, product(0), run.threads());
    run.parallel(static_cast<int64_t>(a_at.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) kernel->call->run(product(static_cast<size_t>(i)));
    });
  };
  b.emit(std::move(spec));
  return true;
}

/// B [K, N] for a Gemm: alpha times the constant.
Tensor scaled(const Tensor& weights, float alpha) {
  if (alpha == 1.0f) return weights;
  Tensor out = weights;
  for (float& w : out.mutable_data<float>()) w *= alpha;
  return out;
}

}  // namespace

bool build_matmul(PlanBuilder& b, NodeId id) {
  const ValueId left = b.input(id, 0), right = b.input(id, 1);
  if (b.dtype(left) != DType::kF32) return false;
  const Tensor* weights = b.constant(right);
  const Shape ls = b.shape(left);
  if (weights == nullptr || weights->rank() != 2 || ls.size() < 2) return build_batched(b, id);
  PackedProduct p;
  p.shape = {element_count(ls) / ls.back(), weights->dim(1), weights->dim(0)};
  p.tail = float_tail(b, id, /*residual=*/true);
  if (!p.tail.residual && p.tail.nodes.size() == 1) take_bias(b, p);
  pack(b, p, *weights);
  p.a = b.row_major(left);
  if (p.tail.residual) p.residual = b.row_major(p.tail.residual);
  emit_packed(b, p);
  return true;
}

/// Y = alpha A B + beta C, A and B transposed where said.
bool build_gemm(PlanBuilder& b, NodeId id) {
  const ValueId left = b.input(id, 0), right = b.input(id, 1), c = b.input(id, 2);
  const AttrView attrs = b.attrs(id);
  const Tensor* weights = b.constant(right);
  if (b.dtype(left) != DType::kF32 || weights == nullptr || attrs.get_int("transA", 0) != 0)
    return false;
  const bool transposed = attrs.get_int("transB", 0) != 0;
  const Shape ls = b.shape(left), ys = b.shape(b.output(id));
  PackedProduct p;
  p.shape = {ys[0], ys[1], ls[1]};
  p.tail = float_tail(b, id, /*residual=*/!c);
  if (c) {
    const Tensor* bias = b.constant(c);
    if (bias == nullptr) return false;
    p.bias = column_vector(*bias, p.shape.n, attrs.get_float("beta", 1.0f));
    if (p.bias.empty()) return false;
  }
  const Tensor matrix = scaled(*weights, attrs.get_float("alpha", 1.0f));
  pack(b, p, matrix, transposed);
  p.a = b.row_major(left);
  if (p.tail.residual) p.residual = b.row_major(p.tail.residual);
  emit_packed(b, p);
  return true;
}

}  // namespace lapidary::exec
