#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/conv_shape.h"
#include "src/base/parallel.h"

// How the work of a convolution is cut. Not for ISA files: its templates are shared.
namespace lapidary::kernels {

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

struct Span {
  int64_t begin, end;
};
constexpr Span rows_of(const WorkRange& range, const ConvShape& s) {
  return {range.row_begin, range.row_end < 0 ? work_rows(s) : range.row_end};
}
constexpr Span blocks_of(const WorkRange& range, int64_t blocks) {
  return {range.block_begin, range.block_end < 0 ? blocks : range.block_end};
}

/// Rows on one thread below this many output pixels make ragged tiles: such work is split by
/// blocks.
inline constexpr int64_t kFewPixels = 64;

/// Groups of `lines` output lines of an image, computed together: the rows that are divided.
constexpr int64_t row_groups(const ConvShape& s, int64_t lines) {
  return lines == 1 ? work_rows(s) : s.batch * ceil_div(s.out_h, lines);
}
/// The first row of such a group; of that past the last: the number of rows.
constexpr int64_t first_row(const ConvShape& s, int64_t lines, int64_t group) {
  if (lines == 1) return group;
  const int64_t of_image = ceil_div(s.out_h, lines);
  return group / of_image * s.out_h + group % of_image * lines;
}

/// True where blocks of output channels, not rows, are divided among threads. Tiles of `lines`
/// squared outputs count as one pixel.
constexpr bool split_by_blocks(const ConvShape& s, int64_t blocks, int threads, int64_t lines = 1) {
  const int64_t pixels = s.batch * s.out_h * s.out_w;
  return blocks >= threads &&
         (row_groups(s, lines) < threads || pixels < kFewPixels * lines * lines * threads);
}

/// Below this much work handing over costs as much as it saves: some 0.5 microseconds of the
/// fastest integer kernels.
inline constexpr int64_t kLeastThreadMacs = 50'000;
/// What an output costs beside its products, in MACs: requantization, stores, edges.
inline constexpr int64_t kOutputMacs = 16;

/// How many of `threads` (0: thread_count()) have work enough.
inline int threads_worth(const ConvShape& s, int threads) {
  const int64_t outputs = s.batch * s.out_h * s.out_w * s.out_c;
  const int64_t filter = s.in_c / s.groups * s.kernel_h * s.kernel_w;
  const int64_t worth = outputs * (filter + kOutputMacs) / kLeastThreadMacs;
  return static_cast<int>(std::clamp<int64_t>(worth, 1, threads > 0 ? threads : thread_count()));
}

template <class Kernel>
size_t split_scratch_bytes(const Kernel& kernel, const ConvShape& shape, int threads) {
  const auto count = static_cast<size_t>(threads > 0 ? threads : thread_count());
  return (kernel.call->scratch_bytes(shape) + 63) / 64 * 64 * count;
}

/// The whole of args.shape in up to `parts` ranges, each with scratch of its own; rows are divided
/// in groups of `lines` output lines.
template <class Kernel, class Args>
void run_parts(const Kernel& kernel, const Args& args, int parts, int64_t lines = 1) {
  const int64_t blocks = kernel.call->blocks(args.shape);
  const bool by_blocks = split_by_blocks(args.shape, blocks, parts, lines);
  const size_t scratch = (kernel.call->scratch_bytes(args.shape) + 63) / 64 * 64;
  const auto body = [&](int64_t begin, int64_t end, int part) {
    Args some = args;
    some.range = by_blocks ? WorkRange{0, -1, begin, end}
                           : WorkRange{first_row(args.shape, lines, begin),
                                       first_row(args.shape, lines, end), 0, -1};
    some.scratch = static_cast<char*>(args.scratch) + scratch * static_cast<size_t>(part);
    kernel.call->run(some);
  };
  parallel_for(by_blocks ? blocks : row_groups(args.shape, lines), 1, body, parts);
}

/// The same, on as many threads as have work enough.
template <class Kernel, class Args>
void run_split(const Kernel& kernel, const Args& args, int threads, int64_t lines = 1) {
  run_parts(kernel, args, threads_worth(args.shape, threads), lines);
}

}  // namespace lapidary::kernels
