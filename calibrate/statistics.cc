#include "calibrate/statistics.h"

#include <algorithm>
#include <limits>

#include "src/base/fail.h"
#include "src/base/file.h"
#include "src/base/sha256.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::pair<float, float> kNothing = {kInfinity, -kInfinity};

void widen(std::pair<float, float>& range, float low, float high) {
  range.first = std::min(range.first, low);
  range.second = std::max(range.second, high);
}

}  // namespace

void ChunkSeries::coarsen() {
  std::vector<std::pair<float, float>> wide(static_cast<size_t>(last() / 2 - first / 2 + 1),
                                            kNothing);
  for (size_t i = 0; i < ranges.size(); ++i)
    widen(wide[static_cast<size_t>((first + static_cast<int64_t>(i)) / 2 - first / 2)],
          ranges[i].first, ranges[i].second);
  ranges = std::move(wide);
  first /= 2;
  size *= 2;
}

void ChunkSeries::extend(int64_t to_first, int64_t to_last) {
  ranges.insert(ranges.begin(), static_cast<size_t>(first - to_first), kNothing);
  first = to_first;
  ranges.resize(static_cast<size_t>(to_last - to_first + 1), kNothing);
}

void ChunkSeries::add(int64_t sample, float low, float high) {
  merge({.size = 1, .first = sample, .ranges = {{low, high}}});
}

void ChunkSeries::merge(const ChunkSeries& other) {
  if (other.ranges.empty()) return;
  if (ranges.empty()) {
    *this = other;
    return;
  }
  ChunkSeries right = other;
  const auto spread = [&] {
    return std::max(last(), right.last()) - std::min(first, right.first) + 1;
  };
  while (size != right.size || spread() > kMax) {
    const bool mine = size <= right.size, its = right.size <= size;
    if (mine) coarsen();
    if (its) right.coarsen();
  }
  extend(std::min(first, right.first), std::max(last(), right.last()));
  for (size_t i = 0; i < right.ranges.size(); ++i)
    widen(ranges[static_cast<size_t>(right.first - first) + i], right.ranges[i].first,
          right.ranges[i].second);
}

bool SampleSet::contains(int64_t index) const { return common({{{index, index + 1}}}) >= 0; }

void SampleSet::add(int64_t begin, int64_t end) {
  intervals.emplace_back(begin, end);
  std::sort(intervals.begin(), intervals.end());
  std::vector<std::pair<int64_t, int64_t>> joined;
  for (const auto& interval : intervals) {
    if (!joined.empty() && interval.first <= joined.back().second)
      joined.back().second = std::max(joined.back().second, interval.second);
    else
      joined.push_back(interval);
  }
  intervals = std::move(joined);
}

int64_t SampleSet::common(const SampleSet& other) const {
  for (size_t i = 0, j = 0; i < intervals.size() && j < other.intervals.size();) {
    const int64_t begin = std::max(intervals[i].first, other.intervals[j].first);
    if (begin < std::min(intervals[i].second, other.intervals[j].second)) return begin;
    if (intervals[i].second <= other.intervals[j].second)
      ++i;
    else
      ++j;
  }
  return -1;
}

int64_t SampleSet::size() const {
  int64_t total = 0;
  for (const auto& [begin, end] : intervals) total += end - begin;
  return total;
}

void TensorStats::merge(const TensorStats& other) {
  if (other.count == 0) return;
  if (count == 0) {
    *this = other;
    return;
  }
  if (channel_axis != other.channel_axis || channel_low.size() != other.channel_low.size())
    fail_invalid("channel axes or counts differ ({} channels and {})", channel_low.size(),
                 other.channel_low.size());
  count += other.count;
  min = std::min(min, other.min);
  max = std::max(max, other.max);
  histogram.merge(other.histogram);
  for (const auto& [source, series] : other.chunks) {
    const auto [at, fresh] = chunks.try_emplace(source, series);
    if (!fresh) at->second.merge(series);
  }
  for (size_t c = 0; c < channel_low.size(); ++c) {
    channel_low[c] = std::min(channel_low[c], other.channel_low[c]);
    channel_high[c] = std::max(channel_high[c], other.channel_high[c]);
    channel_sums[c].add(other.channel_sums[c]);
  }
}

void WindowStats::merge(const WindowStats& other) {
  if (sums.empty()) {
    *this = other;
    return;
  }
  if (other.sums.empty()) return;
  if (sums.size() != other.sums.size())
    fail_invalid("window sums of {} and of {} columns", sums.size(), other.sums.size());
  positions += other.positions;
  for (size_t k = 0; k < sums.size(); ++k) sums[k].add(other.sums[k]);
}

const TensorStats& Statistics::Impl::tensor(const std::string& name) const {
  const auto at = tensors.find(name);
  if (at != tensors.end()) return at->second;
  std::vector<std::string> names;
  for (const auto& [key, value] : tensors) names.push_back(key);
  fail_usage("the statistics hold no tensor '{}'{}", printable(name), did_you_mean(name, names));
}

int64_t Statistics::Impl::samples() const {
  int64_t total = 0;
  for (const auto& [hash, set] : sources) total += set.size();
  return total;
}

void Statistics::Impl::merge(const Impl& other) {
  if (graph_hash != other.graph_hash)
    fail_invalid("statistics of two graphs do not merge (graph hash {} and {})",
                 graph_hash.substr(0, 12), other.graph_hash.substr(0, 12));
  for (const auto& [hash, set] : other.sources) {
    const auto mine = sources.find(hash);
    const int64_t twice = mine == sources.end() ? -1 : mine->second.common(set);
    if (twice >= 0)
      fail_invalid("both statistics saw sample {} of the same data ({})", twice,
                   hash.substr(0, 12));
  }
  Impl merged = *this;  // a failure below leaves *this as it was
  for (const auto& [hash, set] : other.sources)
    for (const auto& [begin, end] : set.intervals) merged.sources[hash].add(begin, end);
  for (const auto& [name, stats] : other.tensors)
    with_context([&] { return "tensor '" + name + "'"; },
                 [&] { merged.tensors[name].merge(stats); });
  for (const auto& [key, stats] : other.windows)
    with_context([&] { return "node '" + key + "'"; }, [&] { merged.windows[key].merge(stats); });
  merged.refresh_data_hash();
  *this = std::move(merged);
}

void Statistics::Impl::refresh_data_hash() {
  if (sources.size() == 1) {
    data_hash = sources.begin()->first;
    return;
  }
  std::string all;
  for (const auto& [hash, set] : sources) all += hash + "\n";
  data_hash = all.empty() ? "" : sha256_hex(all);
}

Statistics::Statistics() : impl_(std::make_unique<Impl>()) {}
Statistics::~Statistics() = default;
Statistics::Statistics(const Statistics& other) : impl_(std::make_unique<Impl>(*other.impl_)) {}
Statistics::Statistics(Statistics&&) noexcept = default;
Statistics& Statistics::operator=(const Statistics& other) {
  if (this != &other) impl_ = std::make_unique<Impl>(*other.impl_);
  return *this;
}
Statistics& Statistics::operator=(Statistics&&) noexcept = default;

Statistics Statistics::load(const std::filesystem::path& path) {
  return with_context([&] { return path.string(); },
                      [&] {
                        Statistics out;
                        *out.impl_ = Impl::parse(read_file(path.string(), int64_t{1} << 32));
                        return out;
                      });
}

void Statistics::save(const std::filesystem::path& path) const {
  write_file_atomically(path.string(), impl_->serialize());
}

void Statistics::merge(const Statistics& other) { impl_->merge(*other.impl_); }
int64_t Statistics::samples() const { return impl_->samples(); }
bool Statistics::has(const std::string& tensor) const { return impl_->tensors.contains(tensor); }
const std::string& Statistics::graph_hash() const { return impl_->graph_hash; }
const std::string& Statistics::data_hash() const { return impl_->data_hash; }
std::string Statistics::sha256() const { return sha256_hex(impl_->serialize()); }

std::vector<std::string> Statistics::tensors() const {
  std::vector<std::string> names;
  for (const auto& [name, stats] : impl_->tensors) names.push_back(name);
  return names;
}

std::pair<double, double> Statistics::min_max(const std::string& tensor) const {
  const TensorStats& stats = impl_->tensor(tensor);
  return {stats.min, stats.max};
}

}  // namespace lapidary
