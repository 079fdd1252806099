#include <charconv>

#include "lapidary/sparsify.h"
#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

constexpr int64_t kMost = 1 << 20;

/// The positive number that all of `text` is, else 0.
int64_t positive(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value <= kMost ? value : 0;
}

/// The numbers on both sides of `mark`, both positive.
std::optional<std::pair<int64_t, int64_t>> pair_of(std::string_view text, char mark) {
  const size_t at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const int64_t a = positive(text.substr(0, at)), b = positive(text.substr(at + 1));
  return a > 0 && b > 0 ? std::optional(std::pair(a, b)) : std::nullopt;
}

}  // namespace

SparsePattern SparsePattern::parse(std::string_view text) {
  if (text == "unstructured") return {};
  if (const auto nm = pair_of(text, ':'); nm && nm->first < nm->second)
    return {.kind = Kind::kNM, .n = nm->first, .m = nm->second};
  if (const auto block = pair_of(text, 'x'))
    return {.kind = Kind::kBlock, .rows = block->first, .columns = block->second};
  fail_usage(
      "pattern '{}'; it is unstructured, N:M (2:4: of 4 consecutive input channels 2 stay) or "
      "ROWSxCOLUMNS (4x4: blocks)",
      printable(text, 100));
}

std::string SparsePattern::text() const {
  switch (kind) {
    case Kind::kUnstructured:
      return "unstructured";
    case Kind::kNM:
      return fmt::format("{}:{}", n, m);
    case Kind::kBlock:
      return fmt::format("{}x{}", rows, columns);
  }
  return {};
}

}  // namespace lapidary
