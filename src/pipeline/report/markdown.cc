#include <fmt/format.h>

#include "src/pipeline/report/escape.h"
#include "src/pipeline/report/rows.h"

namespace lapidary {

namespace {

void add_table(const ReportTable& t, std::string& out) {
  if (t.rows.empty() && t.note.empty()) return;
  out += fmt::format("\n## {}\n\n", markdown_escape(t.title));
  if (!t.note.empty()) out += markdown_escape(t.note) + "\n";
  if (t.rows.empty()) return;
  if (!t.note.empty()) out += "\n";
  std::string rule = "|";
  out += "|";
  for (size_t i = 0; i < t.head.size(); ++i) {
    out += " " + markdown_escape(t.head[i]) + " |";
    rule += i < t.numeric_from ? " --- |" : " ---: |";
  }
  out += "\n" + rule + "\n";
  for (const auto& row : t.rows) {
    out += "|";
    for (const std::string& cell : row) out += " " + markdown_escape(cell) + " |";
    out += "\n";
  }
}

}  // namespace

std::string report_markdown(const Report& r) {
  std::string out =
      fmt::format("# {}\n\n{}\n", markdown_escape(r.title), markdown_escape(headline(r), 2000));
  if (const std::string note = engine_note(r); !note.empty())
    out += "\n" + markdown_escape(note, 1000) + "\n";
  for (const std::string& w : r.warnings)
    out += fmt::format("\n> Warning: {}\n", markdown_escape(w));
  for (const ReportTable& t :
       {stage_table(r),           training_table(r),   cpu_class_table(r),   latency_table(r),
        limit_table(r),           estimate_table(r),   planned_table(r),     factorized_table(r),
        pruned_table(r),          search_table(r),     sensitivity_table(r), masked_table(r),
        frozen_table(r),          kept_float_table(r), saturation_table(r),  layer_table(r),
        execution_layer_table(r), bits_table(r),       tensor_table(r),      pass_table(r),
        provenance_table(r),      environment_table(r)})
    add_table(t, out);
  return out;
}

}  // namespace lapidary
