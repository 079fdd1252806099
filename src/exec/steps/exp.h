#pragma once

#include <cstdint>

namespace lapidary::exec {

/// y[i] = e^x[i], relative error below 2e-7; 0 below -87.3, infinity above 88.72; NaN stays.
/// Written so that compilers vectorise it; the bits do not depend on the vector's width. x may be y
/// in all of these.
void exp(const float* x, float* y, int64_t count);
/// y[i] = 1 / (1 + e^-x[i])
void sigmoid(const float* x, float* y, int64_t count);
/// y[i] = x[i] / (1 + e^-x[i])
void silu(const float* x, float* y, int64_t count);
/// y[i] = e^(x[i] - shift); returns their sum, added in an order that depends on count only.
float exp_minus(const float* x, float shift, float* y, int64_t count);

}  // namespace lapidary::exec
