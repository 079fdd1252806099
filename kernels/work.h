#pragma once

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

/// True where blocks of output channels, not rows, are divided among threads.
constexpr bool split_by_blocks(const ConvShape& s, int64_t blocks, int threads) {
  const int64_t pixels = s.batch * s.out_h * s.out_w;
  return blocks >= threads && (work_rows(s) < threads || pixels < kFewPixels * threads);
}

template <class Kernel>
size_t split_scratch_bytes(const Kernel& kernel, const ConvShape& shape, int threads) {
  const auto count = static_cast<size_t>(threads > 0 ? threads : thread_count());
  return (kernel.call->scratch_bytes(shape) + 63) / 64 * 64 * count;
}

/// The whole of args.range's shape, each thread a part with scratch of its own.
template <class Kernel, class Args>
void run_split(const Kernel& kernel, const Args& args, int threads) {
  const int count = threads > 0 ? threads : thread_count();
  const int64_t blocks = kernel.call->blocks(args.shape);
  const bool by_blocks = split_by_blocks(args.shape, blocks, count);
  const size_t scratch = (kernel.call->scratch_bytes(args.shape) + 63) / 64 * 64;
  const auto body = [&](int64_t begin, int64_t end, int thread) {
    Args part = args;
    part.range = by_blocks ? WorkRange{0, -1, begin, end} : WorkRange{begin, end, 0, -1};
    part.scratch = static_cast<char*>(args.scratch) + scratch * static_cast<size_t>(thread);
    kernel.call->run(part);
  };
  parallel_for(by_blocks ? blocks : work_rows(args.shape), 1, body, count);
}

}  // namespace lapidary::kernels
