#include "kernels/pool/pool.h"

#include "src/exec/steps/common.h"
#include "src/exec/steps/place.h"
#include "src/exec/steps/quant.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

using kernels::ConvShape;
using kernels::PoolArgs;

namespace {

using PoolFn = void (*)(const PoolArgs&);

/// True where every window starts inside the image or its leading padding, so that it holds an
/// element.
bool windows_hold_elements(const ConvShape& s) {
  return (s.out_h - 1) * s.stride_h - s.pad_top < s.in_h &&
         (s.out_w - 1) * s.stride_w - s.pad_left < s.in_w &&
         s.pad_top < (s.kernel_h - 1) * s.dilation_h + 1 &&
         s.pad_left < (s.kernel_w - 1) * s.dilation_w + 1;
}

void emit_pool(PlanBuilder& b, NodeId id, PoolArgs args, PoolFn call) {
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = kernels::select_pool().kernel->row.name;
  const ValueId x = b.input(id, 0), y = b.output(id);
  spec.precision = is_byte(b.dtype(y)) ? "int8" : "float32";
  const Operand in = b.get_u8(x, Layout::kChannelsLast);
  const Place place = place_result(b, y);
  spec.reads = {in};
  spec.writes = {place.out};
  args.y_stride = place.stride;
  const bool bytes = is_byte(b.dtype(y));
  spec.run = [=](const StepRun& run) {
    run.parallel(args.shape.batch * args.shape.out_h, 1, [&](int64_t begin, int64_t end) {
      PoolArgs part = args;
      part.row_begin = begin;
      part.row_end = end;
      part.x = run.at(in.storage);
      part.y = bytes ? static_cast<void*>(place.data<uint8_t>(run)) : place.data<float>(run);
      call(part);
    });
  };
  b.emit(std::move(spec));
}

/// A window of the whole image.
std::optional<ConvShape> global_window(const PlanBuilder& b, ValueId x) {
  const Shape in = b.shape(x);
  if (in.size() < 3 || in.size() > 4) return std::nullopt;
  ConvShape s;
  s.batch = in[0];
  s.in_c = s.out_c = in[1];
  s.in_h = s.kernel_h = in.size() == 4 ? in[2] : 1;
  s.in_w = s.kernel_w = in.back();
  return s;
}

std::optional<ConvShape> pool_window(const PlanBuilder& b, NodeId id) {
  const auto shape =
      window_shape(b, id, b.input(id, 0), b.output(id), b.attrs(id).get_ints("kernel_shape"));
  return shape && windows_hold_elements(*shape) ? shape : std::nullopt;
}

/// Windows cut by ceil_mode count fewer elements than the kernel: the kernels do not know where
/// they end.
bool counts_cut_windows(const PlanBuilder& b, NodeId id) {
  return b.attrs(id).get_int("ceil_mode", 0) != 0 &&
         b.attrs(id).get_int("count_include_pad", 0) != 0;
}

}  // namespace

bool build_max_pool(PlanBuilder& b, NodeId id) {
  const DType dtype = b.dtype(b.input(id, 0));
  if ((dtype != DType::kF32 && !is_byte(dtype)) || b.wants_output(id, 1)) return false;
  const auto shape = pool_window(b, id);
  if (!shape) return false;
  const auto* call = kernels::select_pool().kernel->call;
  emit_pool(b, id, {.shape = *shape}, is_byte(dtype) ? call->max_u8 : call->max_f32);
  return true;
}

bool build_average_pool(PlanBuilder& b, NodeId id) {
  const auto shape = pool_window(b, id);
  if (b.dtype(b.input(id, 0)) != DType::kF32 || !shape || counts_cut_windows(b, id)) return false;
  PoolArgs args{.shape = *shape};
  args.count_include_pad = b.attrs(id).get_int("count_include_pad", 0) != 0;
  emit_pool(b, id, args, kernels::select_pool().kernel->call->average_f32);
  return true;
}

bool build_global_average_pool(PlanBuilder& b, NodeId id) {
  const auto shape = global_window(b, b.input(id, 0));
  if (b.dtype(b.input(id, 0)) != DType::kF32 || !shape) return false;
  emit_pool(b, id, {.shape = *shape}, kernels::select_pool().kernel->call->average_f32);
  return true;
}

bool build_global_max_pool(PlanBuilder& b, NodeId id) {
  const auto shape = global_window(b, b.input(id, 0));
  const DType dtype = b.dtype(b.input(id, 0));
  if ((dtype != DType::kF32 && !is_byte(dtype)) || !shape) return false;
  const auto* call = kernels::select_pool().kernel->call;
  emit_pool(b, id, {.shape = *shape}, is_byte(dtype) ? call->max_u8 : call->max_f32);
  return true;
}

namespace {

/// com.microsoft: x, x_scale, x_zero, y_scale, y_zero.
bool emit_average_s8(PlanBuilder& b, NodeId id, const std::optional<ConvShape>& shape) {
  const auto x = byte_params(b, id, 1, b.dtype(b.input(id, 0)));
  const auto y = byte_params(b, id, 3, b.dtype(b.output(id)));
  if (!shape || !x || !y || b.attrs(id).get_int("channels_last", 0) != 0) return false;
  PoolArgs args{.shape = *shape};
  args.count_include_pad = b.attrs(id).get_int("count_include_pad", 0) != 0;
  args.x_scale = x->scale;
  args.y_scale = y->scale;
  args.x_zero = x->zero;
  args.y_zero = y->zero;
  emit_pool(b, id, args, kernels::select_pool().kernel->call->average_u8);
  return true;
}

}  // namespace

bool build_qlinear_average_pool(PlanBuilder& b, NodeId id) {
  return !counts_cut_windows(b, id) && emit_average_s8(b, id, pool_window(b, id));
}

bool build_qlinear_global_average_pool(PlanBuilder& b, NodeId id) {
  return emit_average_s8(b, id, global_window(b, b.input(id, 0)));
}

}  // namespace lapidary::exec
