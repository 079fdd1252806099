#include "src/base/text.h"

#include <fnmatch.h>

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

namespace lapidary {

namespace {

/// Length in bytes of the well-formed UTF-8 sequence at the start of `s`, or 0 (Unicode 15, table
/// 3-7).
size_t utf8_sequence(std::string_view s) {
  auto byte = [&](size_t i) -> uint8_t { return i < s.size() ? static_cast<uint8_t>(s[i]) : 0; };
  auto tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const uint8_t b0 = byte(0), b1 = byte(1);
  if (s.empty()) return 0;
  if (b0 < 0x80) return 1;
  if (b0 >= 0xC2 && b0 <= 0xDF) return tail(1) ? 2 : 0;
  if (b0 == 0xE0) return b1 >= 0xA0 && b1 <= 0xBF && tail(2) ? 3 : 0;
  if (b0 == 0xED) return b1 >= 0x80 && b1 <= 0x9F && tail(2) ? 3 : 0;
  if (b0 >= 0xE1 && b0 <= 0xEF) return tail(1) && tail(2) ? 3 : 0;
  if (b0 == 0xF0) return b1 >= 0x90 && b1 <= 0xBF && tail(2) && tail(3) ? 4 : 0;
  if (b0 == 0xF4) return b1 >= 0x80 && b1 <= 0x8F && tail(2) && tail(3) ? 4 : 0;
  if (b0 >= 0xF1 && b0 <= 0xF3) return tail(1) && tail(2) && tail(3) ? 4 : 0;
  return 0;
}

}  // namespace

bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t n = utf8_sequence(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

std::string printable(std::string_view text, size_t limit) {
  std::string out;
  out.reserve(std::min(text.size(), limit));
  while (!text.empty()) {
    if (out.size() >= limit) return out + "…";
    const size_t n = utf8_sequence(text);
    const auto c = static_cast<unsigned char>(text.front());
    if (n == 0) {
      out += "\xEF\xBF\xBD";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", c);
    } else if (n == 2 && c == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[1]));  // C1 controls
    } else {
      out += text.substr(0, n);
    }
    text.remove_prefix(std::max<size_t>(n, 1));
  }
  return out;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::vector<std::string> closest(std::string_view word, std::span<const std::string> names,
                                 size_t count) {
  constexpr size_t kLongestWord = 256;  // beyond it a name is no typing mistake
  if (word.size() > kLongestWord) return {};
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string& name : names) {
    if (name.size() > kLongestWord) continue;
    const bool begins = word.size() >= 3 && name.starts_with(word);  // its end was left out
    const size_t distance = begins ? 1 : edit_distance(word, name);
    if (distance <= std::max<size_t>(1, word.size() / 2)) near.emplace_back(distance, name);
  }
  std::sort(near.begin(), near.end());
  near.erase(std::unique(near.begin(), near.end()), near.end());
  std::vector<std::string> out;
  for (size_t i = 0; i < std::min(count, near.size()); ++i) out.push_back(near[i].second);
  return out;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> names) {
  const auto near = closest(word, names, 2);
  if (near.empty()) return {};
  std::string out = "; did you mean '" + near[0] + "'";
  if (near.size() > 1) out += " or '" + near[1] + "'";
  return out + "?";
}

bool glob_match(std::string_view pattern, std::string_view text) {
  return ::fnmatch(std::string(pattern).c_str(), std::string(text).c_str(), 0) == 0;
}

}  // namespace lapidary
