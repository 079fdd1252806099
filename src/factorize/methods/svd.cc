#include "src/factorize/low_rank.h"
#include "src/factorize/method.h"

namespace lapidary::lowrank {

namespace {

/// W [O, taps I] ~ U [O, r] V [r, taps I]: the layer with r outputs, then one that mixes them. Of a
/// kernel of one tap two products (Denil et al. 2013); of others the channels alone (Zhang et al.
/// 2015).
class Svd : public Decomposition {
 public:
  Svd(const Layer& layer, const Matrix& w, const Matrix* inputs)
      : layer_(layer), low_rank_(w, inputs) {}

  Ranks full() const override { return {low_rank_.full()}; }
  double energy(const Ranks& ranks) const override { return low_rank_.energy(ranks[0]); }
  Ranks vbmf() const override { return {low_rank_.vbmf()}; }
  FactorizeCost cost(const Ranks& ranks) const override {
    const int64_t each = layer_.rows() + layer_.taps() * layer_.channels();
    return {layer_.positions * each * ranks[0], each * ranks[0]};
  }
  std::vector<Factor> factors(const Ranks& ranks, bool) const override {
    LowRank::Pair pair = low_rank_.split(ranks[0]);
    const WindowAttrs none = layer_.is_conv() ? no_window(layer_.window.rank()) : WindowAttrs{};
    return {{std::move(pair.right), layer_.channels(), layer_.window, layer_.positions},
            {std::move(pair.left), ranks[0], none, layer_.positions}};
  }
  Matrix composed(const std::vector<Factor>& f) const override { return f[1].weight * f[0].weight; }

 private:
  const Layer& layer_;
  LowRank low_rank_;
};

}  // namespace

const Method& method_svd() {
  static const Method kDef{"svd",
                           "the layer with fewer outputs, then 1x1 (a product) to all of them",
                           [](const Layer&) { return std::string(); },
                           [](const Layer& layer, const Matrix& w,
                              const Matrix* inputs) -> std::unique_ptr<Decomposition> {
                             return std::make_unique<Svd>(layer, w, inputs);
                           },
                           true};
  return kDef;
}

}  // namespace lapidary::lowrank
