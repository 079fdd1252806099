#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <functional>

#include "src/base/fail.h"
#include "src/ops/recurrent.h"
#include "src/train/lowering.h"

// RNN, GRU and LSTM: what x adds to all gates of all steps is one product, the steps follow.

namespace lapidary::train {

namespace {

at::Tensor apply(const Activation& f, const at::Tensor& x) {
  const double a = f.alpha, b = f.beta;
  if (f.name == "sigmoid") return x.sigmoid();
  if (f.name == "tanh") return x.tanh();
  if (f.name == "relu") return x.relu();
  if (f.name == "affine") return x.mul(a).add(b);
  if (f.name == "elu") return at::elu(x, a);
  if (f.name == "hardsigmoid") return x.mul(a).add(b).clamp(0, 1);
  if (f.name == "leakyrelu") return at::leaky_relu(x, a);
  if (f.name == "scaledtanh") return x.mul(b).tanh().mul(a);
  if (f.name == "softplus") return at::softplus(x);
  if (f.name == "softsign") return x.div(x.abs().add(1));
  if (f.name == "thresholdedrelu") return at::where(x.gt(a), x, at::zeros_like(x));
  fail_unsupported("activation '{}' has no trainable form", f.name);
}

/// One direction's weights. G gates of H units each.
struct Direction {
  at::Tensor w;         ///< [I, G H]
  at::Tensor r;         ///< [H, G H]
  at::Tensor w_bias;    ///< [G H]; undefined: 0
  at::Tensor r_bias;    ///< [G H]; undefined: 0
  at::Tensor peephole;  ///< [3 H], LSTM: i, o, f; undefined: 0
  std::vector<Activation> activations;
  double clip = 0;  ///< bound of what enters an activation; 0: none

  int64_t hidden() const { return r.size(0); }
  at::Tensor activate(size_t which, const at::Tensor& x) const {
    return apply(activations[which], clip > 0 ? x.clamp(-clip, clip) : x);
  }
  /// Columns of `count` gates from `first` on.
  at::Tensor gates(const at::Tensor& of, int64_t first, int64_t count = 1) const {
    return of.narrow(-1, first * hidden(), count * hidden());
  }
};

at::Tensor plus_product(const at::Tensor& bias, const at::Tensor& a, const at::Tensor& b) {
  return bias.defined() ? at::addmm(bias, a, b) : a.mm(b);
}

struct State {
  at::Tensor h, c;  ///< [B, H]
};
/// One step. x [B, G H]: W x + wb, and rb where the kind adds it there.
using Cell = std::function<State(const Direction&, const at::Tensor& x, const State&)>;

struct Kind {
  int64_t gates = 0;
  std::vector<std::string> defaults;  ///< activations
  bool bias_before = true;            ///< both biases are added to W x
  Cell cell;
};

/// What the directions share.
struct Sequence {
  at::Tensor x;        ///< [T, B, I]
  at::Tensor lengths;  ///< int64 [B]; undefined: all T
  at::Tensor
      mirrored;  ///< int64 [T, B]: t of each sequence read backwards; undefined without lengths
};

Sequence read_sequence(const LowerContext& c, bool batch_first) {
  Sequence out{.x = batch_first ? c.input(0).transpose(0, 1) : c.input(0)};
  if (!c.has(4)) return out;
  const std::vector<int64_t> lengths = c.ints(4);
  const int64_t steps = out.x.size(0), batch = out.x.size(1);
  if (std::ssize(lengths) != batch)
    fail_invalid("sequence_lens has {} numbers, expected {}", lengths.size(), batch);
  std::vector<int64_t> mirrored(static_cast<size_t>(steps * batch));
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t length = lengths[static_cast<size_t>(b)];
    if (length < 0 || length > steps)
      fail_invalid("a sequence length is {}, expected 0 to {}", length, steps);
    for (int64_t t = 0; t < steps; ++t)
      mirrored[static_cast<size_t>(t * batch + b)] = t < length ? length - 1 - t : t;
  }
  if (std::all_of(lengths.begin(), lengths.end(), [&](int64_t l) { return l == steps; }))
    return out;
  const auto options = at::TensorOptions(at::kLong);
  out.lengths = at::tensor(lengths, options).to(out.x.device());
  out.mirrored = at::tensor(mirrored, options).view({steps, batch}).to(out.x.device());
  return out;
}

/// [T, B, ...] with each sequence the other way round; padding stays behind it.
at::Tensor reversed(const Sequence& sequence, const at::Tensor& x) {
  if (!sequence.mirrored.defined()) return x.flip(0);
  return x.gather(0, sequence.mirrored.unsqueeze(-1).expand_as(x));
}

/// h of all steps [T, B, H] (0 behind a sequence's end), and the last states.
std::pair<at::Tensor, State> run(const Kind& kind, const Direction& d, const Sequence& sequence,
                                 bool backwards, State state) {
  const at::Tensor x = backwards ? reversed(sequence, sequence.x) : sequence.x;
  const int64_t steps = x.size(0), batch = x.size(1);
  at::Tensor bias = d.w_bias;
  if (bias.defined() && kind.bias_before) bias = bias.add(d.r_bias);
  const at::Tensor sums =
      plus_product(bias, x.reshape({steps * batch, -1}), d.w).view({steps, batch, -1});
  std::vector<at::Tensor> all;
  for (const at::Tensor& sum : sums.unbind(0)) {
    const State next = kind.cell(d, sum, state);
    if (!sequence.lengths.defined()) {
      state = next;
      all.push_back(next.h);
      continue;
    }
    const at::Tensor runs = sequence.lengths.gt(std::ssize(all)).unsqueeze(-1);
    state.h = at::where(runs, next.h, state.h);
    if (next.c.defined()) state.c = at::where(runs, next.c, state.c);
    all.push_back(at::where(runs, next.h, at::zeros_like(next.h)));
  }
  const at::Tensor y = all.empty() ? x.new_zeros({0, batch, d.hidden()}) : at::stack(all);
  return {backwards ? reversed(sequence, y) : y, state};
}

Direction direction(const LowerContext& c, const Kind& kind, const std::vector<Activation>& all,
                    int64_t index) {
  Direction out{.w = c.input(1).select(0, index).t(), .r = c.input(2).select(0, index).t()};
  const int64_t rows = out.r.size(1);
  if (rows != kind.gates * out.hidden())
    fail_invalid("R has {} rows, expected {} of {}", rows, kind.gates, out.hidden());
  if (c.has(3)) {
    const at::Tensor both = c.input(3).select(0, index);
    out.w_bias = both.narrow(0, 0, rows);
    out.r_bias = both.narrow(0, rows, rows);
  }
  if (c.has(7)) out.peephole = c.input(7).select(0, index);
  const auto own = all.begin() + index * std::ssize(kind.defaults);
  out.activations.assign(own, own + std::ssize(kind.defaults));
  out.clip = static_cast<double>(c.attrs().get_float("clip", 0));
  return out;
}

/// X [T,B,I] W [D,GH,I] R [D,GH,H] B [D,2GH] lengths [B] h0, c0 [D,B,H] P [D,3H]
/// -> Y [T,D,B,H], last h and c [D,B,H]; layout 1: batch first.
Outputs lower_recurrent(const LowerContext& c, const Kind& kind) {
  const bool batch_first = c.attrs().get_int("layout", 0) != 0;
  const int64_t directions = directions_of(c.attrs());
  const bool backwards = c.attrs().get_string("direction", "forward") == "reverse";
  const auto activations = read_activations(c.attrs(), kind.defaults);
  const Sequence sequence = read_sequence(c, batch_first);
  const int64_t batch = sequence.x.size(1);
  const auto first = [&](size_t input, const Direction& d, int64_t index) {
    if (c.has(input)) return c.input(input).select(batch_first ? 1 : 0, index);
    return sequence.x.new_zeros({batch, d.hidden()});
  };
  std::vector<at::Tensor> y, h, cells;
  for (int64_t i = 0; i < directions; ++i) {
    const Direction d = direction(c, kind, activations, i);
    State start{.h = first(5, d, i)};
    if (c.node().is("LSTM")) start.c = first(6, d, i);
    const auto [all, last] = run(kind, d, sequence, backwards || i == 1, start);
    y.push_back(all);
    h.push_back(last.h);
    if (last.c.defined()) cells.push_back(last.c);
  }
  const int64_t of_states = batch_first ? 1 : 0;
  const at::Tensor whole = at::stack(y, 1);
  Outputs out{batch_first ? whole.permute({2, 0, 1, 3}) : whole, at::stack(h, of_states)};
  if (!cells.empty()) out.push_back(at::stack(cells, of_states));
  return out;
}

}  // namespace

/// h' = f(W x + R h + b)
Outputs lower_rnn(LowerContext& c) {
  return lower_recurrent(
      c, {1, {"Tanh"}, true, [](const Direction& d, const at::Tensor& x, const State& state) {
            return State{d.activate(0, at::addmm(x, state.h, d.r)), {}};
          }});
}

/// z, r = f(W x + R h + b), n = g(Wh x + Rh (r * h) + bh), or with linear_before_reset
/// g(Wh x + wbh + r * (Rh h + rbh)), h' = (1 - z) n + z h
Outputs lower_gru(LowerContext& c) {
  const auto mixed = [](const at::Tensor& update, const at::Tensor& next, const State& state) {
    return State{next.add(update.mul(state.h.sub(next))), {}};
  };
  const Cell reset_first = [=](const Direction& d, const at::Tensor& x, const State& state) {
    const at::Tensor both = d.activate(0, at::addmm(d.gates(x, 0, 2), state.h, d.gates(d.r, 0, 2)));
    const at::Tensor kept = d.gates(both, 1).mul(state.h);
    return mixed(d.gates(both, 0), d.activate(1, at::addmm(d.gates(x, 2), kept, d.gates(d.r, 2))),
                 state);
  };
  const Cell reset_last = [=](const Direction& d, const at::Tensor& x, const State& state) {
    const at::Tensor sums = plus_product(d.r_bias, state.h, d.r);
    const at::Tensor both = d.activate(0, d.gates(x, 0, 2).add(d.gates(sums, 0, 2)));
    const at::Tensor reset = d.gates(both, 1).mul(d.gates(sums, 2));
    return mixed(d.gates(both, 0), d.activate(1, d.gates(x, 2).add(reset)), state);
  };
  const bool last = c.attrs().get_int("linear_before_reset", 0) != 0;
  return lower_recurrent(c, {3, {"Sigmoid", "Tanh"}, !last, last ? reset_last : reset_first});
}

/// i = f(Wi x + Ri h + Pi * c + bi), o and f likewise (o with the new c), n = g(Wc x + Rc h + bc),
/// c' = f * c + i * n, h' = o * act(c'); with input_forget f = 1 - i. Gates lie as i, o, f, n.
Outputs lower_lstm(LowerContext& c) {
  const bool coupled = c.attrs().get_int("input_forget", 0) != 0;
  const Cell cell = [=](const Direction& d, const at::Tensor& x, const State& state) {
    const at::Tensor sums = at::addmm(x, state.h, d.r);
    at::Tensor in, out, forget;
    const auto peek = [&](int64_t gate, const at::Tensor& seen) {
      return d.activate(0, d.gates(sums, gate).add(d.gates(d.peephole, gate).mul(seen)));
    };
    if (d.peephole.defined()) {
      in = peek(0, state.c);
      if (!coupled) forget = peek(2, state.c);
    } else {
      const at::Tensor three = d.activate(0, d.gates(sums, 0, 3));
      in = d.gates(three, 0);
      out = d.gates(three, 1);
      forget = d.gates(three, 2);
    }
    if (coupled) forget = in.neg().add(1);
    const at::Tensor next = forget.mul(state.c).add(in.mul(d.activate(1, d.gates(sums, 3))));
    if (!out.defined()) out = peek(1, next);
    return State{out.mul(apply(d.activations[2], next)), next};
  };
  return lower_recurrent(c, {4, {"Sigmoid", "Tanh", "Tanh"}, true, cell});
}

}  // namespace lapidary::train
