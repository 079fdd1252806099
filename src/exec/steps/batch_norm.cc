#include <array>
#include <cmath>

#include "src/exec/steps/common.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

namespace {

/// y[i] = activation(a x[i] + b), a and b `step` apart: 1, or 0 for one of each.
void affine(const float* x, float* y, int64_t count, const float* a, const float* b, int64_t step,
            const kernels::ActivationF32& p) {
  for (int64_t i = 0; i < count; ++i) {
    const float v = a[i * step] * x[i] + b[i * step];
    const float t = v < 0.0f ? p.slope * v : v;
    const float low = t < p.lo ? p.lo : t;
    y[i] = low > p.hi ? p.hi : low;
  }
}

}  // namespace

/// y = (x - mean) / sqrt(var + epsilon) * scale + bias per channel, as a[c] x + b[c]; only where no
/// pass folded it into a convolution.
bool build_batch_norm(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0);
  if (b.dtype(x) != DType::kF32 || b.shape(x).size() < 2 || b.node(id).outputs.size() != 1 ||
      b.attrs(id).get_int("training_mode", 0) != 0)
    return false;
  const int64_t channels = b.shape(x)[1];
  std::array<const float*, 4> given;  // scale, bias, mean, variance
  for (size_t i = 0; i < 4; ++i) {
    const Tensor* t = b.constant(b.input(id, i + 1));
    if (t == nullptr || t->dtype() != DType::kF32 || t->size() != channels) return false;
    given[i] = t->data<float>().data();
  }
  const float epsilon = b.attrs(id).get_float("epsilon", 1e-5f);
  std::vector<float> factor, offset;
  for (int64_t c = 0; c < channels; ++c) {
    factor.push_back(given[0][c] / std::sqrt(given[3][c] + epsilon));
    offset.push_back(given[1][c] - given[2][c] * factor.back());
  }

  const Tail tail = float_tail(b, id, /*residual=*/false);
  StepSpec spec;
  spec.nodes = tail.nodes;
  spec.kernel = "affine_f32";
  const Operand in = b.get(x, b.follow(id));
  const Operand out = b.create_over(tail.output, in, spec.nodes);
  spec.reads = {in};
  spec.writes = {out};
  // As the elements lie: [outer, channels, inner], channels the last axis where inner is 1.
  const int64_t inner = in.strides()[1], rows = in.count() / (inner * channels);
  spec.run = [=, p = tail.activation](const StepRun& run) {
    run.parallel(rows, 1 + 16384 / (inner * channels), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const float* from = run.data<const float>(in) + r * channels * inner;
        float* to = run.data<float>(out) + r * channels * inner;
        if (inner == 1) affine(from, to, channels, factor.data(), offset.data(), 1, p);
        for (int64_t c = 0; inner > 1 && c < channels; ++c)
          affine(from + c * inner, to + c * inner, inner, &factor[static_cast<size_t>(c)],
                 &offset[static_cast<size_t>(c)], 0, p);
      }
    });
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
