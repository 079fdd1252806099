#include <fmt/format.h>

#include <algorithm>

#include "src/base/text.h"
#include "src/pipeline/report/rows.h"

namespace lapidary {

namespace {

constexpr size_t kMostRows = 20;
constexpr size_t kWidestCell = 60;

/// Columns on a terminal: code points, which is right for what models and machines are called.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, size_t width, bool right) {
  const std::string space(width - std::min(width, width_of(text)), ' ');
  return right ? space + text : text + space;
}

class Console {
 public:
  Console(bool color, bool terminal) : color_(color), terminal_(terminal) {}

  std::string paint(const std::string& text, const char* code) const {
    return color_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
  }

  void add(const ReportTable& t, std::string& out) const {
    if (t.rows.empty() && t.note.empty()) return;
    out += "\n" + paint(t.title, "1") + "\n";
    if (!t.note.empty()) out += t.note + "\n";
    if (t.rows.empty()) return;
    std::vector<size_t> widths(t.head.size());
    const size_t shown = std::min(t.rows.size(), kMostRows);
    const auto cell = [&](const std::string& text) {
      return terminal_ ? printable(text, kWidestCell) : printable(text);
    };
    for (size_t c = 0; c < t.head.size(); ++c) {
      widths[c] = width_of(t.head[c]);
      for (size_t r = 0; r < shown; ++r)
        widths[c] = std::max(widths[c], width_of(cell(t.rows[r][c])));
    }
    const auto line = [&](const std::vector<std::string>& row) {
      std::string text = " ";
      for (size_t c = 0; c < row.size(); ++c)
        text += " " + padded(cell(row[c]), widths[c], c >= t.numeric_from) + " ";
      while (!text.empty() && text.back() == ' ') text.pop_back();
      return text;
    };
    out += paint(line(t.head), "2") + "\n";
    for (size_t r = 0; r < shown; ++r) {
      const bool missed = !t.rows[r].empty() && t.rows[r].back() == "MISSED";
      out += (missed ? paint(line(t.rows[r]), "31;1") : line(t.rows[r])) + "\n";
    }
    if (shown < t.rows.size())
      out += fmt::format("  ... and {} more, --json has all\n", t.rows.size() - shown);
  }

 private:
  bool color_, terminal_;
};

}  // namespace

std::string report_console(const Report& r, bool color, bool terminal) {
  const Console console(color, terminal);
  const bool planned = r.stages.size() < 2;  // what a dry run is asked for
  std::string out = console.paint(printable(r.title), "1") + "\n" + headline(r) + "\n";
  if (const std::string note = engine_note(r); !note.empty()) out += note + "\n";
  for (const std::string& w : r.warnings)
    out += console.paint("warning: " + printable(w), "33") + "\n";
  for (const ReportTable& t :
       {stage_table(r), training_table(r), cpu_class_table(r), latency_table(r), limit_table(r),
        estimate_table(r), planned_table(r), planned ? bits_table(r) : ReportTable{},
        factorized_table(r), pruned_table(r), search_table(r), sensitivity_table(r),
        masked_table(r), frozen_table(r), kept_float_table(r), saturation_table(r)})
    console.add(t, out);
  return out;
}

}  // namespace lapidary
