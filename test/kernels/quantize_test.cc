#include "kernels/quantize/quantize.h"

#include "kernels/transpose/transpose.h"
#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

/// Where element i of a [rows, cols] matrix of each batch goes.
int64_t target(int64_t i, int64_t rows, int64_t cols, bool transpose) {
  if (!transpose) return i;
  const int64_t at = i % (rows * cols);
  return i - at + at % cols * rows + at / cols;
}

class QuantizeRow : public testing::TestWithParam<QuantizeKernel> {};

TEST_P(QuantizeRow, QuantizesByDivisionAndHalfToEven) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(41);
  for (int i = 0; i < 100 && !HasFailure(); ++i) {
    QuantizeArgs a = {.batch = draw.in(1, 2), .rows = draw.in(1, 40), .cols = draw.in(1, 70)};
    a.transpose = draw.one_in(2);
    const bool is_signed = draw.one_in(2);
    a.lo = is_signed ? -128 : 0, a.hi = is_signed ? 127 : 255;
    a.zero = static_cast<int>(draw.in(a.lo, a.hi));
    a.scale = draw.one_in(2) ? 0.25f : draw.real(0.001f, 0.1f);
    const int64_t count = a.batch * a.rows * a.cols;
    Array<float> x = draw.reals(count, -300 * a.scale, 300 * a.scale);
    for (float& v : x) {
      if (draw.one_in(3)) v = static_cast<float>(draw.in(-600, 600)) * 0.5f * a.scale;  // ties
      if (draw.one_in(50)) v = draw.one_in(2) ? 1e30f : -std::numeric_limits<float>::infinity();
    }
    Array<uint8_t> y(count, 77);
    a.x = x.data();
    a.y = y.data();
    GetParam().call->quantize(a);
    for (int64_t j = 0; j < count; ++j) {
      const float scaled = x[j] / a.scale;
      ASSERT_EQ(y[target(j, a.rows, a.cols, a.transpose)],
                static_cast<uint8_t>(clamp_rint(scaled, a.zero, a.lo, a.hi)))
          << x[j] << " scale " << a.scale << " zero " << a.zero;
    }
  }
}

TEST_P(QuantizeRow, EqualsDivisionBesideEveryTie) {
  // The floats around each (k + 1/2) * scale, where an ulp of the quotient decides; scales at which
  // nothing underflows, and some where it would.
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(44);
  for (int i = 0; i < 400; ++i) {
    float scale = draw.real(0.5f, 2.0f) * std::exp2(static_cast<float>(draw.in(-20, 20)));
    if (i % 40 == 0) scale = std::ldexp(scale, i % 80 == 0 ? 90 : -110);
    std::vector<float> x;
    for (int k = -260; k <= 260; ++k) {
      float v = (static_cast<float>(k) + 0.5f) * scale;
      for (int step = 0; step < 2; ++step) v = std::nextafter(v, -INFINITY);
      for (int step = 0; step < 5; ++step, v = std::nextafter(v, INFINITY)) x.push_back(v);
    }
    const auto count = static_cast<int64_t>(x.size());
    Array<float> from(count);
    std::copy(x.begin(), x.end(), from.begin());
    Array<uint8_t> y(count);
    const int zero = static_cast<int>(draw.in(0, 255));
    GetParam().call->quantize(
        {.cols = count, .x = from.data(), .y = y.data(), .scale = scale, .zero = zero});
    for (int64_t j = 0; j < count; ++j)
      ASSERT_EQ(y[j], clamp_rint(from[j] / scale, zero, 0, 255)) << from[j] << " / " << scale;
  }
}

TEST_P(QuantizeRow, TakesSomeColumns) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(45);
  for (const int64_t rows : {1, 2, 3, 4, 5, 19})
    for (const int64_t cols : {1, 15, 16, 17, 33, 50}) {
      const int64_t x_row = cols + 7;
      const Array<float> x = draw.reals(rows * x_row, -3, 3);
      Array<uint8_t> y(rows * cols + 8, 77);
      GetParam().call->quantize({.rows = rows,
                                 .cols = cols,
                                 .x_row = x_row,
                                 .transpose = true,
                                 .x = x.data(),
                                 .y = y.data(),
                                 .scale = 0.02f,
                                 .zero = 130});
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < cols; ++c)
          ASSERT_EQ(y[c * rows + r], clamp_rint(x[r * x_row + c] / 0.02f, 130, 0, 255));
      for (int64_t j = rows * cols; j < y.size(); ++j) ASSERT_EQ(y[j], 77);
    }
}

TEST_P(QuantizeRow, NanBecomesTheLowest) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const Array<float> x(19, std::numeric_limits<float>::quiet_NaN());
  Array<uint8_t> y(19, 77);
  GetParam().call->quantize({.cols = 19, .x = x.data(), .y = y.data(), .zero = 9, .lo = 3});
  EXPECT_THAT(y.vector(), testing::Each(3));
}

TEST_P(QuantizeRow, RequantizesByMultiplication) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(44);
  for (int i = 0; i < 60; ++i) {
    const int64_t count = draw.in(1, 200);
    const float multiplier = draw.one_in(2) ? 0.0625f : draw.real(0.0001f, 0.01f);
    const int zero = static_cast<int>(draw.in(0, 255));
    Array<float> x(count);
    for (float& v : x) v = static_cast<float>(draw.in(-9000, 9000));
    if (draw.one_in(3)) x[0] = 1e30f;
    Array<uint8_t> y(count + 2, 77);
    GetParam().call->requantize(
        {.count = count, .x = x.data(), .y = y.data(), .multiplier = multiplier, .zero = zero});
    for (int64_t j = 0; j < count; ++j) {
      const float scaled = x[j] * multiplier;
      ASSERT_EQ(y[j], static_cast<uint8_t>(clamp_rint(scaled, zero, 0, 255))) << x[j];
    }
    EXPECT_EQ(y[count], 77);
  }
}

TEST_P(QuantizeRow, DequantizesByMultiplication) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(42);
  for (int i = 0; i < 60; ++i) {
    DequantizeArgs a = {.batch = draw.in(1, 2), .rows = draw.in(1, 40), .cols = draw.in(1, 70)};
    a.transpose = draw.one_in(2);
    a.is_signed = draw.one_in(2);
    a.zero = static_cast<int>(a.is_signed ? draw.in(-128, 127) : draw.in(0, 255));
    a.scale = draw.real(0.001f, 0.1f);
    const int64_t count = a.batch * a.rows * a.cols;
    const auto x = draw.integers<uint8_t>(count, 0, 255);
    Array<float> y(count, 77.0f);
    a.x = x.data();
    a.y = y.data();
    GetParam().call->dequantize(a);
    for (int64_t j = 0; j < count; ++j) {
      const int q = a.is_signed ? static_cast<int8_t>(x[j]) : x[j];
      ASSERT_EQ(y[target(j, a.rows, a.cols, a.transpose)],
                static_cast<float>(q - a.zero) * a.scale);
    }
  }
}

class TransposeRow : public testing::TestWithParam<TransposeKernel> {};

TEST_P(TransposeRow, MovesEveryElement) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(43);
  for (int i = 0; i < 60; ++i) {
    TransposeArgs a = {.batch = draw.in(1, 2), .rows = draw.in(1, 50), .cols = draw.in(1, 50)};
    if (draw.one_in(3)) a.rows = draw.in(2, 4);  // pictures
    const int64_t count = a.batch * a.rows * a.cols;
    const auto bytes = draw.integers<uint8_t>(count, 0, 255);
    const auto words = draw.integers<int32_t>(count, -1000000, 1000000);
    Array<uint8_t> y1(count);
    Array<int32_t> y4(count);
    a.x = bytes.data(), a.y = y1.data();
    GetParam().call->bytes1(a);
    a.x = words.data(), a.y = y4.data();
    GetParam().call->bytes4(a);
    for (int64_t j = 0; j < count; ++j) {
      ASSERT_EQ(y1[target(j, a.rows, a.cols, true)], bytes[j]);
      ASSERT_EQ(y4[target(j, a.rows, a.cols, true)], words[j]);
    }
  }
}

TEST_P(TransposeRow, RowsMayLieApart) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(45);
  for (int i = 0; i < 60; ++i) {
    TransposeArgs a = {.rows = draw.in(1, 40), .cols = draw.in(1, 40)};
    a.x_row = a.cols + draw.in(0, 9);
    a.y_row = a.rows + draw.in(1, 9);
    const Array<float> x = draw.reals(a.rows * a.x_row, -1, 1);
    Array<float> y(a.cols * a.y_row, 7.0f);
    a.x = x.data();
    a.y = y.data();
    GetParam().call->bytes4(a);
    for (int64_t c = 0; c < a.cols; ++c) {
      for (int64_t r = 0; r < a.rows; ++r) ASSERT_EQ(y[c * a.y_row + r], x[r * a.x_row + c]);
      ASSERT_EQ(y[c * a.y_row + a.rows], 7.0f);
    }
  }
}

TEST_P(TransposeRow, ColumnsOfAPictureInPartsStayInside) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(46);
  for (int i = 0; i < 60; ++i) {
    TransposeArgs a = {.rows = draw.in(2, 4), .cols = draw.in(1, 40)};
    a.x_row = a.cols + draw.in(1, 9);
    const Array<float> x = draw.reals(a.rows * a.x_row, -1, 1);
    Array<float> y(a.cols * a.rows + 4, 7.0f);
    a.x = x.data();
    a.y = y.data();
    GetParam().call->bytes4(a);
    for (int64_t c = 0; c < a.cols; ++c)
      for (int64_t r = 0; r < a.rows; ++r) ASSERT_EQ(y[c * a.rows + r], x[r * a.x_row + c]);
    for (int64_t i_past = 0; i_past < 4; ++i_past) ASSERT_EQ(y[a.cols * a.rows + i_past], 7.0f);
  }
}

LAPIDARY_EACH_ROW(QuantizeRow, quantize_kernels());
LAPIDARY_EACH_ROW(TransposeRow, transpose_kernels());

}  // namespace
}  // namespace lapidary::kernels
