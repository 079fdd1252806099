#pragma once

#include <span>
#include <string>
#include <string_view>

#include "calibrate/statistics.h"
#include "src/base/params.h"

namespace lapidary {

/// What clipping errors count against rounding errors where both are weighed (measured: 2 to 8 are
/// about as good, on residual networks 1 and 16 lose up to 0.7 dB).
inline constexpr double kClipWeight = 4;

/// What observers may be told.
struct ObserverParams {
  double percentile = 99.99;  ///< percent of the values that stay inside
  double momentum = 0.1;      ///< weight of a new chunk in the moving average
};
/// The same as fields of a struct that has them among its own.
template <class P>
std::vector<Field> observer_fields(double P::*percentile, double P::*momentum) {
  return {field("percentile", percentile,
                "Of the percentile calibrator: percent of the values that stay inside the range")
              .range(50, 100),
          field("momentum", momentum,
                "Of the moving_average calibrator: the weight of a new chunk of samples")
              .range(1e-6, 1)};
}
/// Throws Error{kUsage} for a value out of its field's range.
void check_params(const ObserverParams& params);

/// Where a range will be used: the grid of integers that must cover it.
struct Grid {
  int levels = 256;        ///< integers, qmax - qmin + 1
  bool symmetric = false;  ///< low = -high around zero point 0
};

/// What an observer looks at of a tensor's statistics; each includes those before it.
enum class Reads { kRange, kChunks, kHistogram };

/// A way to choose a range: one file in observers/, one row in observers.def.
struct Observer {
  std::string_view name;
  Reads reads;
  bool searches_error;  ///< looks for the least error: may look at two tensors together
  std::string_view help;
  Range (*range)(const TensorStats&, const Grid&, const ObserverParams&);
};
std::span<const Observer> all_observers();
/// Throws Error{kUsage} with the closest names.
const Observer& find_observer(std::string_view name);

/// The calibrator that is no observer but chooses among all of them.
inline constexpr std::string_view kAutoCalibrator = "auto";
struct CalibratorNeeds {
  Reads reads;
  bool searches_error;
};
/// Of an observer, or of kAutoCalibrator: the most that any has. Throws as find_observer does.
CalibratorNeeds calibrator_needs(std::string_view name);

/// Mean squared error of values rounded to a grid over `range`, the histogram's bins standing for
/// their middles and its zeros for exact zeros: E[(Q(x) - x)^2] with
///   s = (high - low) / (levels - 1), z = rint(-low / s), Q(x) = s * (clamp(rint(x / s) + z, 0,
///   levels - 1) - z).
/// Errors of values that are clipped count `clip_weight` times.
double histogram_error(const Histogram& histogram, const Range& range, const Grid& grid,
                       double clip_weight = 1);

/// min and max, zero included.
Range seen_range(const TensorStats& stats);

}  // namespace lapidary
