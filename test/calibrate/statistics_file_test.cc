#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "calibrate/statistics.h"
#include "src/base/rng.h"
#include "src/base/sha256.h"
#include "test/calibrate/tiny.h"

namespace lapidary {
namespace {

using testing::HasSubstr;

constexpr size_t kDigest = 32;

/// The same bytes under a digest that fits them: what the checksum cannot refuse.
std::string sealed(std::string bytes) {
  Sha256 sha;
  sha.update(bytes.data(), bytes.size() - kDigest);
  const auto digest = sha.digest();
  std::memcpy(bytes.data() + bytes.size() - kDigest, digest.data(), kDigest);
  return bytes;
}

/// Statistics of a net so small that every byte of its file can be tried.
Statistics small_statistics() {
  Graph graph = empty_graph(17);
  GraphBuilder build(graph);
  const ValueId x = build.input("x", DType::kF32, {Dim::named("N"), 3});
  build.output(build.op("Gemm", {x, build.constant("w", ramp({3, 2}))}, {}, "y"));
  infer_types(graph);
  const Tensor samples =
      Tensor::of<float>({4, 3}, {1, 2, 3, 0.5f, -1, 0, 4, 4, 4, -0.25f, 0.125f, 8});
  return calibrate(graph, dataset_of({{"x", samples}}));
}

/// Replaces text of the manifest and corrects its length.
std::string edited(const std::string& bytes, const std::string& from, const std::string& to) {
  std::string out = bytes;
  const size_t at = out.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at == std::string::npos) return out;
  out.replace(at, from.size(), to);
  uint64_t length;
  std::memcpy(&length, out.data() + 12, sizeof length);
  length += to.size() - from.size();
  std::memcpy(out.data() + 12, &length, sizeof length);
  return sealed(out);
}

Caught parse_error(const std::string& bytes) {
  return error_of([&] { Statistics::Impl::parse(bytes); });
}

TEST(StatisticsFile, RoundTripsToTheBit) {
  Statistics stats = calibrate(tiny_net(), tiny_data(40));
  stats.merge(calibrate(tiny_net(), tiny_data(9, 40)));
  const std::string bytes = stats.impl().serialize();
  const auto back = Statistics::Impl::parse(bytes);
  EXPECT_TRUE(back == stats.impl());
  EXPECT_EQ(back.serialize(), bytes);

  const auto path = std::filesystem::path(testing::TempDir()) / "lapidary_round_trip.stats";
  stats.save(path);
  const Statistics loaded = Statistics::load(path);
  EXPECT_TRUE(loaded.impl() == stats.impl());
  EXPECT_EQ(loaded.sha256(), stats.sha256());
  EXPECT_EQ(loaded.sha256(), sha256_hex(bytes));
  std::filesystem::remove(path);
}

TEST(StatisticsFile, IsRefusedAtEveryLength) {
  const std::string bytes = small_statistics().impl().serialize();
  ASSERT_LT(bytes.size(), 4000u);
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(parse_error(bytes.substr(0, size)).code, ErrorCode::kInvalid) << size;
    // Cut before the digest, which is then made to fit.
    if (size < kDigest + 20) continue;
    ASSERT_EQ(parse_error(sealed(bytes.substr(0, size))).code, ErrorCode::kInvalid) << size;
  }
  EXPECT_EQ(parse_error(bytes + "x").code, ErrorCode::kInvalid);
  EXPECT_FALSE(parse_error(bytes).code);
}

TEST(StatisticsFile, AnyChangedByteIsNoticed) {
  const std::string bytes = small_statistics().impl().serialize();
  for (size_t at = 0; at < bytes.size(); ++at)
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string bad = bytes;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      ASSERT_EQ(parse_error(bad).code, ErrorCode::kInvalid) << "byte " << at;
    }
}

TEST(StatisticsFile, ChangedBytesUnderAFittingChecksumNeverCrash) {
  const Statistics whole = small_statistics();
  const std::string bytes = whole.impl().serialize();
  size_t refused = 0, accepted = 0;
  const auto attempt = [&](std::string bad) {
    try {
      Statistics stats;
      stats.impl() = Statistics::Impl::parse(sealed(std::move(bad)));
      // What was accepted can be used: written, merged with itself where that is allowed, read.
      const std::string again = stats.impl().serialize();
      ASSERT_TRUE(Statistics::Impl::parse(again).serialize() == again);
      for (const std::string& name : stats.tensors()) stats.min_max(name);
      Statistics other = whole;
      (void)error_of([&] { other.merge(stats); });
      ++accepted;
    } catch (const Error& error) {
      ASSERT_NE(error.code(), ErrorCode::kInternal) << error.what();
      ++refused;
    }
  };
  for (size_t at = 8; at + kDigest < bytes.size(); ++at)
    for (const char byte : {'\x00', '\x7f', '\xff', '9', '-', '"'}) {
      std::string bad = bytes;
      if (bad[at] == byte) continue;
      bad[at] = byte;
      attempt(std::move(bad));
    }
  Rng rng(5);
  for (int round = 0; round < 2000; ++round) {
    std::string bad = bytes;
    for (int i = 0; i < 3; ++i)
      bad[20 + rng.below(bad.size() - kDigest - 20)] = static_cast<char>(rng.below(256));
    attempt(std::move(bad));
  }
  EXPECT_GT(refused, 1000u);
  EXPECT_GT(accepted, 100u);  // counts, floats and names have no wrong values
}

TEST(StatisticsFile, SaysWhatIsWrong) {
  const std::string bytes = small_statistics().impl().serialize();
  EXPECT_THAT(parse_error("ONNX model, say, or anything that is long enough to hold a digest").text,
              HasSubstr("LAPSTATS"));
  std::string newer = bytes;
  newer[8] = 3;
  EXPECT_THAT(parse_error(sealed(newer)).text, HasSubstr("format version 3"));
  std::string damaged = bytes;
  damaged[40] ^= 1;
  EXPECT_THAT(parse_error(damaged).text, HasSubstr("checksum"));
  EXPECT_THAT(parse_error(edited(bytes, "\"columns\":3", "\"columns\":300000000000")).text,
              HasSubstr("300000000000 items"));
}

TEST(StatisticsFile, NumbersOutOfRangeAreRefused) {
  const std::string bytes = small_statistics().impl().serialize();
  const std::pair<const char*, const char*> edits[] = {
      {"\"first\":", "\"first\":-9223372036854775808,\"x\":"},
      {"\"first\":0,\"size\"", "\"first\":-1,\"size\""},
      {"\"first\":0,\"size\"", "\"first\":9223372036854775807,\"size\""},
      {"\"bins\":", "\"bins\":-1,\"x\":"},
      {"\"bins\":", "\"bins\":2049,\"x\":"},
      {"\"exponent\":", "\"exponent\":4000,\"x\":"},
      {"\"exponent\":", "\"exponent\":\"a\",\"x\":"},
      {"\"size\":1", "\"size\":3"},
      {"\"size\":1", "\"size\":-9223372036854775808"},
      {"\"channels\":3", "\"channels\":-3"},
      {"\"columns\":3", "\"columns\":1152921504606846976"},
      {"[[0,4]]", "[[4,0]]"},
      {"[[0,4]]", "[[-1,4]]"},
      {"[[0,4]]", "[[0,9223372036854775807],[-9223372036854775808,2]]"},
      {"[[0,4]]", "[[0]]"},
      {"\"tensors\":[", "\"tensors\":[3,"},
      {"\"nodes\":[", "\"nodes\":null,\"x\":["},
      {"\"count\":12", "\"count\":11"},
  };
  for (const auto& [from, to] : edits)
    EXPECT_EQ(parse_error(edited(bytes, from, to)).code, ErrorCode::kInvalid) << to;
}

TEST(StatisticsFile, NamesTheFileInItsErrors) {
  const auto path = std::filesystem::path(testing::TempDir()) / "lapidary_no_statistics.stats";
  std::ofstream(path) << "no statistics";
  const Caught caught = error_of([&] { Statistics::load(path); });
  EXPECT_EQ(caught.code, ErrorCode::kInvalid);
  EXPECT_THAT(caught.text, HasSubstr(path.string()));
  std::filesystem::remove(path);
  EXPECT_EQ(error_of([&] { Statistics::load(path); }).code, ErrorCode::kIo);
}

TEST(StatisticsFile, DoesNotGrowWithTheSamples) {
  // The same 64 pictures once and eight times: as many bins, as many chunks.
  Tensor many(DType::kF32, {512, 2, 6, 6});
  const Tensor few = tiny_samples(64);
  for (size_t i = 0; i < 512 * 72; ++i)
    many.mutable_data<float>()[i] = few.data<float>()[i % (64 * 72)];
  const Statistics once = calibrate(tiny_net(), dataset_of({{"x", few}}));
  const Statistics often = calibrate(tiny_net(), dataset_of({{"x", many}}));
  for (const std::string& name : once.tensors()) {
    const TensorStats& a = once.impl().tensor(name);
    const TensorStats& b = often.impl().tensor(name);
    EXPECT_EQ(b.count, 8 * a.count);
    EXPECT_EQ(b.histogram.bins(), a.histogram.bins()) << name;
    EXPECT_EQ(b.histogram.total(), 8 * a.histogram.total()) << name;
    EXPECT_LE(b.histogram.bins(), Histogram::kMaxBins);
    for (const auto& [source, series] : b.chunks) EXPECT_EQ(series.ranges.size(), 64u) << name;
  }
  // Larger counts take longer numbers, no more of them: at most a byte more each.
  EXPECT_LT(often.impl().serialize().size(), 2 * once.impl().serialize().size());
}

}  // namespace
}  // namespace lapidary
