#include <array>
#include <cmath>

#include "kernels/eltwise_f32/eltwise_f32.h"
#include "src/exec/steps/common.h"
#include "src/exec/steps/grain.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

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
  const auto* kernel = kernels::select_eltwise_f32().kernel;
  spec.kernel = kernel->row.name;
  const Operand in = b.get(x, b.follow(id));
  const Operand out = b.create_over(tail.output, in, spec.nodes);
  spec.reads = {in};
  spec.writes = {out};
  // As the elements lie: [outer, channels, inner], channels the last axis where inner is 1.
  const int64_t inner = in.strides()[1], rows = in.count() / (inner * channels);
  spec.run = [=, a = Tensor::of({channels}, factor), c = Tensor::of({channels}, offset),
              p = tail.activation](const StepRun& run) {
    const float* from = run.data<const float>(in);
    float* to = run.data<float>(out);
    // Rows of all channels, or of one.
    const auto affine = [&](int64_t first, int64_t count, int64_t cols, int64_t channel) {
      kernel->call->affine({.rows = count,
                            .cols = cols,
                            .a_step = inner == 1 ? 1 : 0,
                            .x = from + first * cols,
                            .a = a.data<float>().data() + channel,
                            .b = c.data<float>().data() + channel,
                            .y = to + first * cols,
                            .activation = p});
    };
    if (inner == 1)
      run.parallel(rows, 1 + kGrainElements / channels,
                   [&](int64_t begin, int64_t end) { affine(begin, end - begin, channels, 0); });
    else
      run.parallel(rows * channels, 1 + kGrainElements / inner, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) affine(r, 1, inner, r % channels);
      });
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
