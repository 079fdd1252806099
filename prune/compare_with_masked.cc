#include <algorithm>
#include <cmath>

#include "lapidary/prune.h"
#include "prune/run_pruned.h"
#include "src/base/fail.h"
#include "src/ops/elements.h"

namespace lapidary {

namespace {

/// Of the largest element of an output, what counts as nothing.
constexpr double kNothing = 1e-4;

/// Per place of each axis the root mean square over all others.
std::vector<std::vector<double>> means_by_axis(const std::vector<double>& a, const Shape& shape) {
  std::vector<std::vector<double>> means;
  int64_t inner = static_cast<int64_t>(a.size());
  for (const int64_t size : shape) {
    inner /= size;
    std::vector<double> squares(static_cast<size_t>(size));
    for (size_t i = 0; i < a.size(); ++i)
      squares[i / static_cast<size_t>(inner) % squares.size()] += a[i] * a[i];
    for (double& s : squares)
      s = std::sqrt(s * static_cast<double>(size) / static_cast<double>(a.size()));
    means.push_back(std::move(squares));
  }
  return means;
}

/// max |a - b| / (|a| + s) over the elements, s the smallest root mean square of the slices that an
/// element lies in, so that small channels count beside large ones; kNothing of the largest at
/// least.
double difference_of(const std::vector<double>& a, const std::vector<double>& b,
                     const Shape& shape) {
  if (a == b) return 0;
  double largest = 0;
  for (const double x : a) largest = std::max(largest, std::abs(x));
  if (largest == 0) return 1;
  const auto means = means_by_axis(a, shape);
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    double scale = largest;
    size_t inner = a.size();
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      inner /= static_cast<size_t>(shape[axis]);
      // One place on an axis is the whole tensor.
      if (shape[axis] > 1) scale = std::min(scale, means[axis][i / inner % means[axis].size()]);
    }
    worst = std::max(
        worst, std::abs(a[i] - b[i]) / (std::abs(a[i]) + std::max(scale, kNothing * largest)));
  }
  return worst;
}

}  // namespace

Executor::Values prune::run_pruned(const Graph& pruned, const Executor::Values& inputs,
                                   int threads) {
  try {
    return Executor(pruned, {.threads = threads}).run(inputs);
  } catch (const Error& error) {
    fail(ErrorCode::kInternal,
         "the pruned model does not run where the masked one does: {}. Please report this model",
         error.what());
  }
}

double compare_with_masked(const PruningGraph& graph, const RemovedUnits& removed,
                           const Graph& pruned, const Executor::Values& inputs, int threads) {
  const auto masked = Executor(graph.masked(removed), {.threads = threads}).run(inputs);
  const auto cut = prune::run_pruned(pruned, inputs, threads);
  double worst = 0;
  for (const auto& [name, value] : masked) {
    const Tensor& other = cut.at(name);
    if (value.shape() != other.shape())
      fail(ErrorCode::kInternal, "output '{}' is {} where it was {}", name,
           shape_text(other.shape()), shape_text(value.shape()));
    if (!is_float(value.dtype())) {
      if (!value.equals(other)) worst = 1;
      continue;
    }
    const std::vector<double> a = read_as<double>(value), b = read_as<double>(other);
    const auto finite = [](double x) { return std::isfinite(x); };
    if (!std::all_of(a.begin(), a.end(), finite) || !std::all_of(b.begin(), b.end(), finite))
      fail_invalid("output '{}' is not finite on the inputs that pruning is proved on", name);
    worst = std::max(worst, difference_of(a, b, value.shape()));
  }
  return worst;
}

}  // namespace lapidary
