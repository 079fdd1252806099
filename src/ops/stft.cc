#include "src/base/checked.h"
#include "src/ops/dft.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// signal [N, L, 1 or 2] -> [N, frames, bins, 2], frames = 1 + (L - frame) / step
struct Frames {
  int64_t length = 0, step = 1, count = 0, bins = 0;
};

Frames frames_of(const AttrView& attrs, int64_t signal, int64_t step, int64_t length) {
  if (step < 1) fail_invalid("frame_step is {}, expected 1 or more", step);
  if (length < 1 || length > signal)
    fail_invalid("frames of {} elements in a signal of {}", length, signal);
  const bool one_sided = attrs.get_int("onesided", 1) != 0;
  return {length, step, 1 + (signal - length) / step, one_sided ? length / 2 + 1 : length};
}

void infer(InferContext& ctx) {
  ctx.require_dtype(0, kFloatDTypes);
  ctx.require_rank(0, 3, 3);
  ctx.require_dtype(1, kIndexTypes);
  ctx.require_same_dtype(0, 2);
  ctx.require_rank(2, 1, 1);
  ctx.require_dtype(3, kIndexTypes);
  if (!ctx.has_input(2) && !ctx.has_input(3))
    fail_invalid("expected window or frame_length, found none");
  std::vector<Dim> out = {Dim{}, Dim{}, Dim{}, 2};
  const auto* signal = ctx.shape(0);
  if (signal) out[0] = (*signal)[0];
  Dim length;
  if (const auto given = ctx.ints(3); given && given->size() == 1) length = (*given)[0];
  if (ctx.shape(2)) length = unify_dim(length, (*ctx.shape(2))[0]);
  const auto step = ctx.ints(1);
  if (signal && (*signal)[1].known() && step && step->size() == 1 && length.known()) {
    const Frames frames = frames_of(ctx.attrs(), (*signal)[1].value, (*step)[0], length.value);
    out[1] = frames.count;
    out[2] = frames.bins;
  }
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const int64_t length = ctx.has_input(3) ? ctx.ints(3)[0] : ctx.input(2).dim(0);
  const Frames frames = frames_of(ctx.attrs(), x.dim(1), ctx.ints(1)[0], length);
  const std::vector<double> signal = read_as<double>(x);
  const std::vector<double> window = ctx.has_input(2)
                                         ? read_as<double>(ctx.input(2))
                                         : std::vector<double>(static_cast<size_t>(length), 1.0);
  const int64_t parts = x.dim(2);
  std::vector<double> out;
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t frame = 0; frame < frames.count; ++frame) {
      std::vector<std::complex<double>> piece;
      for (int64_t t = 0; t < length; ++t) {
        const double* at = signal.data() + (n * x.dim(1) + frame * frames.step + t) * parts;
        piece.push_back(std::complex(at[0], parts == 2 ? at[1] : 0.0) *
                        window[static_cast<size_t>(t)]);
      }
      const auto spectrum = dft(piece, length, false);
      for (int64_t k = 0; k < frames.bins; ++k) {
        out.push_back(spectrum[static_cast<size_t>(k)].real());
        out.push_back(spectrum[static_cast<size_t>(k)].imag());
      }
    }
  ctx.set_output(0, make_from(x.dtype(), {x.dim(0), frames.count, frames.bins, 2}, out));
}

}  // namespace

const OpDef& op_STFT() {
  static const OpDef def{.name = "STFT",
                         .versions = {17},
                         .inputs = {2, 4},
                         .outputs = {1, 1},
                         .attrs = {{"onesided", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
