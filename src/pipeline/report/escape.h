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

/// A sentence for HTML: what stands between two backticks is code.
inline std::string html_prose(std::string_view text, size_t limit = 300) {
  std::string out;
  const std::string escaped = html_escape(text, limit);
  for (size_t at = 0; at < escaped.size();) {
    const size_t open = escaped.find('`', at);
    const size_t close = open == std::string::npos ? open : escaped.find('`', open + 1);
    if (close == std::string::npos) return out + escaped.substr(at);
    out += escaped.substr(at, open - at) + "<code>" + escaped.substr(open + 1, close - open - 1) +
           "</code>";
    at = close + 1;
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
