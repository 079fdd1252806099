#include "src/fit/progress.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "src/base/fail.h"

namespace lapidary {

namespace {

using nlohmann::json;

/// One list of members for both directions.
class Writer {
 public:
  void number(const char* key, double value) {
    if (std::isfinite(value))
      out[key] = value;
    else
      out[key] = nullptr;
  }
  void number(const char* key, int64_t value) { out[key] = value; }
  void number(const char* key, bool value) { out[key] = value; }
  json out = json::object();
};

class Reader {
 public:
  explicit Reader(const json& from) : from_(from) {}
  void number(const char* key, double& value) {
    const json& found = from_.at(key);
    value = found.is_null() ? kNotKnown : found.get<double>();
  }
  void number(const char* key, int64_t& value) { value = from_.at(key).get<int64_t>(); }
  void number(const char* key, bool& value) { value = from_.at(key).get<bool>(); }

 private:
  const json& from_;
};

template <class Visitor, class Interval>
void visit_interval(Visitor& v, Interval& x) {
  v.number("epoch", x.epoch);
  v.number("step", x.step);
  v.number("lr", x.lr);
  v.number("loss", x.loss);
  v.number("accuracy", x.accuracy);
  v.number("images_per_second", x.images_per_second);
}

template <class Visitor, class Epoch>
void visit_epoch(Visitor& v, Epoch& x) {
  visit_interval(v, x);
  v.number("best", x.best);
  v.number("seconds", x.seconds);
}

template <class Visitor, class Sums>
void visit_sums(Visitor& v, Sums& x) {
  v.number("steps", x.steps);
  v.number("samples", x.samples);
  v.number("judged", x.judged);
  v.number("loss", x.loss);
  v.number("correct", x.correct);
  v.number("seconds", x.seconds);
}

template <class Visitor, class Progress>
void visit_progress(Visitor& v, Progress& x) {
  v.number("epoch", x.epoch);
  v.number("in_epoch", x.in_epoch);
  v.number("step", x.step);
  v.number("best_epoch", x.best_epoch);
  v.number("best_metric", x.best_metric);
  v.number("stale", x.stale);
  v.number("finished", x.finished);
  v.number("stopped_early", x.stopped_early);
}

json write_sums(const StepSums& sums) {
  Writer writer;
  visit_sums(writer, sums);
  return writer.out;
}

StepSums read_sums(const json& from) {
  StepSums out;
  Reader reader(from);
  visit_sums(reader, out);
  return out;
}

json write_epoch(const FitEpoch& epoch) {
  Writer writer, metrics;
  visit_epoch(writer, epoch);
  for (const auto& [name, value] : epoch.metrics) metrics.number(name.c_str(), value);
  writer.out["metrics"] = metrics.out;
  return writer.out;
}

FitEpoch read_epoch(const json& from) {
  FitEpoch out;
  Reader reader(from);
  visit_epoch(reader, out);
  for (const auto& [name, value] : from.at("metrics").items())
    out.metrics[name] = value.is_null() ? kNotKnown : value.get<double>();
  return out;
}

}  // namespace

void thin(std::vector<FitInterval>& intervals) {
  constexpr size_t kMost = 4096;
  if (intervals.size() <= kMost) return;
  std::vector<FitInterval> out;
  for (size_t i = 0; i + 1 < intervals.size(); i += 2) {
    const FitInterval &a = intervals[i], &b = intervals[i + 1];
    FitInterval joined = b;
    joined.loss = (a.loss + b.loss) / 2;
    joined.accuracy = (a.accuracy + b.accuracy) / 2;
    joined.images_per_second = (a.images_per_second + b.images_per_second) / 2;
    out.push_back(joined);
  }
  if (intervals.size() % 2 == 1) out.push_back(intervals.back());
  intervals = std::move(out);
}

std::string write_progress(const FitProgress& progress) {
  Writer writer;
  visit_progress(writer, progress);
  json& out = writer.out;
  out["epoch_sums"] = write_sums(progress.epoch_sums);
  out["interval_sums"] = write_sums(progress.interval_sums);
  out["intervals"] = json::array();
  for (const FitInterval& interval : progress.log.intervals) {
    Writer one;
    visit_interval(one, interval);
    out["intervals"].push_back(one.out);
  }
  out["epochs"] = json::array();
  for (const FitEpoch& epoch : progress.log.epochs) out["epochs"].push_back(write_epoch(epoch));
  return out.dump();
}

FitProgress read_progress(const std::string& text) {
  try {
    const json from = json::parse(text);
    FitProgress out;
    Reader reader(from);
    visit_progress(reader, out);
    out.epoch_sums = read_sums(from.at("epoch_sums"));
    out.interval_sums = read_sums(from.at("interval_sums"));
    for (const json& one : from.at("intervals")) {
      Reader interval(one);
      visit_interval(interval, out.log.intervals.emplace_back());
    }
    for (const json& one : from.at("epochs")) out.log.epochs.push_back(read_epoch(one));
    return out;
  } catch (const json::exception& error) {
    fail_invalid("the checkpoint's progress cannot be read: {}", error.what());
  }
}

}  // namespace lapidary
