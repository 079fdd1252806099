#pragma once

#include <fmt/format.h>

#include <string>

#include "src/pipeline/report/escape.h"

namespace lapidary {

inline std::string open_svg(double width, double height, const std::string& title) {
  return fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">", width,
                     height, html_escape(title));
}

inline std::string text_at(double x, double y, const std::string& text, const char* css,
                           const char* anchor = "start") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\" text-anchor=\"{}\">{}</text>", x,
                     y, css, anchor, html_escape(text, 60));
}

}  // namespace lapidary
