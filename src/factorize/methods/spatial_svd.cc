#include "src/factorize/low_rank.h"
#include "src/factorize/method.h"

namespace lapidary::lowrank {

namespace {

/// W[o, i, y, x] ~ sum_r U[o, r, x] V[r, i, y]: a convolution along y to r channels, then one along
/// x (Jaderberg et al. 2014, scheme 2; Zhang et al. 2015). The matrix has rows (o, x), columns
/// (i, y).
class SpatialSvd : public Decomposition {
 public:
  SpatialSvd(const Layer& layer, const Matrix& w)
      : layer_(layer),
        low_rank_(by_axes(layer, w)),
        kh_(layer.window.kernel[0]),
        kw_(layer.window.kernel[1]) {}

  Ranks full() const override { return {low_rank_.full()}; }
  double energy(const Ranks& ranks) const override { return low_rank_.energy(ranks[0]); }
  Ranks vbmf() const override { return {low_rank_.vbmf()}; }
  FactorizeCost cost(const Ranks& ranks) const override {
    const int64_t first = layer_.channels() * kh_, second = layer_.rows() * kw_;
    return {(middle() * first + layer_.positions * second) * ranks[0], (first + second) * ranks[0]};
  }
  std::vector<Factor> factors(const Ranks& ranks, bool) const override {
    const LowRank::Pair pair = low_rank_.split(ranks[0]);
    const int64_t r = ranks[0], in = layer_.channels(), out = layer_.rows();
    Matrix second(out, kw_ * r);  // columns: tap x, channel
    for (int64_t o = 0; o < out; ++o)
      for (int64_t x = 0; x < kw_; ++x) second.block(o, x * r, 1, r) = pair.left.row(o * kw_ + x);
    return {{pair.right, in, along(0), middle()},  // its columns: tap y, channel
            {std::move(second), r, along(1), layer_.positions}};
  }
  Matrix composed(const std::vector<Factor>& f) const override {
    const int64_t r = f[0].weight.rows(), in = layer_.channels(), out = layer_.rows();
    Matrix w(out, kh_ * kw_ * in);
    for (int64_t x = 0; x < kw_; ++x) {
      const Matrix column = f[1].weight.middleCols(x * r, r) * f[0].weight;  // [O, kh I]
      for (int64_t y = 0; y < kh_; ++y)
        w.middleCols((y * kw_ + x) * in, in) = column.middleCols(y * in, in);
    }
    return w;
  }

 private:
  /// W [O, kh kw I] as [(o, x), (y, i)].
  static Matrix by_axes(const Layer& layer, const Matrix& w) {
    const int64_t kh = layer.window.kernel[0], kw = layer.window.kernel[1], in = layer.channels();
    Matrix out(layer.rows() * kw, kh * in);
    for (int64_t o = 0; o < layer.rows(); ++o)
      for (int64_t x = 0; x < kw; ++x)
        for (int64_t y = 0; y < kh; ++y)
          out.block(o * kw + x, y * in, 1, in) = w.block(o, (y * kw + x) * in, 1, in);
    return out;
  }
  /// Positions between the two: output rows, input columns.
  int64_t middle() const { return layer_.batch * layer_.out[0] * layer_.in[1]; }
  /// The layer's window along one axis. What auto_pad says of an axis it says of it alone.
  WindowAttrs along(size_t axis) const {
    WindowAttrs out = no_window(2);
    const WindowAttrs& whole = layer_.window;
    out.auto_pad = whole.auto_pad;
    out.kernel[axis] = whole.kernel[axis];
    out.strides[axis] = whole.strides[axis];
    out.dilations[axis] = whole.dilations[axis];
    out.pads[axis] = whole.pads[axis];
    out.pads[axis + 2] = whole.pads[axis + 2];
    return out;
  }

  const Layer& layer_;
  LowRank low_rank_;
  int64_t kh_, kw_;
};

}  // namespace

const Method& method_spatial_svd() {
  static const Method kDef{
      "spatial_svd", "of a two-dimensional kernel: k x 1 to fewer channels, then 1 x k",
      [](const Layer& layer) -> std::string {
        if (layer.window.rank() == 2 && layer.window.kernel[0] > 1 && layer.window.kernel[1] > 1)
          return {};
        return "its kernel has not two axes";
      },
      [](const Layer& layer, const Matrix& w, const Matrix*) -> std::unique_ptr<Decomposition> {
        return std::make_unique<SpatialSvd>(layer, w);
      }};
  return kDef;
}

}  // namespace lapidary::lowrank
