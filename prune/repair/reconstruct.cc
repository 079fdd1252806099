#include "prune/repair/reconstruct.h"

#include <fmt/format.h>

#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <numeric>
#include <optional>

#include "calibrate/hessian.h"
#include "calibrate/layer_weights.h"
#include "src/ops/elements.h"

namespace lapidary::prune {

namespace {

using Matrix = Eigen::MatrixXd;
using Index = Eigen::Index;

/// A layer that reads fewer channels than it did.
struct Reader {
  const LayerWeights* layer = nullptr;
  std::vector<int64_t> rows, channels;  ///< left, of the whole layer's
};

std::vector<int64_t> all_of(int64_t count) {
  std::vector<int64_t> out(static_cast<size_t>(count));
  std::iota(out.begin(), out.end(), int64_t{0});
  return out;
}

/// The constant's axis of that size and stride.
std::optional<int64_t> axis_of(const Shape& shape, int64_t size, int64_t stride) {
  int64_t inner = 1;
  std::optional<int64_t> found;
  for (size_t d = shape.size(); d-- > 0; inner *= shape[d])
    if (inner == stride && shape[d] == size) found = static_cast<int64_t>(d);
  return found;
}

/// Absent where no input channel went; with a note where one went and nothing can be done.
std::optional<Reader> reader_of(const Graph& whole, const LayerWeights& layer,
                                const KeptElements& kept, RepairRecord& record) {
  const Value& constant = whole.value(layer.constant);
  const auto cut = kept.find(constant.name);
  if (cut == kept.end()) return std::nullopt;
  const WeightMatrix& m = layer.matrix;
  const Shape& shape = constant.constant->shape();
  const auto row = axis_of(shape, m.rows, m.row_stride);
  const auto channel = axis_of(shape, m.channels, m.channel_stride);
  if (!row || !channel || *row == *channel || m.groups != 1) return std::nullopt;
  if (!cut->second.contains(*channel)) return std::nullopt;
  std::string refusal = hessian_refusal(whole, layer, kMostSolvedColumns);
  if (!refusal.empty()) {
    record.notes.push_back(
        fmt::format("{}: {}", node_key(whole, layer.readers[0]), std::move(refusal)));
    return std::nullopt;
  }
  const auto left = [&](int64_t axis, int64_t size) {
    const auto at = cut->second.find(axis);
    return at == cut->second.end() ? all_of(size) : at->second;
  };
  return Reader{&layer, left(*row, m.rows), left(*channel, m.channels)};
}

/// The rows of W' that have zeros in W, by least squares over the others:
/// w' = w + d, d the conjugate gradients' solution of H d = wanted - H w in the row's support.
void solve_in_support(const Matrix& h, const Matrix& wanted, const Matrix& w, Matrix& solved) {
  constexpr int kSteps = 200;
  constexpr double kEnough = 1e-12;  // of the squared residual
  for (Index r = 0; r < w.rows(); ++r) {
    const Eigen::ArrayXd support = (w.row(r).transpose().array() != 0).cast<double>();
    if (support.minCoeff() != 0) continue;
    Eigen::VectorXd x = w.row(r).transpose();
    Eigen::VectorXd residual = ((wanted.col(r) - h * x).array() * support).matrix(),
                    along = residual;
    double squared = residual.squaredNorm();
    const double enough = kEnough * squared;
    for (int i = 0; i < kSteps && squared > enough; ++i) {
      const Eigen::VectorXd turned = ((h * along).array() * support).matrix();
      const double step = squared / along.dot(turned);
      x += step * along;
      residual -= step * turned;
      const double next = residual.squaredNorm();
      along = residual + next / squared * along;
      squared = next;
    }
    solved.row(r) = x.transpose();
  }
}

/// W' of the layer, rows and columns that are left, as Hessian orders columns: tap, channel.
std::optional<Matrix> solve(const Graph& whole, const Reader& reader, const Hessian& hessian,
                            const RepairOptions& options) {
  const WeightMatrix& m = reader.layer->matrix;
  const auto k = static_cast<Index>(m.columns());
  const Matrix h = Eigen::Map<const Matrix>(hessian.groups[0].data(), k, k);  // symmetric
  std::vector<Index> s;
  for (int64_t tap = 0; tap < m.taps; ++tap)
    for (const int64_t c : reader.channels) s.push_back(tap * m.channels + c);
  const std::span<const float> w = whole.constant(reader.layer->constant)->data<float>();
  Matrix rows(static_cast<Index>(reader.rows.size()), k);
  for (size_t r = 0; r < reader.rows.size(); ++r)
    for (int64_t tap = 0; tap < m.taps; ++tap)
      for (int64_t c = 0; c < m.channels; ++c)
        rows(static_cast<Index>(r), tap * m.channels + c) =
            w[static_cast<size_t>(m.at(0, reader.rows[r], tap, c))];
  Matrix left = h(s, s);
  const double mean = left.diagonal().mean();
  if (!(mean > 0)) return std::nullopt;
  left.diagonal().array() += options.damping * mean;
  const Eigen::LLT<Matrix> factor(left);
  if (factor.info() != Eigen::Success) return std::nullopt;
  // (W H[:, S])^T = H[S, :] W^T
  const Matrix wanted = h(s, Eigen::all) * rows.transpose();
  Matrix solved = factor.solve(wanted).transpose();
  if (options.keep_zeros) solve_in_support(left, wanted, rows(Eigen::all, s), solved);
  return solved;
}

void write(Graph& pruned, const std::string& name, const Matrix& w) {
  for (const LayerWeights& layer : float_weights(pruned, {}, {})) {
    if (pruned.value(layer.constant).name != name) continue;
    const WeightMatrix& m = layer.matrix;
    Tensor& tensor = *pruned.mutable_value(layer.constant).constant;
    const auto out = tensor.mutable_data<float>();
    for (int64_t r = 0; r < m.rows; ++r)
      for (int64_t tap = 0; tap < m.taps; ++tap)
        for (int64_t c = 0; c < m.channels; ++c)
          out[static_cast<size_t>(m.at(0, r, tap, c))] =
              static_cast<float>(w(r, tap * m.channels + c));
    return;
  }
}

}  // namespace

void reconstruct_weights(const Graph& whole, const KeptElements& kept, Graph& pruned,
                         const Dataset& data, const RepairOptions& options, RepairRecord& record) {
  const std::vector<LayerWeights> layers = float_weights(whole, {}, {});
  std::vector<Reader> readers;
  for (const LayerWeights& layer : layers)
    if (auto reader = reader_of(whole, layer, kept, record)) readers.push_back(std::move(*reader));
  std::vector<const LayerWeights*> read;
  for (const Reader& reader : readers) read.push_back(reader.layer);
  each_hessian(whole, read, data, options.samples, options.threads,
               [&](size_t i, const Hessian& moments) {
                 const auto w = solve(whole, readers[i], moments, options);
                 if (w) {
                   write(pruned, whole.value(read[i]->constant).name, *w);
                   ++record.weights;
                 }
                 options.log.advance("weights", static_cast<int64_t>(i) + 1, std::ssize(readers));
               });
}

}  // namespace lapidary::prune
