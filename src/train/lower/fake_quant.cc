#include <ATen/Parallel.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "src/train/lowering.h"

// FakeQuantize: y = (i - z) s with i = clamp(rint(x / s) + z, qmin, qmax), z = rint(zero_point).
// Backward, g = dL/dy, u = x / s, j = rint(u) + z:
//   dx = g where qmin <= j <= qmax, else 0
//   lsq   ds = k sum g (inside: rint(u) - u; below: qmin - z; above: qmax - z)
//         dz = k sum g (inside: 0; outside: -s)                  (Esser 2020; Bhalgat 2020)
//   pact  ds = sum over j > qmax of g (qmax - z)                 (Choi 2018)
//   ste   ds = dz = 0

namespace lapidary::train {

namespace {

enum class Gradient : int64_t { kSte, kLsq, kPact };

struct Rule {
  int64_t axis = -1;  ///< of scale and zero point; -1: one of each
  int64_t qmin = 0, qmax = 255;
  Gradient gradient = Gradient::kLsq;
  double gradient_scale = 1;
};

/// One float32 tensor as it lies in memory: element at offset o is of channel o / inner % channels.
struct Layout {
  int64_t size = 0, inner = 1, channels = 1;
};

Layout layout_of(const at::Tensor& x, int64_t axis) {
  if (axis < 0) return {x.numel(), std::max<int64_t>(1, x.numel()), 1};
  return {x.numel(), std::max<int64_t>(1, x.stride(axis)), x.size(axis)};
}

/// Elements that one sum is made of before sums are added: whatever the number of threads.
constexpr int64_t kBlock = 1 << 15;

/// f(channel, begin, end) on runs of elements of one channel within [begin, end).
template <class F>
void for_runs(const Layout& layout, int64_t begin, int64_t end, F f) {
  for (int64_t at = begin; at < end;) {
    const int64_t stop = std::min(end, (at / layout.inner + 1) * layout.inner);
    f(at / layout.inner % layout.channels, at, stop);
    at = stop;
  }
}

void quantize_on_cpu(const at::Tensor& x, const float* scale, const float* zero, const Rule& rule,
                     at::Tensor& y) {
  const Layout layout = layout_of(x, rule.axis);
  const float* in = x.data_ptr<float>();
  float* out = y.data_ptr<float>();
  const auto low = static_cast<float>(rule.qmin), high = static_cast<float>(rule.qmax);
  at::parallel_for(0, layout.size, kBlock, [&](int64_t begin, int64_t end) {
    for_runs(layout, begin, end, [&](int64_t channel, int64_t from, int64_t to) {
      const float s = scale[channel], z = zero ? std::rint(zero[channel]) : 0;
      for (int64_t i = from; i < to; ++i)
        out[i] = (std::min(std::max(std::rint(in[i] / s) + z, low), high) - z) * s;
    });
  });
}

/// dx, and the sums ds and dz per channel.
void gradients_on_cpu(const at::Tensor& x, const at::Tensor& g, const float* scale,
                      const float* zero, const Rule& rule, at::Tensor& dx, at::Tensor& ds,
                      at::Tensor& dz) {
  const Layout layout = layout_of(x, rule.axis);
  const float* in = x.data_ptr<float>();
  const float* up = g.data_ptr<float>();
  float* out = dx.data_ptr<float>();
  const auto low = static_cast<float>(rule.qmin), high = static_cast<float>(rule.qmax);
  const int64_t blocks = (layout.size + kBlock - 1) / kBlock;
  std::vector<double> scale_sums(static_cast<size_t>(blocks * layout.channels));
  std::vector<double> zero_sums(scale_sums.size());
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      double* block_ds = scale_sums.data() + block * layout.channels;
      double* block_dz = zero_sums.data() + block * layout.channels;
      for_runs(layout, block * kBlock, std::min(layout.size, (block + 1) * kBlock),
               [&](int64_t channel, int64_t from, int64_t to) {
                 const float s = scale[channel], z = zero ? std::rint(zero[channel]) : 0;
                 double sum_s = 0, sum_z = 0;
                 for (int64_t i = from; i < to; ++i) {
                   const float u = in[i] / s, r = std::rint(u), j = r + z;
                   const bool inside = j >= low && j <= high;
                   out[i] = inside ? up[i] : 0;
                   sum_s += up[i] * (inside ? r - u : (j < low ? low : high) - z);
                   sum_z += inside ? 0 : -up[i] * s;
                   if (rule.gradient == Gradient::kPact && !(j > high))
                     sum_s -= up[i] * (inside ? r - u : low - z);
                 }
                 block_ds[channel] += sum_s;
                 block_dz[channel] += sum_z;
               });
    }
  });
  const double k = rule.gradient == Gradient::kLsq ? rule.gradient_scale : 1;
  for (int64_t channel = 0; channel < layout.channels; ++channel) {
    double sum_s = 0, sum_z = 0;
    for (int64_t block = 0; block < blocks; ++block) {
      sum_s += scale_sums[static_cast<size_t>(block * layout.channels + channel)];
      sum_z += zero_sums[static_cast<size_t>(block * layout.channels + channel)];
    }
    ds.data_ptr<float>()[channel] = static_cast<float>(k * sum_s);
    dz.data_ptr<float>()[channel] = static_cast<float>(k * sum_z);
  }
}

/// Scale or zero point in a shape that broadcasts to x.
at::Tensor beside(const at::Tensor& each, const at::Tensor& x, int64_t axis) {
  if (axis < 0) return each.reshape({});
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[static_cast<size_t>(axis)] = -1;
  return each.reshape(shape);
}

/// The sum over all that shares a scale.
at::Tensor sum_to(const at::Tensor& elements, const at::Tensor& like, int64_t axis) {
  if (axis < 0) return elements.sum().reshape(like.sizes());
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < elements.dim(); ++i)
    if (i != axis) axes.push_back(i);
  return (axes.empty() ? elements : elements.sum(axes)).reshape(like.sizes());
}

/// The same on any device, of ATen's calls.
struct Composed {
  at::Tensor s, z, u, r, j;

  Composed(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& zero, const Rule& rule)
      : s(beside(scale, x, rule.axis)),
        z(zero.defined() ? beside(zero, x, rule.axis).round() : at::zeros_like(s)),
        u(x.div(s)),
        r(u.round()),
        j(r.add(z)) {}
};

const float* elements(const at::Tensor& t) { return t.defined() ? t.data_ptr<float>() : nullptr; }

/// As it lies: dense, in any order of axes.
at::Tensor dense(const at::Tensor& x) {
  return x.is_non_overlapping_and_dense() ? x : x.contiguous();
}

struct FakeQuantizeFunction : torch::autograd::Function<FakeQuantizeFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& any,
                            const at::Tensor& scale, const at::Tensor& zero, int64_t axis,
                            int64_t qmin, int64_t qmax, int64_t gradient, double gradient_scale) {
    const Rule rule{axis, qmin, qmax, static_cast<Gradient>(gradient), gradient_scale};
    const at::Tensor x = dense(any);
    context->saved_data["axis"] = axis;
    context->saved_data["qmin"] = qmin;
    context->saved_data["qmax"] = qmax;
    context->saved_data["gradient"] = gradient;
    context->saved_data["gradient_scale"] = gradient_scale;
    context->save_for_backward({x, scale, zero});
    if (x.is_cpu()) {
      at::Tensor y = at::empty_like(x);
      const at::Tensor rows = scale.contiguous();
      const at::Tensor zeros = zero.defined() ? zero.contiguous() : zero;
      quantize_on_cpu(x, elements(rows), elements(zeros), rule, y);
      return y;
    }
    const Composed c(x, scale, zero, rule);
    return c.j.clamp(qmin, qmax).sub(c.z).mul(c.s);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list up) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &zero = saved[2];
    const Rule rule{context->saved_data["axis"].toInt(), context->saved_data["qmin"].toInt(),
                    context->saved_data["qmax"].toInt(),
                    static_cast<Gradient>(context->saved_data["gradient"].toInt()),
                    context->saved_data["gradient_scale"].toDouble()};
    at::Tensor dx, ds = at::zeros_like(scale, at::MemoryFormat::Contiguous);
    at::Tensor dz = at::zeros_like(ds);
    if (x.is_cpu()) {
      dx = at::empty_like(x);
      const bool alike = up[0].strides() == x.strides();
      const at::Tensor g = alike ? up[0] : at::empty_like(x).copy_(up[0]);  // x's order of axes
      const at::Tensor rows = scale.contiguous();
      const at::Tensor zeros = zero.defined() ? zero.contiguous() : zero;
      gradients_on_cpu(x, g, elements(rows), elements(zeros), rule, dx, ds, dz);
    } else {
      const at::Tensor& g = up[0];
      const Composed c(x, scale, zero, rule);
      const at::Tensor below = c.j.lt(rule.qmin), above = c.j.gt(rule.qmax);
      const at::Tensor outside = below.logical_or(above), none = at::zeros_like(g);
      dx = at::where(outside, none, g);
      const at::Tensor top = c.z.neg().add(static_cast<double>(rule.qmax));
      const at::Tensor bottom = c.z.neg().add(static_cast<double>(rule.qmin));
      if (rule.gradient == Gradient::kPact) {
        ds = sum_to(at::where(above, g.mul(top), none), scale, rule.axis);
      } else {
        const at::Tensor slope = at::where(above, top, at::where(below, bottom, c.r.sub(c.u)));
        ds = sum_to(g.mul(slope), scale, rule.axis).mul(rule.gradient_scale);
        dz = sum_to(at::where(outside, g.mul(c.s).neg(), none), scale, rule.axis)
                 .mul(rule.gradient_scale);
      }
    }
    if (rule.gradient == Gradient::kSte) ds = at::zeros_like(ds);
    if (rule.gradient != Gradient::kLsq) dz = at::zeros_like(ds);
    if (!zero.defined()) dz = at::Tensor();
    return {dx, ds, dz, {}, {}, {}, {}, {}};
  }
};

}  // namespace

Outputs lower_fake_quantize(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const std::string name = c.attrs().get_string("gradient", "lsq");
  const Gradient gradient = name == "ste"    ? Gradient::kSte
                            : name == "pact" ? Gradient::kPact
                                             : Gradient::kLsq;
  int64_t axis = -1;
  if (c.attrs().has("axis") && c.input(1).numel() > 1) {
    axis = c.attrs().get_int("axis", 0);
    if (axis < 0) axis += x.dim();
  }
  return {
      FakeQuantizeFunction::apply(x, c.input(1), c.optional(2), axis, c.attrs().get_int("qmin", 0),
                                  c.attrs().get_int("qmax", 255), static_cast<int64_t>(gradient),
                                  static_cast<double>(c.attrs().get_float("gradient_scale", 1)))};
}

}  // namespace lapidary::train
