#include "src/factorize/vbmf.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace lapidary::lowrank {

namespace {

/// The zero of a function that falls from positive to negative between a and b.
double bisect(double a, double b, const std::function<double(double)>& f) {
  for (int i = 0; i < 200; ++i) {
    const double middle = 0.5 * (a + b);
    (f(middle) > 0 ? a : b) = middle;
  }
  return 0.5 * (a + b);
}

/// tau*, the zero of Phi(tau) + Phi(tau / alpha), Phi(z) = log(z + 1) / z - 1/2     (theorem 2)
double tau_least(double alpha) {
  const auto phi = [](double z) { return std::log1p(z) / z - 0.5; };
  return bisect(1e-9, 10, [&](double tau) { return phi(tau) + phi(tau / alpha); });
}

/// What the variance s of the noise costs, s minimal where evidence is largest   (theorem 3):
///   sum_h psi(g_h^2 / (M s)), psi(x) = x - log x + [x > x*] psi_1(x),
///   psi_1(x) = log(tau + 1) + alpha log(tau / alpha + 1) - tau,
///   tau(x) = (x - (1 + alpha) + sqrt((x - (1 + alpha))^2 - 4 alpha)) / 2
struct Objective {
  std::vector<double> squares;  ///< g_h^2 / M
  double alpha, least;          ///< L / M; x*

  double operator()(double s) const {
    double sum = 0;
    for (const double square : squares) {
      const double x = square / s;
      sum += x - std::log(x);
      if (x <= least) continue;
      const double shift = x - (1 + alpha);
      const double tau = 0.5 * (shift + std::sqrt(std::max(0.0, shift * shift - 4 * alpha)));
      sum += std::log1p(tau) + alpha * std::log1p(tau / alpha) - tau;
    }
    return sum;
  }
};

/// The least value on a grid of equal ratios, then the golden section between its neighbours: there
/// may be several valleys.
double minimize(const Objective& f, double low, double high) {
  constexpr int kGrid = 2000;
  const double a = std::log(low), step = (std::log(high) - a) / kGrid;
  int best = 0;
  double value = f(low);
  for (int i = 1; i <= kGrid; ++i)
    if (const double v = f(std::exp(a + i * step)); v < value) value = v, best = i;
  double from = a + std::max(0, best - 1) * step, to = a + std::min(kGrid, best + 1) * step;
  const double golden = 0.5 * (std::sqrt(5.0) - 1);
  for (int i = 0; i < 80; ++i) {
    const double left = to - golden * (to - from), right = from + golden * (to - from);
    (f(std::exp(left)) < f(std::exp(right)) ? to : from) =
        f(std::exp(left)) < f(std::exp(right)) ? right : left;
  }
  return std::exp(0.5 * (from + to));
}

}  // namespace

int64_t vbmf_rank(const Vector& singular_values, int64_t rows, int64_t columns) {
  const auto m = static_cast<double>(std::max(rows, columns));
  Objective f;
  for (const double g : singular_values)
    if (g > 1e-7 * singular_values[0]) f.squares.push_back(g * g / m);
  if (f.squares.empty()) return 0;
  const auto l = static_cast<double>(f.squares.size());
  f.alpha = l / m;
  const double tau = tau_least(f.alpha);
  f.least = (1 + tau) * (1 + f.alpha / tau);
  // The variance is at least the mean of what cannot be signal, and that of the first such.
  const auto most = static_cast<size_t>(std::max(0.0, std::ceil(l / (1 + f.alpha)) - 1));
  double tail = 0;
  for (size_t h = most; h < f.squares.size(); ++h) tail += f.squares[h];
  const double low =
      std::max(f.squares[most] / f.least, tail / static_cast<double>(f.squares.size() - most));
  double high = 0;
  for (const double square : f.squares) high += square / l;
  const double noise = low < high ? minimize(f, low, high) : high;
  return std::ranges::count_if(f.squares, [&](double x) { return x > f.least * noise; });
}

}  // namespace lapidary::lowrank
