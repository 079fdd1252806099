#pragma once

#include <complex>
#include <vector>

namespace lapidary {

/// y[k] = sum over t of x[t] exp(-+ 2 pi i k t / n) for k < n, by the definition; the inverse
/// divides by n. x is cut or zero-padded to n elements.
std::vector<std::complex<double>> dft(const std::vector<std::complex<double>>& x, int64_t n,
                                      bool inverse);

}  // namespace lapidary
