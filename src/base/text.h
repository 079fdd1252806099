#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/export.h"

namespace lapidary {

/// `text` with control characters as \xNN (newline \n, tab \t), invalid UTF-8 as U+FFFD, and cut at
/// `limit` bytes with an ellipsis: safe in a terminal or a log line.
LAPIDARY_API std::string printable(std::string_view text, size_t limit = 2000);

/// True where `text` is well-formed UTF-8.
bool valid_utf8(std::string_view text);

/// Levenshtein distance with adjacent transpositions counted as one edit.
size_t edit_distance(std::string_view a, std::string_view b);

/// Up to `count` of `names` nearest to `word`, nearest first; none further than half its length.
std::vector<std::string> closest(std::string_view word, std::span<const std::string> names,
                                 size_t count = 3);

/// "; did you mean 'a' or 'b'?" or an empty string.
LAPIDARY_API std::string did_you_mean(std::string_view word, std::span<const std::string> names);

/// Shell-style match of all of `text`: `*` any run (of any characters), `?` one, `[a-z]` a set.
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace lapidary
