#include "calibrate/observer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "src/base/text.h"

namespace lapidary {

#define LAPIDARY_OBSERVER(name, function, reads, searches_error, help) \
  Range function(const TensorStats&, const Grid&, const ObserverParams&);
#include "calibrate/observers.def"
#undef LAPIDARY_OBSERVER

namespace {

constexpr Observer kObservers[] = {
#define LAPIDARY_OBSERVER(name, function, reads, searches_error, help) \
  {name, Reads::reads, searches_error, help, function},
#include "calibrate/observers.def"
#undef LAPIDARY_OBSERVER
};

}  // namespace

std::span<const Observer> all_observers() { return kObservers; }

const Observer& find_observer(std::string_view name) {
  std::vector<std::string> names;
  for (const Observer& observer : kObservers) {
    if (observer.name == name) return observer;
    names.emplace_back(observer.name);
  }
  fail_usage("no calibrator is called '{}'{}", printable(name), did_you_mean(name, names));
}

CalibratorNeeds calibrator_needs(std::string_view name) {
  if (name != kAutoCalibrator) {
    const Observer& observer = find_observer(name);
    return {observer.reads, observer.searches_error};
  }
  CalibratorNeeds most{Reads::kRange, false};
  for (const Observer& observer : kObservers)
    most = {std::max(most.reads, observer.reads), most.searches_error || observer.searches_error};
  return most;
}

std::vector<CalibratorInfo> list_calibrators() {
  std::vector<CalibratorInfo> list;
  for (const Observer& observer : kObservers)
    list.push_back({std::string(observer.name), std::string(observer.help)});
  list.push_back(
      {std::string(kAutoCalibrator),
       fmt::format("per tensor, {} unless another calibrator's error in the outputs of the nodes "
                   "that read it is less than half as large, measured on 16 samples (without "
                   "samples: the least error in the histogram)",
                   kDefaultCalibrator)});
  return list;
}

void check_params(const ObserverParams& params) {
  static const FieldTable table = {
      "calibrator", observer_fields(&ObserverParams::percentile, &ObserverParams::momentum)};
  ObserverParams read;
  bind(table, unbind(table, &params), &read);
}

namespace {

/// Round half to even of |x| < 2^22: the adder does it.
float round_even(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

}  // namespace

Range seen_range(const TensorStats& stats) {
  return {std::min<double>(stats.min, 0), std::max<double>(stats.max, 0)};
}

double histogram_error(const Histogram& histogram, const Range& range, const Grid& grid,
                       double clip_weight) {
  const double low = grid.symmetric ? -std::max(-range.low, range.high) : range.low;
  const double high = grid.symmetric ? -low : range.high;
  const int steps = grid.symmetric ? (grid.levels - 1) / 2 * 2 : grid.levels - 1;
  if (!(high > low)) return 0;
  const auto scale = static_cast<float>((high - low) / steps);
  const float zero = round_even(static_cast<float>(-low / scale));
  const float inverse = 1 / scale, least = -zero, most = static_cast<float>(steps) - zero;
  const auto width = static_cast<float>(histogram.width());
  const auto start = static_cast<float>(histogram.middle(0));
  const int64_t zero_bin = -histogram.first;
  double error = 0, count = 0;
  for (int64_t i = 0; i < histogram.bins(); ++i) {
    auto n = static_cast<double>(histogram.counts[static_cast<size_t>(i)]);
    count += n;
    if (i == zero_bin) n -= static_cast<double>(histogram.zeros);
    const float x = start + width * static_cast<float>(i);
    const float d = round_even(std::min(std::max(x * inverse, least), most)) * scale - x;
    if (x * inverse < least - 0.5f || x * inverse > most + 0.5f) n *= clip_weight;
    error += n * static_cast<double>(d * d);
  }
  return count > 0 ? error / count : 0;
}

}  // namespace lapidary
