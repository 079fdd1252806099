#include "src/factorize/low_rank.h"
#include "src/factorize/method.h"
#include "src/factorize/vbmf.h"

namespace lapidary::lowrank {

namespace {

/// Alternations after the leading vectors of both unfoldings.
constexpr int kIterations = 3;

/// W[o, i, t] ~ sum_pq U[o, q] C[q, p, t] V[i, p]: 1x1 to `p` channels, the kernel, 1x1 (Tucker-2,
/// Kim et al. 2016). U and V begin as leading singular vectors of the two unfoldings (HOSVD) and
/// are then found in turn, each the best for the other (HOOI). Ranks: input, output channels; a
/// full one has no 1x1.
class Tucker : public Decomposition {
  /// W_t, the columns of tap t.
  static auto tap(const Matrix& w, int64_t channels, int64_t t) {
    return w.middleCols(t * channels, channels);
  }

 public:
  Tucker(const Layer& layer, const Matrix& w)
      : layer_(layer), w_(w), in_(eigenvectors(gram_in(w))), out_(eigenvectors(w * w.transpose())) {
    // kept_(q, p): ||U_q^T W V_p||^2, as sums over the core of all ranks.
    kept_ = Matrix::Zero(layer.rows(), layer.channels());
    for (int64_t t = 0; t < layer.taps(); ++t)
      kept_.array() +=
          (out_.vectors.transpose() * tap(w_, layer.channels(), t) * in_.vectors).array().square();
    for (Index q = 1; q < kept_.rows(); ++q) kept_.row(q) += kept_.row(q - 1);
    for (Index p = 1; p < kept_.cols(); ++p) kept_.col(p) += kept_.col(p - 1);
  }

  Ranks full() const override { return {layer_.channels(), layer_.rows()}; }
  double energy(const Ranks& ranks) const override {
    return kept_(ranks[1] - 1, ranks[0] - 1) / kept_(kept_.rows() - 1, kept_.cols() - 1);
  }
  Ranks vbmf() const override {
    const auto rank = [&](const Eigenvectors& basis, int64_t side, int64_t other) {
      return vbmf_rank(basis.values.head(std::min(side, other)).cwiseSqrt(), side, other);
    };
    const int64_t in = layer_.channels(), out = layer_.rows(), taps = layer_.taps();
    return {rank(in_, in, out * taps), rank(out_, out, in * taps)};
  }
  FactorizeCost cost(const Ranks& ranks) const override {
    const int64_t in = layer_.channels(), out = layer_.rows(), p = ranks[0], q = ranks[1];
    const int64_t first = p < in ? in * p : 0, core = p * q * layer_.taps(),
                  last = q < out ? q * out : 0;
    return {layer_.input_positions() * first + layer_.positions * (core + last),
            first + core + last};
  }
  std::vector<Factor> factors(const Ranks& ranks, bool refined) const override {
    const int64_t p = ranks[0], q = ranks[1];
    Matrix v = in_.vectors.leftCols(p), u = out_.vectors.leftCols(q);
    for (int i = 0; refined && i < kIterations; ++i) {
      if (q < layer_.rows()) {
        const Matrix narrow = times_in(w_, v);  // [O, taps p]
        u = eigenvectors(narrow * narrow.transpose()).vectors.leftCols(q);
      }
      if (p < layer_.channels()) v = eigenvectors(gram_in(u.transpose() * w_)).vectors.leftCols(p);
    }
    const WindowAttrs none = no_window(layer_.window.rank());
    std::vector<Factor> out;
    const bool first = p < layer_.channels(), last = q < layer_.rows();
    Matrix core = first ? times_in(w_, v) : w_;
    if (last) core = u.transpose() * core;
    if (first) out.push_back({v.transpose(), layer_.channels(), none, layer_.input_positions()});
    out.push_back({std::move(core), p, layer_.window, layer_.positions});
    if (last) out.push_back({u, q, none, layer_.positions});
    return out;
  }
  Matrix composed(const std::vector<Factor>& f) const override {
    const auto is_core = [&](const Factor& one) {
      return one.window.kernel == layer_.window.kernel;
    };
    Matrix w = is_core(f[0]) ? f[0].weight : times_in(f[1].weight, f[0].weight);
    return is_core(f.back()) ? w : Matrix(f.back().weight * w);
  }

 private:
  /// sum_t W_t^T W_t, W_t [rows, I]
  Matrix gram_in(const Matrix& w) const {
    const int64_t in = layer_.channels();
    Matrix sum = Matrix::Zero(in, in);
    for (int64_t t = 0; t < layer_.taps(); ++t) sum += tap(w, in, t).transpose() * tap(w, in, t);
    return sum;
  }
  /// W_t V of every tap, W_t as wide as V is high: [rows, taps columns of V].
  Matrix times_in(const Matrix& w, const Matrix& v) const {
    Matrix out(w.rows(), layer_.taps() * v.cols());
    for (int64_t t = 0; t < layer_.taps(); ++t)
      out.middleCols(t * v.cols(), v.cols()) = tap(w, v.rows(), t) * v;
    return out;
  }

  const Layer& layer_;
  const Matrix& w_;
  Eigenvectors in_, out_;
  Matrix kept_;
};

}  // namespace

const Method& method_tucker() {
  static const Method kDef{
      "tucker",
      "of a kernel of several taps: 1x1 to fewer channels, the kernel, 1x1 to all outputs",
      [](const Layer& layer) -> std::string {
        return layer.is_conv() && layer.taps() > 1 ? "" : "its kernel has one tap";
      },
      [](const Layer& layer, const Matrix& w, const Matrix*) -> std::unique_ptr<Decomposition> {
        return std::make_unique<Tucker>(layer, w);
      }};
  return kDef;
}

}  // namespace lapidary::lowrank
