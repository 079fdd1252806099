// The statistics container, version 2. Integers little-endian.
//   8 bytes  "LAPSTATS"
//   u32      version
//   u64      length of the manifest in bytes
//   manifest JSON: hashes, sample intervals, and for every tensor and node what the payload holds
//   payload  in manifest order. Per tensor: f32 min, max; bins as LEB128; per source its chunk
//   ranges
//            (f32 low, high); f32 channel lows, channel highs. Per node: columns x (u64 low, i64
//            high).
//   32 bytes SHA-256 of everything before
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "calibrate/statistics.h"
#include "src/base/fail.h"
#include "src/base/sha256.h"

namespace lapidary {

namespace {

using nlohmann::json;
static_assert(std::endian::native == std::endian::little, "the container is written as it lies");

constexpr char kMagic[8] = {'L', 'A', 'P', 'S', 'T', 'A', 'T', 'S'};
constexpr uint32_t kVersion = 2;
constexpr size_t kHead = 20, kDigest = 32;
constexpr int64_t kMostIndex = int64_t{1} << 24;
constexpr int64_t kMostSample = int64_t{1} << 48;

class Writer {
 public:
  template <class T>
  void put(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) put(static_cast<uint8_t>(value | 0x80));
    put(static_cast<uint8_t>(value));
  }
  std::string bytes;
};

void put_sum(const FixedSum& sum, Writer& out) {
  out.put(sum.low_bits());
  out.put(sum.high_bits());
}

class Reader {
 public:
  Reader(const char* data, size_t size) : at_(data), left_(size) {}
  template <class T>
  T get() {
    if (left_ < sizeof(T)) fail_invalid("statistics file: the payload ends early");
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    left_ -= sizeof value;
    return value;
  }
  uint64_t get_varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = get<uint8_t>();
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (!(byte & 0x80)) return value;
    }
    fail_invalid("statistics file: a count has more than 64 bits");
  }
  /// Fails unless `count` items of at least `bytes` bytes each can still follow: sizes from the
  /// manifest are checked before memory is spent on them.
  size_t room(int64_t count, size_t bytes) const {
    if (count < 0 || static_cast<uint64_t>(count) > left_ / bytes)
      fail_invalid("statistics file: {} items are announced, {} bytes are left", count, left_);
    return static_cast<size_t>(count);
  }
  size_t left() const { return left_; }

 private:
  const char* at_;
  size_t left_;
};

json describe(const TensorStats& t) {
  json chunks = json::object();
  for (const auto& [source, series] : t.chunks)
    chunks[source] = {
        {"size", series.size}, {"first", series.first}, {"count", series.ranges.size()}};
  return {{"count", t.count},
          {"histogram",
           {{"exponent", t.histogram.exponent},
            {"first", t.histogram.first},
            {"bins", t.histogram.bins()},
            {"zeros", t.histogram.zeros}}},
          {"chunks", chunks},
          {"channel_axis", t.channel_axis},
          {"channels", t.channel_low.size()}};
}

void write_tensor(const TensorStats& t, Writer& out) {
  out.put(t.min);
  out.put(t.max);
  for (const uint64_t count : t.histogram.counts) out.put_varint(count);
  for (const auto& [source, series] : t.chunks)
    for (const auto& [low, high] : series.ranges) {
      out.put(low);
      out.put(high);
    }
  for (const float low : t.channel_low) out.put(low);
  for (const float high : t.channel_high) out.put(high);
  for (const FixedSum& sum : t.channel_sums) put_sum(sum, out);
}

FixedSum get_sum(Reader& in) {
  const auto low = in.get<uint64_t>();
  return FixedSum::from_bits(low, in.get<int64_t>());
}

void read_histogram(const json& j, Reader& in, Histogram& h) {
  h.exponent = j.at("exponent").get<int>();
  h.first = j.at("first").get<int64_t>();
  h.zeros = j.at("zeros").get<uint64_t>();
  const auto bins = j.at("bins").get<int64_t>();
  if (h.exponent < Histogram::kMinExponent || h.exponent > 127 || bins > Histogram::kMaxBins ||
      h.first < -kMostIndex || h.first > kMostIndex)
    fail_invalid("statistics file: no histogram has exponent {}, first bin {} and {} bins",
                 h.exponent, h.first, bins);
  h.counts.resize(in.room(bins, 1));
  for (uint64_t& count : h.counts) count = in.get_varint();
}

SampleSet read_samples(const json& j) {
  SampleSet set;
  for (const auto& [begin, end] : j.get<decltype(SampleSet::intervals)>()) {
    if (begin < 0 || end <= begin)
      fail_invalid("statistics file: samples from {} up to {}", begin, end);
    set.add(begin, end);
  }
  return set;
}

TensorStats read_tensor(const json& j, Reader& in) {
  TensorStats t;
  t.count = j.at("count").get<uint64_t>();
  t.min = in.get<float>();
  t.max = in.get<float>();
  read_histogram(j.at("histogram"), in, t.histogram);
  for (const auto& [source, c] : j.at("chunks").items()) {
    ChunkSeries& series = t.chunks[source];
    series.size = c.at("size").get<int64_t>();
    series.first = c.at("first").get<int64_t>();
    const auto count = c.at("count").get<int64_t>();
    if (series.size < 1 || !std::has_single_bit(static_cast<uint64_t>(series.size)) ||
        count > ChunkSeries::kMax || series.first < 0 || series.first > kMostSample / series.size)
      fail_invalid("statistics file: {} chunks of {} samples from chunk {} on", count, series.size,
                   series.first);
    series.ranges.resize(in.room(count, 8));
    for (auto& [low, high] : series.ranges) {
      low = in.get<float>();
      high = in.get<float>();
    }
  }
  if (!t.histogram.empty() && t.histogram.total() != t.count)
    fail_invalid("statistics file: {} values counted in a histogram of {}", t.count,
                 t.histogram.total());
  t.channel_axis = j.at("channel_axis").get<int64_t>();
  const size_t channels = in.room(j.at("channels").get<int64_t>(), 24);
  t.channel_low.resize(channels);
  t.channel_high.resize(channels);
  for (float& low : t.channel_low) low = in.get<float>();
  for (float& high : t.channel_high) high = in.get<float>();
  t.channel_sums.resize(channels);
  for (FixedSum& sum : t.channel_sums) sum = get_sum(in);
  return t;
}

/// Checks magic, version and digest; returns the manifest's length.
uint64_t check_envelope(const std::string& bytes) {
  if (bytes.size() < kHead + kDigest || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    fail_invalid("not a statistics file of Lapidary (it does not begin with LAPSTATS)");
  uint32_t version;
  uint64_t manifest;
  std::memcpy(&version, bytes.data() + 8, sizeof version);
  std::memcpy(&manifest, bytes.data() + 12, sizeof manifest);
  if (version != kVersion)
    fail_invalid(
        "statistics file of format version {}; this build reads version {}: calibrate again",
        version, kVersion);
  Sha256 sha;
  sha.update(bytes.data(), bytes.size() - kDigest);
  const auto digest = sha.digest();
  if (std::memcmp(digest.data(), bytes.data() + bytes.size() - kDigest, kDigest) != 0)
    fail_invalid("statistics file is damaged: its checksum does not match its content");
  if (manifest > bytes.size() - kHead - kDigest)
    fail_invalid("statistics file: the manifest is longer than the file");
  return manifest;
}

}  // namespace

std::string Statistics::Impl::serialize() const {
  Writer payload;
  json manifest = {{"graph", graph_hash}, {"data", data_hash}};
  json& seen = manifest["samples"] = json::object();
  for (const auto& [hash, set] : sources) seen[hash] = set.intervals;
  json& tensor_list = manifest["tensors"] = json::array();
  for (const auto& [name, stats] : tensors) {
    json entry = describe(stats);
    entry["name"] = name;
    tensor_list.push_back(std::move(entry));
    write_tensor(stats, payload);
  }
  json& node_list = manifest["nodes"] = json::array();
  for (const auto& [key, stats] : windows) {
    node_list.push_back(
        {{"name", key}, {"positions", stats.positions}, {"columns", stats.sums.size()}});
    for (const FixedSum& sum : stats.sums) put_sum(sum, payload);
  }
  const std::string text = manifest.dump(-1, ' ', false, json::error_handler_t::replace);
  Writer out;
  out.bytes.append(kMagic, sizeof kMagic);
  out.put(kVersion);
  out.put(static_cast<uint64_t>(text.size()));
  out.bytes += text;
  out.bytes += payload.bytes;
  Sha256 sha;
  sha.update(out.bytes);
  const auto digest = sha.digest();
  out.bytes.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return std::move(out.bytes);
}

Statistics::Impl Statistics::Impl::parse(const std::string& bytes) {
  const uint64_t length = check_envelope(bytes);
  const char* text = bytes.data() + kHead;
  Reader in(text + length, bytes.size() - kHead - length - kDigest);
  Impl out;
  try {
    const json manifest = json::parse(text, text + length);
    out.graph_hash = manifest.at("graph").get<std::string>();
    out.data_hash = manifest.at("data").get<std::string>();
    for (const auto& [hash, intervals] : manifest.at("samples").items())
      out.sources[hash] = read_samples(intervals);
    for (const json& entry : manifest.at("tensors"))
      out.tensors[entry.at("name").get<std::string>()] = read_tensor(entry, in);
    for (const json& entry : manifest.at("nodes")) {
      WindowStats& stats = out.windows[entry.at("name").get<std::string>()];
      stats.positions = entry.at("positions").get<int64_t>();
      stats.sums.resize(in.room(entry.at("columns").get<int64_t>(), 16));
      for (FixedSum& sum : stats.sums) sum = get_sum(in);
    }
  } catch (const json::exception& error) {
    fail_invalid("statistics file: manifest: {}", error.what());
  }
  if (in.left() != 0) fail_invalid("statistics file: {} bytes follow the payload", in.left());
  return out;
}

}  // namespace lapidary
