#include "calibrate/windows.h"

#include <algorithm>
#include <type_traits>

#include "kernels/stats_f32/stats_f32.h"
#include "src/ops/opdef.h"

namespace lapidary {

namespace {

struct Span {
  int64_t begin = 0, end = 0;  ///< output positions whose input index lies inside [0, size)
};

/// Positions o with 0 <= o * stride + offset < size, offset = k * dilation - pad.
Span inside(int64_t output, int64_t stride, int64_t offset, int64_t size) {
  const int64_t begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t end = size - offset <= 0 ? 0 : (size - offset - 1) / stride + 1;
  return {std::min(begin, output), std::clamp(end, begin, std::max(begin, output))};
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
    x += (span.begin * stride + offset) * channels;
    if (channels == 1) {
      const int64_t count = span.end - span.begin;
      *row = 0;
      for (int64_t at = 0; at < count; at += kBlock)
        *row += sum_block(x + at * stride, std::min(count - at, kBlock), stride);
      return;
    }
    std::fill_n(row, channels, Acc{});
    for (int64_t o = span.begin; o < span.end; ++o, x += stride * channels)
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
    kernel->sum({.rows = span.end - span.begin,
                 .columns = channels,
                 .stride = stride * channels,
                 .x = x + (span.begin * stride + offset) * channels,
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
    const Span columns = inside(s.output[1], s.stride[1], across, s.input[1]);
    const auto add_row = [&](int64_t h, Span block) {
      const auto width = static_cast<Total>(block.end - block.begin);
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
      for (int64_t at = columns.begin; at < columns.end; at += kBlock)
        add_row(h, {at, std::min(at + kBlock, columns.end)});
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
    const bool slides = std::is_integral_v<T> && step == 1 && x == x_ && span.end > span.begin;
    const int64_t begin = span.begin + offset, end = span.end + offset;
    for (int64_t h = 0; h < s_.input[0]; ++h) {
      const T* row = x + h * s_.input[1];
      Row& sum = sums_[static_cast<size_t>(h)];
      if (slides)
        sum += between(row, end_, end) - between(row, begin_, begin);
      else
        sum_row_(row, 1, span, step, offset, &sum);
    }
    x_ = step == 1 && span.end > span.begin ? x : nullptr;
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
  // A row of a plane has any length: integers are summed as Total.
  PlaneRows<T, std::conditional_t<std::is_integral_v<T>, Total, Row>> rows(s);
  for (int64_t c = 0; c < s.channels; ++c, x += s.input[0] * s.input[1])
    for (int64_t kw = 0; kw < s.kernel[1]; ++kw) {
      const int64_t across = kw * s.dilation[1] - s.pad[1];
      const Span columns = inside(s.output[1], s.stride[1], across, s.input[1]);
      const Total none = zero_point * static_cast<Total>(columns.end - columns.begin);
      rows.take(x, columns, across);
      for (int64_t kh = 0; kh < s.kernel[0]; ++kh) {
        const int64_t down = kh * s.dilation[0] - s.pad[0];
        const Span range = inside(s.output[0], s.stride[0], down, s.input[0]);
        Total& sum = sums[(c * s.kernel[0] + kh) * s.kernel[1] + kw];
        for (int64_t o = range.begin; o < range.end; ++o)
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

int64_t at_or(const std::vector<int64_t>& list, size_t i, int64_t otherwise) {
  return i < list.size() ? list[i] : otherwise;
}

/// Explicit pads, or those of auto_pad, before each spatial axis; the output sizes.
void set_positions(WindowSpec& s, const AttrView& attrs, size_t rank) {
  const auto pads = attrs.get_ints("pads");
  const std::string mode = attrs.get_string("auto_pad", "NOTSET");
  const size_t lead = 2 - rank;
  for (size_t i = 0; i < rank; ++i) {
    const size_t axis = lead + i;
    const int64_t reach = (s.kernel[axis] - 1) * s.dilation[axis] + 1;
    int64_t before = at_or(pads, i, 0), after = at_or(pads, i + rank, 0);
    if (mode == "VALID") before = after = 0;
    if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      const int64_t wanted = (s.input[axis] + s.stride[axis] - 1) / s.stride[axis];
      const int64_t total =
          std::max<int64_t>(0, (wanted - 1) * s.stride[axis] + reach - s.input[axis]);
      before = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
      after = total - before;
    }
    s.pad[axis] = before;
    s.output[axis] = (s.input[axis] + before + after - reach) / s.stride[axis] + 1;
  }
}

std::optional<WindowSpec> conv_spec(const AttrView& attrs, const Shape& weight,
                                    std::span<const int64_t> input) {
  const size_t rank = weight.size() < 2 ? 9 : weight.size() - 2;
  if (rank < 1 || rank > 2 || input.size() != weight.size()) return std::nullopt;
  WindowSpec s;
  s.channels = input[1];
  for (size_t i = 0; i < rank; ++i) {
    const size_t axis = 2 - rank + i;
    s.input[axis] = input[2 + i];
    s.kernel[axis] = weight[2 + i];
    s.stride[axis] = at_or(attrs.get_ints("strides"), i, 1);
    s.dilation[axis] = at_or(attrs.get_ints("dilations"), i, 1);
  }
  set_positions(s, attrs, rank);
  if (s.output[0] <= 0 || s.output[1] <= 0) return std::nullopt;
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
