#include "src/pipeline/histograms.h"

#include <algorithm>
#include <set>

#include "calibrate/statistics.h"

namespace lapidary {

namespace {

constexpr size_t kMostHistograms = 24;
constexpr int64_t kPlotBins = 128;

/// Share of what was seen that the chosen range leaves out, by length.
double cut_share(const TensorQuant& t) {
  const double seen = t.seen.high - t.seen.low, chosen = t.chosen.high - t.chosen.low;
  return seen > 0 ? 1 - chosen / seen : 0;
}

HistogramRecord thinned(const std::string& name, const Histogram& h, const Range& chosen) {
  const int64_t group = (h.bins() + kPlotBins - 1) / kPlotBins;
  HistogramRecord out{name, h.edge(0), h.width() * static_cast<double>(group), {}, chosen};
  out.counts.resize(static_cast<size_t>((h.bins() + group - 1) / group));
  for (int64_t i = 0; i < h.bins(); ++i)
    out.counts[static_cast<size_t>(i / group)] += h.counts[static_cast<size_t>(i)];
  return out;
}

}  // namespace

void collect_histograms(const Statistics& statistics, const QuantizeLog& log, Report& report) {
  std::vector<const TensorQuant*> activations;
  for (const TensorQuant& t : log.tensors)
    if (t.role == "activation" && statistics.has(t.tensor)) activations.push_back(&t);
  std::stable_sort(
      activations.begin(), activations.end(),
      [](const TensorQuant* a, const TensorQuant* b) { return cut_share(*a) > cut_share(*b); });
  report.histograms.clear();
  for (const TensorQuant* t : activations) {
    if (report.histograms.size() >= kMostHistograms) break;
    const Histogram& h = statistics.impl().tensor(t->tensor).histogram;
    if (!h.empty()) report.histograms.push_back(thinned(t->tensor, h, t->chosen));
  }
}

}  // namespace lapidary
