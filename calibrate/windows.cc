#include "calibrate/windows.h"

#include <algorithm>
#include <type_traits>

#include "kernels/stats_f32/stats_f32.h"
#include "src/ops/opdef.h"
#include "src/ops/window.h"

namespace lapidary {

namespace {

using Span = OutputRange;  ///< output positions whose input index lies inside the input

/// Axis 0 (H) or 1 (W) of a spec.
WindowAxis axis_of(const WindowSpec& s, size_t axis) {
  return {.in = s.input[axis],
          .out = s.output[axis],
          .kernel = s.kernel[axis],
          .stride = s.stride[axis],
          .dilation = s.dilation[axis],
          .pad_begin = s.pad[axis]};
}

/// Terms of 8 bits whose sum stays within int32: (2^31 - 1) / 255 > 2^23.
constexpr int64_t kBlock = int64_t{1} << 23;

/// row[c] = sum over `span` of x[(o * stride + offset) * C + c]; up to kBlock positions where C
/// > 1.
template <class T>
struct RowSum {
  template <class Acc>
  void operator()(const T* x, int64_t channels, Span span, int64_t stride, int64_t offset,
                  Acc* row) const {
    x += (span.first * stride + offset) * channels;
    if (channels == 1) {
      const int64_t count = span.last - span.first;
      *row = 0;
      for (int64_t at = 0; at < count; at += kBlock)
        *row += sum_block(x + at * stride, std::min(count - at, kBlock), stride);
      return;
    }
    std::fill_n(row, channels, Acc{});
    for (int64_t o = span.first; o < span.last; ++o, x += stride * channels)
      for (int64_t c = 0; c < channels; ++c) row[c] += static_cast<Acc>(x[c]);
  }

 private:
  static int32_t sum_block(const T* x, int64_t count, int64_t stride) {
    int32_t sum = 0;
    if (stride == 1)
      for (int64_t o = 0; o < count; ++o) sum += static_cast<int32_t>(x[o]);
    else
      for (int64_t o = 0; o < count; ++o) sum += static_cast<int32_t>(x[o * stride]);
    return sum;
  }
};
template <>
struct RowSum<float> {
  const kernels::StatsF32Functions* kernel = kernels::select_stats_f32().kernel->call;

  void operator()(const float* x, int64_t channels, Span span, int64_t stride, int64_t offset,
                  float* row) const {
    std::fill_n(row, channels, 0.0f);
    kernel->sum({.rows = span.last - span.first,
                 .columns = channels,
                 .stride = stride * channels,
                 .x = x + (span.first * stride + offset) * channels,
                 .sum = row});
  }
};

/// Kernels load whole vectors.
constexpr int64_t kPadding = 16;

/// Row is the type of sums along W of up to kBlock terms, Total of sums over everything.
template <class T, class Row, class Total>
void sum_last(const T* x, const WindowSpec& s, Total zero_point, Total* sums) {
  const RowSum<T> sum_row{};
  const int64_t channels = s.channels, taps = s.kernel[0] * s.kernel[1];
  std::vector<Row> row(static_cast<size_t>(channels + kPadding));
  for (int64_t kw = 0; kw < s.kernel[1]; ++kw) {
    const int64_t across = kw * s.dilation[1] - s.pad[1];
    const Span columns = inside(axis_of(s, 1), kw);
    const auto add_row = [&](int64_t h, Span block) {
      const auto width = static_cast<Total>(block.last - block.first);
      bool summed = false;
      for (int64_t kh = 0; kh < s.kernel[0]; ++kh) {
        const int64_t from = h - (kh * s.dilation[0] - s.pad[0]);  // = oh * stride
        if (from < 0 || from % s.stride[0] != 0 || from / s.stride[0] >= s.output[0]) continue;
        if (!summed)
          sum_row(x + h * s.input[1] * channels, channels, block, s.stride[1], across, row.data());
        summed = true;
        Total* out = sums + kh * s.kernel[1] + kw;
        for (int64_t c = 0; c < channels; ++c)
          out[c * taps] += static_cast<Total>(row[static_cast<size_t>(c)]) - zero_point * width;
      }
    };
    for (int64_t h = 0; h < s.input[0]; ++h)
      for (int64_t at = columns.first; at < columns.last; at += kBlock)
        add_row(h, {at, std::min(at + kBlock, columns.last)});
  }
}

/// Sums of [begin, end) of every row of a plane, kept while that window slides.
template <class T, class Row>
class PlaneRows {
 public:
  explicit PlaneRows(const WindowSpec& s)
      : s_(s), sums_(static_cast<size_t>(s.input[0] + kPadding)) {}

  void take(const T* x, Span span, int64_t offset) {
    const int64_t step = s_.stride[1];
    // Integers are exact in any order: what left the window goes, what came into it is added.
    const bool slides = std::is_integral_v<T> && step == 1 && x == x_ && span.last > span.first;
    const int64_t begin = span.first + offset, end = span.last + offset;
    for (int64_t h = 0; h < s_.input[0]; ++h) {
      const T* row = x + h * s_.input[1];
      Row& sum = sums_[static_cast<size_t>(h)];
      if (slides)
        sum += between(row, end_, end) - between(row, begin_, begin);
      else
        sum_row_(row, 1, span, step, offset, &sum);
    }
    x_ = step == 1 && span.last > span.first ? x : nullptr;
    begin_ = begin;
    end_ = end;
  }
  Row operator[](int64_t h) const { return sums_[static_cast<size_t>(h)]; }

 private:
  static Row between(const T* row, int64_t begin, int64_t end) {
    Row sum{};
    for (int64_t i = begin; i < end; ++i) sum += static_cast<Row>(row[i]);
    for (int64_t i = end; i < begin; ++i) sum -= static_cast<Row>(row[i]);
    return sum;
  }

  const WindowSpec& s_;
  RowSum<T> sum_row_;
  std::vector<Row> sums_;
  const T* x_ = nullptr;  ///< whose rows sums_ are of [begin_, end_); null: none
  int64_t begin_ = 0, end_ = 0;
};

template <class T, class Row, class Total>
void sum_first(const T* x, WindowSpec s, Total zero_point, Total* sums) {
  using Pair = std::array<int64_t, 2>;
  const bool whole = s.kernel == Pair{1, 1} && s.stride == Pair{1, 1} && s.pad == Pair{0, 0} &&
                     s.input == s.output;
  if (whole && std::is_integral_v<T>)  // one row
    s.input = s.output = {1, s.input[0] * s.input[1]};
  // Output positions whose input lies inside, by kernel column and row: the same for every channel.
  std::vector<Span> columns, ranges;
  for (int64_t kw = 0; kw < s.kernel[1]; ++kw) columns.push_back(inside(axis_of(s, 1), kw));
  for (int64_t kh = 0; kh < s.kernel[0]; ++kh) ranges.push_back(inside(axis_of(s, 0), kh));
  // A row of a plane has any length: integers are summed as Total.
  PlaneRows<T, std::conditional_t<std::is_integral_v<T>, Total, Row>> rows(s);
  for (int64_t c = 0; c < s.channels; ++c, x += s.input[0] * s.input[1])
    for (int64_t kw = 0; kw < s.kernel[1]; ++kw) {
      const Span across = columns[static_cast<size_t>(kw)];
      const Total none = zero_point * static_cast<Total>(across.last - across.first);
      rows.take(x, across, kw * s.dilation[1] - s.pad[1]);
      for (int64_t kh = 0; kh < s.kernel[0]; ++kh) {
        const int64_t down = kh * s.dilation[0] - s.pad[0];
        const Span range = ranges[static_cast<size_t>(kh)];
        Total& sum = sums[(c * s.kernel[0] + kh) * s.kernel[1] + kw];
        for (int64_t o = range.first; o < range.last; ++o)
          sum += static_cast<Total>(rows[o * s.stride[0] + down]) - none;
      }
    }
}

template <class T, class Row, class Total>
void sum_any(const T* x, bool channels_last, const WindowSpec& s, Total zero_point, Total* sums) {
  if (channels_last || s.matrix)
    sum_last<T, Row, Total>(x, s, zero_point, sums);
  else
    sum_first<T, Row, Total>(x, s, zero_point, sums);
}

std::optional<WindowSpec> conv_spec(const AttrView& attrs, const Shape& weight,
                                    std::span<const int64_t> input) {
  const size_t rank = weight.size() < 2 ? 9 : weight.size() - 2;
  if (rank < 1 || rank > 2 || input.size() != weight.size()) return std::nullopt;
  const WindowAttrs window = read_window(attrs, {weight.begin() + 2, weight.end()});
  WindowSpec s;
  s.channels = input[1];
  for (size_t i = 0; i < rank; ++i) {
    const size_t to = 2 - rank + i;
    const WindowAxis axis = resolve_axis(window, i, input[2 + i]);
    if (axis.out <= 0) return std::nullopt;
    s.input[to] = axis.in;
    s.output[to] = axis.out;
    s.kernel[to] = axis.kernel;
    s.stride[to] = axis.stride;
    s.dilation[to] = axis.dilation;
    s.pad[to] = axis.pad_begin;
  }
  return s;
}

}  // namespace

std::optional<WindowSpec> window_spec(const Graph& graph, NodeId id,
                                      std::span<const int64_t> input) {
  const Node& node = graph.node(id);
  if (node.inputs.size() < 2 || !node.inputs[1].valid() || !node.domain.empty())
    return std::nullopt;
  const Value& weight = graph.value(node.inputs[1]);
  if (!weight.type.is_static()) return std::nullopt;
  const Shape shape = weight.type.static_shape();
  const AttrView attrs(node, 0);
  if (node.op == "Conv") return conv_spec(attrs, shape, input);
  const bool gemm = node.op == "Gemm" && attrs.get_int("transA", 0) == 0 && input.size() == 2;
  if (!gemm && !(node.op == "MatMul" && shape.size() == 2 && input.size() >= 2))
    return std::nullopt;
  WindowSpec s;
  s.channels = input.back();
  for (size_t i = 1; i + 1 < input.size(); ++i) s.input[1] *= input[i];
  s.output = s.input;
  s.matrix = true;
  return s;
}

std::optional<int64_t> counted_rows(int64_t leading, int64_t ran, int64_t counted) {
  if (counted == ran) return leading;
  if (ran <= 0 || leading % ran != 0) return std::nullopt;
  return leading / ran * counted;
}

void window_sums(const float* x, bool channels_last, const WindowSpec& spec, double* sums) {
  sum_any<float, float, double>(x, channels_last, spec, 0.0, sums);
}
void window_sums(const uint8_t* x, bool channels_last, const WindowSpec& spec, int32_t zero_point,
                 int64_t* sums) {
  sum_any<uint8_t, int32_t, int64_t>(x, channels_last, spec, zero_point, sums);
}
void window_sums(const int8_t* x, bool channels_last, const WindowSpec& spec, int32_t zero_point,
                 int64_t* sums) {
  sum_any<int8_t, int32_t, int64_t>(x, channels_last, spec, zero_point, sums);
}

}  // namespace lapidary
