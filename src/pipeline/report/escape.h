#pragma once

#include <string>
#include <string_view>

#include "src/base/text.h"

namespace lapidary {

/// Text for HTML and SVG, in elements and in quoted attributes; control characters made visible
/// first.
inline std::string html_escape(std::string_view text, size_t limit = 300) {
  std::string out;
  for (char c : printable(text, limit)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// Text for a cell of a Markdown table.
inline std::string markdown_escape(std::string_view text, size_t limit = 300) {
  std::string out;
  for (char c : printable(text, limit)) {
    if (c == '<' || c == '>' || c == '&') {  // raw HTML passes through Markdown
      out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;";
      continue;
    }
    if (std::string_view("|\\`*_[]").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace lapidary
