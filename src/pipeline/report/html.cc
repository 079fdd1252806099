#include <fmt/format.h>

#include <algorithm>

#include "src/pipeline/report/escape.h"
#include "src/pipeline/report/figures.h"
#include "src/pipeline/report/format.h"
#include "src/pipeline/report/rows.h"
#include "src/pipeline/report/svg.h"

namespace lapidary {

namespace {

constexpr const char* kStyle = R"css(
:root{--ink:#1d2433;--soft:#5b6579;--line:#dfe4ec;--page:#f6f7fa;--card:#fff;--bar:#b9c4d6;--now:#2f6fde;--bad:#d9482b;--good:#1b8a5a}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf2;--soft:#98a3b8;--line:#2c3444;--page:#12161f;--card:#1a202c;--bar:#46536b;--now:#6ea2ff;--bad:#ff7a5c;--good:#4cc38a}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;margin:0 0 4px;overflow-wrap:anywhere}h2{font-size:17px;margin:34px 0 10px}
p{margin:6px 0}.soft{color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.card b{display:block;font-size:22px;line-height:1.25}.card span{color:var(--soft);font-size:13px}
.panel{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px;overflow-x:auto}
.bars{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:16px}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:16px}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th,td{text-align:left;padding:5px 10px;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600;white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td{overflow-wrap:break-word}tr:last-child td{border-bottom:0}
td.met{color:var(--good);font-weight:600}td.missed{color:var(--bad);font-weight:700}
.warn{border-left:4px solid var(--bad);background:var(--card);padding:8px 12px;margin:8px 0;border-radius:4px}
summary{cursor:pointer;font-size:17px;font-weight:600;margin:30px 0 10px}
svg{width:100%;height:auto;display:block}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .t{font-weight:600;font-size:13px}svg .a{fill:var(--soft);font-size:10px}svg .l{font-size:11px}
.b{fill:var(--bar)}.now{fill:var(--now)}.bad{fill:var(--bad)}.g{stroke:var(--line)}.clip{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:4 3}
.roof{fill:none;stroke:var(--soft);stroke-width:2}.cache{fill:none;stroke:var(--soft);stroke-dasharray:5 4}
.dot{stroke:var(--card);stroke-width:1;fill-opacity:.8}.int8{fill:var(--now)}.f32{fill:var(--bad)}.other{fill:var(--good)}
)css";

/// Names of nodes and tensors may break between their parts, and only there.
std::string name_html(const std::string& text) {
  std::string out;
  for (const char c : html_escape(text)) {
    out += c;
    if (c == '/' || c == '.' || c == '_' || c == ':') out += "<wbr>";
  }
  return out;
}

std::string table_html(const ReportTable& t) {
  std::string out = "<div class=\"panel\"><table><thead><tr>";
  const auto css = [&](size_t column) { return column >= t.numeric_from ? " class=\"n\"" : ""; };
  for (size_t c = 0; c < t.head.size(); ++c)
    out += fmt::format("<th{}>{}</th>", css(c), html_escape(t.head[c]));
  out += "</tr></thead><tbody>";
  for (const auto& row : t.rows) {
    out += "<tr>";
    for (size_t c = 0; c < row.size(); ++c) {
      const bool verdict = row[c] == "met" || row[c] == "MISSED";
      out +=
          fmt::format("<td{}>{}</td>",
                      verdict ? (row[c] == "met" ? " class=\"met\"" : " class=\"missed\"") : css(c),
                      c < t.numeric_from ? name_html(row[c]) : html_escape(row[c]));
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

void add_table(const ReportTable& t, std::string& out) {
  if (t.rows.empty() && t.note.empty()) return;
  const std::string title = html_escape(t.title);
  if (t.long_list) {
    if (!t.note.empty()) out += fmt::format("<p class=\"soft\">{}</p>", html_prose(t.note, 1000));
    out += fmt::format("<details><summary>{} ({})</summary>{}</details>", title, t.rows.size(),
                       table_html(t));
    return;
  }
  out += fmt::format("<h2>{}</h2>", title);
  if (!t.note.empty()) out += fmt::format("<p class=\"soft\">{}</p>", html_prose(t.note, 1000));
  if (!t.rows.empty()) out += table_html(t);
}

std::string card(const std::string& value, const std::string& label) {
  return fmt::format("<div class=\"card\"><b>{}</b><span>{}</span></div>", html_escape(value),
                     html_escape(label));
}

std::string cards(const Report& r) {
  if (r.stages.size() < 2) return {};
  const StageRecord& a = earlier_stage(r);
  const StageRecord& b = r.stages.back();
  std::string out = "<div class=\"cards\">";
  for (const Figure& figure : headline_figures(r)) out += card(figure.value, figure.label);
  out += card(size_text(b.size_bytes),
              fmt::format("{}, from {}", size_change_text(a.size_bytes, b.size_bytes),
                          size_text(a.size_bytes)));
  const auto la = first_latency(a), lb = first_latency(b);
  if (la && lb)
    out += card(
        fmt::format("{:.3f} ms", lb->median_ms),
        fmt::format("{}, from {:.3f} ms ({}T)", speed_change_text(la->median_ms, lb->median_ms),
                    la->median_ms, lb->threads));
  if (const auto layers = integer_layers(r))
    out += card(fmt::format("{} / {}", layers->ran, layers->of),
                "layers with MACs ran on integer kernels");
  return out + "</div>";
}

std::string bars(const Report& r) {
  if (r.stages.size() < 2) return {};
  std::vector<Bar> size, time;
  for (const StageRecord& s : r.stages) {
    size.push_back({s.name, static_cast<double>(s.size_bytes), size_text(s.size_bytes)});
    if (const auto l = first_latency(s))
      time.push_back({s.name, l->median_ms, fmt::format("{:.3f} ms", l->median_ms)});
  }
  std::string out =
      "<h2>Before and after</h2><div class=\"panel bars\">" + svg_bars("File size", size);
  if (!time.empty())
    out +=
        svg_bars(fmt::format("Median latency, {} thread(s)", r.stages[0].latency[0].threads), time);
  for (const BarChart& chart : headline_charts(r)) out += svg_bars(chart.title, chart.bars);
  return out + "</div>";
}

std::string training_plots(const Report& r) {
  std::string out;
  for (const TrainingRecord& t : r.trainings) {
    const std::string of = r.trainings.size() > 1 ? " of " + t.step : "";
    out += svg_curves("Loss" + of, loss_curves(t));
    out += svg_curves("Accuracy" + of + ", %", accuracy_curves(t));
  }
  return out.empty() ? out : "<div class=\"panel bars\">" + out + "</div>";
}

std::string curves_panel(const std::vector<CurveFigure>& figures) {
  std::string out;
  for (const CurveFigure& f : figures) out += svg_curves(f.title, f.curves, f.axes);
  return out.empty() ? out : "<div class=\"panel bars\">" + out + "</div>";
}

std::string sensitivity_plots(const Report& r) {
  std::vector<CurveFigure> figures;
  for (const SensitivityRecord& s : r.sensitivities)
    for (CurveFigure& f : sensitivity_figures(s)) figures.push_back(std::move(f));
  return curves_panel(figures);
}

std::string search_plots(const Report& r) {
  std::vector<CurveFigure> figures;
  for (const SearchRecord& s : r.searches) figures.push_back(search_figure(s));
  return curves_panel(figures);
}

std::string layer_plot(const Report& r) {
  const std::string plot = svg_layer_errors(r.layers);
  if (plot.empty()) return {};
  return "<h2>Error of each layer</h2><p class=\"soft\">SQNR in dB of each layer's output against "
         "the float "
         "model, in graph order: higher is better. The three worst are marked; hover for the "
         "name.</p>"
         "<div class=\"panel\">" +
         plot + "</div>";
}

std::string roofline_plot(const Report& r) {
  const std::string plot = r.peaks ? svg_roofline(r.layers, *r.peaks) : "";
  if (plot.empty()) return {};
  return fmt::format(
      "<h2>Layers under the roofline</h2><p class=\"soft\">Operations (two for a "
      "multiply-accumulate) a second over operations for each byte of inputs, weights and outputs, "
      "on {} thread{}. The lines are what this machine reaches in loops that do nothing else; what "
      "a cache still holds may pass the line of the memory. Hover for the layer.</p>"
      "<div class=\"panel\">{}</div>",
      r.peaks->threads, r.peaks->threads == 1 ? "" : "s", plot);
}

std::string histograms(const Report& r) {
  if (r.histograms.empty()) return {};
  std::string out =
      "<h2>Activations and their ranges</h2><p class=\"soft\">Counts on a logarithmic axis; the "
      "dashed lines "
      "are the range that the integers cover. The most cut ones first.</p><div class=\"panel "
      "grid\">";
  for (const HistogramRecord& h : r.histograms) out += svg_histogram(h);
  return out + "</div>";
}

}  // namespace

std::string report_html(const Report& r) {
  std::string out = fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>{0} · "
      "Lapidary</title><style>{1}</style></head><body>"
      "<main><h1>{0}</h1><p class=\"soft\">Lapidary {2}</p><p>{3}</p>",
      html_escape(r.title), kStyle, html_escape(r.version), html_prose(headline(r), 2000));
  if (const std::string note = engine_note(r); !note.empty())
    out += fmt::format("<p>{}</p>", html_prose(note, 1000));
  for (const std::string& w : r.warnings)
    out += fmt::format("<div class=\"warn\">{}</div>", html_prose(w, 1000));
  out += cards(r);
  add_table(limit_table(r), out);
  add_table(stage_table(r), out);
  add_table(training_table(r), out);
  out += training_plots(r);
  add_table(cpu_class_table(r), out);
  add_table(latency_table(r), out);
  out += bars(r);
  out += layer_plot(r);
  out += roofline_plot(r);
  add_table(masked_table(r), out);
  add_table(planned_table(r), out);
  add_table(factorized_table(r), out);
  add_table(pruned_table(r), out);
  add_table(search_table(r), out);
  out += search_plots(r);
  add_table(sensitivity_table(r), out);
  out += sensitivity_plots(r);
  add_table(frozen_table(r), out);
  add_table(kept_float_table(r), out);
  out += histograms(r);
  for (const ReportTable& t : {saturation_table(r), layer_table(r), execution_layer_table(r),
                               bits_table(r), tensor_table(r), pass_table(r), estimate_table(r),
                               provenance_table(r), environment_table(r)})
    add_table(t, out);
  return out + "</main></body></html>\n";
}

}  // namespace lapidary
