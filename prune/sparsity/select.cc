#include "prune/sparsity/select.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace lapidary {

namespace {

constexpr float kFirst = -std::numeric_limits<float>::infinity();
using Dropped = std::vector<std::vector<uint8_t>>;

float score_of(const ScoredWeights& t, size_t i) {
  return !t.masked.empty() && t.masked[i] ? kFirst : t.scores[i];
}

int64_t wanted(std::span<const ScoredWeights> tensors, double ratio) {
  int64_t elements = 0;
  for (const ScoredWeights& t : tensors) elements += t.matrix.elements();
  return std::llround(ratio * static_cast<double>(elements));
}

/// All below the count-th smallest score, and of those equal to it the first ones.
void drop_elements(std::span<const ScoredWeights> tensors, double ratio, Dropped& dropped,
                   size_t first) {
  std::vector<float> all;
  for (const ScoredWeights& t : tensors)
    for (size_t i = 0; i < t.scores.size(); ++i) all.push_back(score_of(t, i));
  int64_t left = wanted(tensors, ratio);
  if (left <= 0) return;
  const auto at = all.begin() + (left - 1);
  std::nth_element(all.begin(), at, all.end());
  const float threshold = *at;
  left -= std::count_if(all.begin(), at, [&](float score) { return score < threshold; });
  for (size_t n = 0; n < tensors.size(); ++n)
    for (size_t i = 0; i < tensors[n].scores.size(); ++i) {
      const float score = score_of(tensors[n], i);
      if (score < threshold || (score == threshold && left-- > 0)) dropped[first + n][i] = 1;
    }
}

/// Of each m consecutive channels the floor(ratio m) least.
void drop_of_each(const ScoredWeights& t, int64_t m, double ratio, std::vector<uint8_t>& dropped) {
  const auto count = static_cast<size_t>(m);
  const int64_t take = dropped_of(m, ratio);
  std::vector<size_t> order(count);
  for (size_t begin = 0; begin + count <= t.scores.size(); begin += count) {
    std::iota(order.begin(), order.end(), begin);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return score_of(t, a) < score_of(t, b); });
    for (int64_t i = 0; i < take; ++i) dropped[order[static_cast<size_t>(i)]] = 1;
  }
}

struct Block {
  double score = 0;
  size_t tensor = 0, first = 0;   ///< element
  int32_t rows = 0, columns = 0;  ///< those that there are: fewer at the ends
};

/// f(element) for all of a block.
template <class F>
void each_element(const Block& block, const WeightMatrix& m, F&& f) {
  for (int32_t r = 0; r < block.rows; ++r)
    for (int32_t c = 0; c < block.columns; ++c)
      f(block.first + static_cast<size_t>(r * m.taps * m.channels + c));
}

/// The blocks of a tensor, in order of group, rows, tap, channels.
void add_blocks(const ScoredWeights& t, const SparsePattern& p, size_t tensor,
                std::vector<Block>& out) {
  const WeightMatrix& m = t.matrix;
  for (int64_t g = 0; g < m.groups; ++g)
    for (int64_t r0 = 0; r0 < m.rows; r0 += p.rows)
      for (int64_t tap = 0; tap < m.taps; ++tap)
        for (int64_t c0 = 0; c0 < m.channels; c0 += p.columns) {
          Block block{
              .tensor = tensor,
              .first = static_cast<size_t>(((g * m.rows + r0) * m.taps + tap) * m.channels + c0),
              .rows = static_cast<int32_t>(std::min<int64_t>(p.rows, m.rows - r0)),
              .columns = static_cast<int32_t>(std::min<int64_t>(p.columns, m.channels - c0))};
          bool masked = !t.masked.empty();
          each_element(block, m, [&](size_t i) {
            block.score += t.scores[i];
            masked = masked && t.masked[i];
          });
          block.score = masked ? kFirst : block.score / (block.rows * block.columns);
          out.push_back(block);
        }
}

void drop_blocks(std::span<const ScoredWeights> tensors, const SparsePattern& pattern, double ratio,
                 Dropped& dropped, size_t first) {
  std::vector<Block> blocks;
  for (size_t n = 0; n < tensors.size(); ++n) add_blocks(tensors[n], pattern, n, blocks);
  std::stable_sort(blocks.begin(), blocks.end(),
                   [](const Block& a, const Block& b) { return a.score < b.score; });
  int64_t left = wanted(tensors, ratio);
  for (const Block& block : blocks) {
    left -= int64_t{block.rows} * block.columns;
    if (left < 0) return;
    std::vector<uint8_t>& mask = dropped[first + block.tensor];
    each_element(block, tensors[block.tensor].matrix, [&](size_t i) { mask[i] = 1; });
  }
}

}  // namespace

int64_t dropped_of(int64_t m, double ratio) {
  return static_cast<int64_t>(std::floor(ratio * static_cast<double>(m) + 1e-9));
}

std::vector<std::vector<uint8_t>> select_least(std::span<const ScoredWeights> tensors,
                                               const SparsePattern& pattern, double ratio,
                                               bool global) {
  Dropped dropped;
  for (const ScoredWeights& t : tensors) dropped.emplace_back(t.scores.size());
  const size_t each = global ? std::max<size_t>(tensors.size(), 1) : 1;
  for (size_t n = 0; n < tensors.size(); n += each) {
    const auto part = tensors.subspan(n, each);
    if (pattern.kind == SparsePattern::Kind::kBlock)
      drop_blocks(part, pattern, ratio, dropped, n);
    else if (pattern.kind == SparsePattern::Kind::kUnstructured)
      drop_elements(part, ratio, dropped, n);
    else
      for (size_t i = 0; i < part.size(); ++i)
        drop_of_each(part[i], pattern.m, ratio, dropped[n + i]);
  }
  for (size_t n = 0; n < tensors.size(); ++n)
    for (size_t i = 0; i < tensors[n].masked.size(); ++i) dropped[n][i] |= tensors[n].masked[i];
  return dropped;
}

}  // namespace lapidary
