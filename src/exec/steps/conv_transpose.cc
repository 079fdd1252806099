// A transposed convolution as ordinary ones of stride 1, one for each phase of the output. Along an
// axis, output o takes x[i] w[k] where o + pad = i s + k d. With o + pad = q s + r, the taps of
// phase r are those with k d mod s = r: k = k0 + j s/g, g = gcd(s, d), whose input is
// i = q - (k0 d - r)/s - j d/g. So phase r is a convolution of dilation d/g over its taps in
// reverse, and its outputs lie s apart. A phase without taps is the bias alone. No tap stands for
// nothing by a weight of zero: 0 * infinity is NaN.
#include "src/ops/conv_transpose.h"

#include <algorithm>
#include <compare>
#include <map>
#include <numeric>

#include "kernels/conv_f32/conv_f32.h"
#include "kernels/dw_f32/dw_f32.h"
#include "src/base/parallel.h"
#include "src/exec/steps/common.h"
#include "src/exec/steps/product_f32.h"
#include "src/exec/steps/rules.h"
#include "src/exec/strided.h"

namespace lapidary::exec {

using kernels::ConvF32Args;
using kernels::ConvF32Kernel;
using kernels::ConvShape;

namespace {

/// One phase along one axis.
struct AxisPhase {
  std::vector<int64_t> taps;  ///< k of the convolution's tap, first to last
  int64_t dilation = 1, pad = 0;
  int64_t skip = 0;              ///< inputs before the first that is read
  int64_t first = 0, count = 0;  ///< outputs first, first + s, ...
};

AxisPhase phase_of(const ConvTransposeAxis& a, int64_t r) {
  AxisPhase p;
  const int64_t g = std::gcd(a.stride, a.dilation);
  p.dilation = a.dilation / g;
  // The first q with q s + r - pad >= 0.
  const int64_t q = r >= a.pad ? 0 : (a.pad - r + a.stride - 1) / a.stride;
  p.first = q * a.stride + r - a.pad;
  p.count = p.first < a.out ? (a.out - p.first + a.stride - 1) / a.stride : 0;
  int64_t k0 = 0;
  while (k0 < a.kernel && k0 * a.dilation % a.stride != r) ++k0;
  for (int64_t k = k0; k < a.kernel; k += a.stride / g) p.taps.insert(p.taps.begin(), k);
  const auto count = static_cast<int64_t>(p.taps.size());
  if (count > 0) p.pad = (k0 * a.dilation - r) / a.stride + (count - 1) * p.dilation - q;
  p.skip = std::max<int64_t>(0, -p.pad);  // the padding cut the first taps away
  p.pad = std::max<int64_t>(0, p.pad);
  if (p.skip >= a.in) p.taps.clear();
  return p;
}

/// What of the input some phases read: all but its first lines and columns.
struct Crop {
  int64_t lines = 0, columns = 0;
  auto operator<=>(const Crop&) const = default;
};

struct Phase {
  ConvShape shape;
  Crop crop;
  int cropped = -1;  ///< scratch that holds the crop; -1: it is the whole input
  Tensor packed;
  const ConvF32Kernel* row = nullptr;
  std::string precision;
  int64_t first_y = 0, first_x = 0;  ///< of the output
};

struct Geometry {
  ConvTransposeAxis h, w;
  int64_t batch, in_c, out_c, groups;
};

/// The phase's weights, [OC, IC/G, taps...], of w [IC, OC/G, kernel...].
std::vector<float> phase_weights(const Geometry& g, const AxisPhase& h, const AxisPhase& w,
                                 const float* from) {
  const int64_t group_in = g.in_c / g.groups, group_out = g.out_c / g.groups;
  std::vector<float> to;
  for (int64_t m = 0; m < g.out_c; ++m)
    for (int64_t i = 0; i < group_in; ++i) {
      const int64_t channel = m / group_out * group_in + i;
      const float* filter = from + (channel * group_out + m % group_out) * g.h.kernel * g.w.kernel;
      for (const int64_t ky : h.taps)
        for (const int64_t kx : w.taps) to.push_back(filter[ky * g.w.kernel + kx]);
    }
  return to;
}

Phase make_phase(PlanBuilder& b, const Geometry& g, const AxisPhase& h, const AxisPhase& w,
                 const Tensor& weights, const float* bias) {
  Phase phase;
  ConvShape& s = phase.shape;
  s.batch = g.batch;
  s.in_c = g.in_c;
  s.out_h = h.count;
  s.out_w = w.count;
  s.out_c = g.out_c;
  s.groups = g.groups;
  std::vector<float> own;
  if (h.taps.empty() || w.taps.empty()) {
    s.pad_top = s.out_h;  // one tap that never meets the input
    own.resize(static_cast<size_t>(g.out_c * (g.in_c / g.groups)));
  } else {
    phase.crop = {h.skip, w.skip};
    s.in_h = g.h.in - h.skip;
    s.in_w = g.w.in - w.skip;
    s.kernel_h = static_cast<int64_t>(h.taps.size());
    s.kernel_w = static_cast<int64_t>(w.taps.size());
    s.dilation_h = h.dilation;
    s.dilation_w = w.dilation;
    s.pad_top = h.pad;
    s.pad_left = w.pad;
    own = phase_weights(g, h, w, weights.data<float>().data());
  }
  phase.first_y = h.first;
  phase.first_x = w.first;
  const NarrowProduct narrow = narrow_product(b, s, weights);  // by all weights: one row for all
  phase.precision = narrow.precision;
  phase.row = narrow.row                 ? narrow.row
              : kernels::is_depthwise(s) ? kernels::select_dw_f32(s).kernel
                                         : kernels::select_conv_f32(s).kernel;
  phase.packed = b.packed(static_cast<int64_t>(phase.row->call->packed_bytes(s)));
  phase.row->call->pack(s, {.data = own.data(), .bias = bias}, phase.packed.mutable_raw());
  return phase;
}

std::optional<Geometry> geometry_of(const PlanBuilder& b, NodeId id, const Tensor& weights) {
  const Shape x = b.shape(b.input(id, 0));
  if (x.size() < 3 || x.size() > 4) return std::nullopt;
  const auto axes = conv_transpose_axes(b.attrs(id), x, weights.shape());
  Geometry g{.batch = x[0], .in_c = x[1], .groups = b.attrs(id).get_int("group", 1)};
  g.out_c = weights.shape()[1] * g.groups;
  if (axes.size() == 2) g.h = axes[0];
  g.w = axes.back();
  if (g.h.pad < 0 || g.w.pad < 0) return std::nullopt;
  return g;
}

std::vector<Phase> make_phases(PlanBuilder& b, const Geometry& g, const Tensor& weights,
                               const float* bias) {
  std::vector<Phase> phases;
  for (int64_t ry = 0; ry < g.h.stride; ++ry)
    for (int64_t rx = 0; rx < g.w.stride; ++rx) {
      const AxisPhase h = phase_of(g.h, ry), w = phase_of(g.w, rx);
      if (h.count > 0 && w.count > 0) phases.push_back(make_phase(b, g, h, w, weights, bias));
    }
  return phases;
}

/// A crop's copy, contiguous, in the scratch that phases name.
struct CroppedInput {
  StridedCopy copy;
  int scratch = -1;
};

CroppedInput crop_input(PlanBuilder& b, const Geometry& g, const Crop& c) {
  const int64_t line = g.w.in * g.in_c;
  const int64_t lines = g.h.in - c.lines, width = (g.w.in - c.columns) * g.in_c;
  CroppedInput out{
      {.element_bytes = sizeof(float),
       .axes = {{g.batch, g.h.in * line, lines * width}, {lines, line, width}, {width, 1, 1}},
       .x_offset = c.lines * line + c.columns * g.in_c}};
  out.copy.simplify();
  out.scratch = b.scratch(g.batch * lines * width * static_cast<int64_t>(sizeof(float)));
  return out;
}

/// One for each crop that is not the whole input; the phases learn where theirs is.
std::vector<CroppedInput> crop_inputs(PlanBuilder& b, const Geometry& g,
                                      std::vector<Phase>& phases) {
  std::vector<CroppedInput> out;
  std::map<Crop, int> scratch_of;
  for (Phase& phase : phases) {
    if (phase.crop == Crop()) continue;
    const auto [known, added] = scratch_of.try_emplace(phase.crop);
    if (added) known->second = out.emplace_back(crop_input(b, g, phase.crop)).scratch;
    phase.cropped = known->second;
  }
  return out;
}

struct Lines {
  const float* x;
  const float* residual;
  float* y;
  kernels::ActivationF32 activation;
};

/// `base` moved by elements that may lead out of the array: no pointer of C++ may point there, even
/// where every access made from it is inside.
float* displaced(const float* base, int64_t elements) {
  return reinterpret_cast<float*>(reinterpret_cast<uintptr_t>(base) +
                                  static_cast<uintptr_t>(elements) * sizeof(float));
}

/// One line of a phase's output, its pixels written `stride` apart.
void run_line(const Geometry& g, const Phase& phase, const Lines& lines, int64_t line,
              void* scratch) {
  const ConvShape& s = phase.shape;
  const int64_t n = line / s.out_h, oy = phase.first_y + line % s.out_h * g.h.stride;
  const int64_t pixel_step = g.w.stride * g.out_c;
  // The kernel counts pixels over the phase's own lines.
  const int64_t begin =
      ((n * g.h.out + oy) * g.w.out + phase.first_x) * g.out_c - line * s.out_w * pixel_step;
  ConvF32Args args;
  args.shape = s;
  const int64_t rows = kernels::is_flat(s) ? s.out_w : 1;
  args.range = {.row_begin = line * rows, .row_end = (line + 1) * rows};
  args.x = lines.x;
  args.packed = phase.packed.raw();
  args.y = displaced(lines.y, begin);
  args.y_stride = pixel_step;
  args.residual = lines.residual ? displaced(lines.residual, begin) : nullptr;
  args.residual_stride = pixel_step;
  args.activation = lines.activation;
  args.scratch = scratch;
  phase.row->call->run(args);
}

}  // namespace

bool build_conv_transpose(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), w = b.input(id, 1), bias = b.input(id, 2);
  const Tensor* weights = b.constant(w);
  if (b.dtype(x) != DType::kF32 || weights == nullptr || (bias && !b.constant(bias))) return false;
  const auto g = geometry_of(b, id, *weights);
  if (!g) return false;
  std::vector<Phase> phases =
      make_phases(b, *g, *weights, bias ? b.constant(bias)->data<float>().data() : nullptr);

  const Tail tail = float_tail(b, id, /*residual=*/true);
  StepSpec spec;
  spec.nodes = tail.nodes;
  spec.kernel = phases.front().row->row.name;
  spec.precision = phases.front().precision;
  const Operand in = b.channels_last(x);
  const Operand residual = tail.residual ? b.channels_last(tail.residual) : Operand();
  const Operand out = b.create(tail.output, Layout::kChannelsLast);
  size_t each = 64;
  for (const Phase& phase : phases)
    each = std::max(each, (phase.row->call->scratch_bytes(phase.shape) + 63) / 64 * 64);
  const int scratch = b.scratch(static_cast<int64_t>(each) * b.threads());
  const std::vector<CroppedInput> crops = crop_inputs(b, *g, phases);
  spec.reads = {in};
  if (residual.valid()) spec.reads.push_back(residual);
  spec.writes = {out};
  spec.scratch = {scratch};
  for (const CroppedInput& crop : crops) spec.scratch.push_back(crop.scratch);
  spec.run = [=, g = *g, activation = tail.activation](const StepRun& run) {
    const auto* x = run.data<const float>(in);
    Lines lines = {x, residual.valid() ? run.data<const float>(residual) : nullptr,
                   run.data<float>(out), activation};
    for (const CroppedInput& crop : crops)
      copy_strided(crop.copy, x, run.at(crop.scratch), run.threads());
    for (const Phase& phase : phases) {
      lines.x = phase.cropped < 0 ? x : static_cast<const float*>(run.at(phase.cropped));
      parallel_for(
          phase.shape.batch * phase.shape.out_h, 1,
          [&](int64_t begin, int64_t end, int thread) {
            char* own = static_cast<char*>(run.at(scratch)) + each * static_cast<size_t>(thread);
            for (int64_t line = begin; line < end; ++line) run_line(g, phase, lines, line, own);
          },
          run.threads());
    }
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
