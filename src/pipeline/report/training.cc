#include <algorithm>
#include <cmath>

#include "src/pipeline/report/format.h"
#include "src/pipeline/report/rows.h"

namespace lapidary {

namespace {

/// What any epoch was measured in, in the order of the metric table.
std::vector<const MetricDef*> epoch_metrics(const TrainingRecord& t) {
  std::vector<const MetricDef*> out;
  for (const MetricDef* def : all_metrics())
    if (std::any_of(t.log.epochs.begin(), t.log.epochs.end(),
                    [&](const FitEpoch& e) { return e.metrics.contains(std::string(def->name)); }))
      out.push_back(def);
  return out;
}

std::string share_text(double share) {
  return std::isnan(share) ? "" : fmt::format("{:.2f} %", 100 * share);
}

std::string measured_text(const TrainingRecord& t, const FitEpoch& epoch,
                          const std::vector<const MetricDef*>& metrics) {
  std::vector<std::string> parts;
  for (const MetricDef* m : metrics)
    if (const auto found = epoch.metrics.find(std::string(m->name)); found != epoch.metrics.end())
      parts.push_back(fmt::format("{} {}", m->name, metric_text(*m, found->second)));
  if (epoch.epoch == t.best_epoch && !t.measured_on.empty()) parts.emplace_back("best");
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

ReportTable training_table(const Report& r) {
  ReportTable t{"Training",
                {"step", "epoch", "measured", "steps", "lr", "loss", "training accuracy",
                 "images/s", "seconds"},
                {},
                3};
  for (const TrainingRecord& record : r.trainings) {
    const auto metrics = epoch_metrics(record);
    for (const FitEpoch& e : record.log.epochs)
      t.rows.push_back({record.step, std::to_string(e.epoch + 1), measured_text(record, e, metrics),
                        std::to_string(e.step), fmt::format("{:.3g}", e.lr),
                        fmt::format("{:.4f}", e.loss), share_text(e.accuracy),
                        fmt::format("{:.0f}", e.images_per_second),
                        fmt::format("{:.1f}", e.seconds)});
  }
  for (const TrainingRecord& record : r.trainings) {
    if (!t.note.empty()) t.note += " ";
    t.note += fmt::format("{}: {} steps of {} samples, {} tensors; ", record.step, record.steps,
                          record.batch, record.parameters);
    t.note += record.interrupted ? "stopped after a checkpoint, without a result"
                                 : fmt::format("the result is of the {} epoch", record.kept);
    if (!record.measured_on.empty())
      t.note += fmt::format(", measured on `{}` data", record.measured_on);
    if (!record.best_file.empty())
      t.note += fmt::format(", the best one's is {}", record.best_file);
    if (record.stopped_early) t.note += "; it stopped early, for no epoch was better";
    t.note += ".";
  }
  return t;
}

std::vector<Curve> loss_curves(const TrainingRecord& t) {
  Curve loss{"loss", {}};
  for (const FitInterval& x : t.log.intervals)
    loss.points.emplace_back(static_cast<double>(x.step), x.loss);
  if (loss.points.size() < 2) {
    loss.points.clear();
    for (const FitEpoch& e : t.log.epochs)
      loss.points.emplace_back(static_cast<double>(e.step), e.loss);
  }
  return {loss};
}

std::vector<Curve> accuracy_curves(const TrainingRecord& t) {
  std::vector<Curve> out = {{"training", {}}};
  const bool few = t.log.intervals.size() < 2;
  const auto add = [&](const FitInterval& x) {
    if (!std::isnan(x.accuracy))
      out[0].points.emplace_back(static_cast<double>(x.step), 100 * x.accuracy);
  };
  for (const FitInterval& x : t.log.intervals)
    if (!few) add(x);
  for (const FitEpoch& e : t.log.epochs)
    if (few) add(e);
  for (const MetricDef* m : epoch_metrics(t)) {
    if (!m->is_share()) continue;
    Curve curve{fmt::format("{} ({})", m->name, t.measured_on), {}};
    for (const FitEpoch& e : t.log.epochs)
      if (const auto found = e.metrics.find(std::string(m->name));
          found != e.metrics.end() && std::isfinite(found->second))
        curve.points.emplace_back(static_cast<double>(e.step), found->second * m->points);
    out.push_back(std::move(curve));
  }
  std::erase_if(out, [](const Curve& curve) { return curve.points.empty(); });
  return out;
}

}  // namespace lapidary
