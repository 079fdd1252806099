#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/data.h"
#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/log.h"

namespace lapidary {

/// The reals that a tensor's integers must cover; low <= 0 <= high is not required here.
struct Range {
  double low = 0, high = 0;
  bool operator==(const Range&) const = default;
};

/// What calibration saw of a graph's float tensors: a versioned container bound to the graph's
/// hash. Per tensor: element count, min and max per chunk of sample indices, a growing histogram
/// (bin width a power of two, anchored at 0: merging is integer addition, so the result depends
/// neither on order nor on threads), range and sum per channel; per node that sums over windows
/// (convolutions) the sum of each tap of its input. Memory: tensors x bins, whatever the number of
/// samples.
class LAPIDARY_API Statistics {
 public:
  Statistics();
  ~Statistics();
  Statistics(const Statistics&);
  Statistics(Statistics&&) noexcept;
  Statistics& operator=(const Statistics&);
  Statistics& operator=(Statistics&&) noexcept;

  /// Throws Error{kInvalid} for a damaged or newer file, Error{kIo}.
  static Statistics load(const std::filesystem::path& path);
  void save(const std::filesystem::path& path) const;
  /// Adds what another run saw of other samples of the same graph. Throws Error{kInvalid} for
  /// another graph, or where both saw the same samples of the same data, whatever `skip` and
  /// `limit` picked them.
  void merge(const Statistics& other);

  int64_t samples() const;
  std::vector<std::string> tensors() const;
  bool has(const std::string& tensor) const;
  std::pair<double, double> min_max(const std::string& tensor) const;
  const std::string& graph_hash() const;
  const std::string& data_hash() const;
  /// SHA-256 of the serialized container.
  std::string sha256() const;

  class Impl;  // src and calibrate/ only
  const Impl& impl() const { return *impl_; }
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

struct CalibrateOptions {
  int64_t samples = 0;  ///< the first so many of the dataset; 0: all
  int64_t batch = 0;    ///< 0: chosen by size
  int threads = 0;
  std::vector<std::string> tensors;  ///< empty: every float tensor that quantization may ask for
  bool allow_nonfinite = false;      ///< skip samples that make NaN, Inf or sums beyond 2^48
  /// A statistics file to continue from (its samples are not seen again) and to write to now and
  /// then; of all tensors.
  std::filesystem::path checkpoint = {};
  LogSink log = {};
};

/// One streaming pass. Throws Error{kUsage} for an empty dataset, Error{kInvalid} naming tensor and
/// sample where a value is not finite.
LAPIDARY_API Statistics calibrate(const Graph& graph, const Dataset& data,
                                  const CalibrateOptions& options = {});

struct ReestimateOptions {
  int64_t samples = 1024;  ///< spread over the dataset; 0: all
  int64_t batch = 0;       ///< 0: chosen by size
  int threads = 0;
  LogSink log = {};
};

/// Sets the running mean and variance of every BatchNormalization to those of its input over the
/// samples (Izmailov et al. 2018), exactly: the input is what the graph computes in inference, with
/// the statistics found before it, so that the samples run once for each BatchNormalization on the
/// longest way. Returns how many there are. Constants that other nodes read as
/// their parameters are left to them. Throws
/// Error{kUsage} for an empty dataset, Error{kUnsupported} for nodes in training mode or without
/// constant statistics, Error{kInvalid} where an input is not finite.
LAPIDARY_API int64_t reestimate_batchnorm(Graph& graph, const Dataset& data,
                                          const ReestimateOptions& options = {});

struct CalibratorInfo {
  std::string name, help;
};
/// The calibrator that is used where none is named.
inline constexpr const char* kDefaultCalibrator = "mse_guarded";
/// minmax, moving_average, percentile, mse, mse_guarded, entropy, auto.
LAPIDARY_API std::vector<CalibratorInfo> list_calibrators();

}  // namespace lapidary
