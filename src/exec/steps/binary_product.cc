#include <algorithm>
#include <cmath>

#include "kernels/conv_b1/conv_b1.h"
#include "kernels/sign_b1/sign_b1.h"
#include "src/exec/steps/common.h"
#include "src/exec/steps/grain.h"
#include "src/exec/steps/place.h"
#include "src/exec/steps/rules.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/packed_weights.h"

namespace lapidary::exec {

namespace {

/// What BinaryConv and BinaryMatMul ask of conv_b1.
struct BinaryProduct {
  kernels::ConvShape shape;
  kernels::ConvB1Padding padding = kernels::ConvB1Padding::kOne;
  size_t axis = 1;  ///< of x and y that counts channels: 1, or the last of a matrix product
  bool matrix = false;
};

bool is_matmul(const Node& node) { return node.is("BinaryMatMul", kOwnDomain); }

bool all_finite(const Tensor* t) {
  return t && std::ranges::all_of(t->data<float>(), [](float v) { return std::isfinite(v); });
}

/// The product that a node of either op is; none where the reference has to compute it.
std::optional<BinaryProduct> read_product(const PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), y = b.output(id);
  const Tensor* w = b.constant(b.input(id, 1));
  const bool known = b.graph().value(x).type.is_static() && b.graph().value(y).type.is_static();
  if (w == nullptr || !known || !all_finite(b.constant(b.input(id, 2))) ||
      !all_finite(b.constant(b.input(id, 3))))
    return std::nullopt;
  const Shape in = b.shape(x);
  if (element_count(in) == 0 || element_count(b.shape(y)) == 0) return std::nullopt;
  BinaryProduct p;
  if (is_matmul(b.node(id))) {
    p.shape = kernels::gemm_shape(element_count(in) / in.back(), in.back(), w->dim(0));
    p.axis = in.size() - 1;
    p.matrix = true;
    return p;
  }
  const AttrView attrs = b.attrs(id);
  const auto shape = window_shape(b, id, x, y, attrs.get_ints("kernel_shape"));
  if (!shape) return std::nullopt;
  p.shape = *shape;
  if (attrs.get_float("pad_value", 0) == 0) p.padding = kernels::ConvB1Padding::kZero;
  return p;
}

/// True where nobody sees more of a result than its signs along `axis`.
bool only_signs_read(const PlanBuilder& b, ValueId y, size_t axis) {
  const Graph& graph = b.graph();
  const auto reads_signs = [&](const Use& use) {
    if (use.capture || use.slot != 0) return false;
    const Node& node = graph.node(use.node);
    if (!is_matmul(node) && !node.is("BinaryConv", kOwnDomain)) return false;
    const auto reader = read_product(b, use.node);
    return reader && reader->axis == axis;
  };
  return !graph.is_output(y) && std::ranges::all_of(graph.value(y).uses, reads_signs);
}

/// The signs of x; packs them where no step has.
Operand signs_of(PlanBuilder& b, ValueId x, const BinaryProduct& p) {
  if (const Operand* lies = b.signs(x, p.axis)) return *lies;
  const Operand from = p.matrix ? b.row_major(x) : b.operand(x);
  const Operand to = b.create_signs(x, p.axis);
  const auto* row = kernels::select_sign_b1().kernel;
  kernels::SignB1Args args;
  args.channels = p.shape.in_c;
  args.batch = p.shape.batch;
  args.pixels = p.shape.in_h * p.shape.in_w;
  args.planar = !p.matrix && from.layout == Layout::kRowMajor;
  StepSpec spec;
  spec.op = "Signs of " + b.graph().value(x).name;
  spec.kernel = row->row.name;
  spec.precision = "binary";
  spec.reads = {from};
  spec.writes = {to};
  spec.run = [=](const StepRun& run) {
    const int64_t grain = 1 + kGrainElements / args.channels;
    run.parallel(args.batch * args.pixels, grain, [&](int64_t begin, int64_t end) {
      kernels::SignB1Args part = args;
      part.begin = begin;
      part.end = end;
      part.x = run.data<const float>(from);
      part.y = run.data<uint32_t>(to);
      row->call->run(part);
    });
  };
  b.emit(std::move(spec));
  return to;
}

Tensor packed_weights(PlanBuilder& b, NodeId id, const BinaryProduct& p,
                      const kernels::ConvB1Kernel& row) {
  const kernels::ConvShape& s = p.shape;
  const Tensor& bits = *b.constant(b.input(id, 1));
  const Tensor signs = p.matrix
                           ? unpack_binary(bits, {s.out_c, s.in_c})
                           : unpack_binary_conv(bits, {s.out_c, s.in_c, s.kernel_h, s.kernel_w});
  Tensor packed = b.packed(static_cast<int64_t>(row.call->packed_bytes(s)));
  row.call->pack(s, {.data = signs.data<float>().data()}, packed.mutable_raw());
  kernels::set_affine(packed.mutable_raw(), b.constant(b.input(id, 2))->data<float>().data(),
                      b.constant(b.input(id, 3))->data<float>().data());
  return packed;
}

/// Room for the result: its signs where they are all that is read.
Place place_of(PlanBuilder& b, ValueId y, const BinaryProduct& p, bool signs) {
  if (signs) return {.out = b.create_signs(y, p.axis)};
  return p.matrix ? Place{.out = b.create(y, Layout::kRowMajor)} : place_result(b, y);
}

}  // namespace

/// x, packed weights, scale, bias
bool build_binary_product(PlanBuilder& b, NodeId id) {
  const auto product = read_product(b, id);
  if (!product) return false;
  const BinaryProduct& p = *product;
  const auto* row = kernels::select_conv_b1(p.shape).kernel;
  const Tensor packed = packed_weights(b, id, p, *row);
  const Operand in = signs_of(b, b.input(id, 0), p);
  const ValueId y = b.output(id);
  const bool signs = only_signs_read(b, y, p.axis);
  const Place place = place_of(b, y, p, signs);
  const int scratch =
      b.scratch(static_cast<int64_t>(kernels::scratch_bytes(*row, p.shape, b.threads())));
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = row->row.name;
  spec.precision = "binary";
  spec.reads = {in};
  spec.writes = {place.out};
  spec.scratch = {scratch};
  spec.run = [=](const StepRun& run) {
    kernels::ConvB1Args args;
    args.shape = p.shape;
    args.x = run.data<const uint32_t>(in);
    args.packed = packed.raw();
    args.y = signs ? run.at(place.out.storage) : place.data<float>(run);
    args.y_stride = place.stride;
    args.output = signs ? kernels::ConvB1Output::kBits : kernels::ConvB1Output::kF32;
    args.padding = p.padding;
    args.scratch = run.at(scratch);
    kernels::run_conv_b1(*row, args, run.threads());
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
