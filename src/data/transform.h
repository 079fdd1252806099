#pragma once

#include <array>
#include <vector>

#include "lapidary/data.h"
#include "src/data/image.h"
#include "src/data/resample.h"

namespace lapidary {

/// A sample as its file stores it.
struct Stored {
  Image image;    ///< pictures
  Tensor tensor;  ///< everything else; empty where `image` is used
  Tensor targets;
  int64_t label = -1;  ///< -1: none, kNoLabel: missing
};

/// Where the pixels of a picture go: it is resized to rows x columns, and that lies at (top, left)
/// of a canvas of height x width. Negative places cut, free parts are filled.
struct Placement {
  int64_t rows = 0, columns = 0;
  int64_t height = 0, width = 0, top = 0, left = 0;
  bool operator==(const Placement&) const = default;
};

/// resize: one number is the shorter side, the longer is floor(size * long / short), as
/// torchvision's; crop: the centre, offsets rounded half to even, a smaller picture padded by floor
/// of half the difference before, as torchvision's; letterbox: see there.
Placement place(const DatasetSpec& spec, int64_t height, int64_t width);

/// What a data record does to each sample of one input. Values, in float32: ((x * scale) - mean) /
/// std.
class Transform {
 public:
  /// `picture`: samples are uint8 pictures; they become float32 unless another type is asked for.
  Transform(const DatasetSpec& spec, const InputRequest& request, bool picture);

  /// Throws Error{kInvalid} where the sample does not fit what was asked.
  Tensor operator()(const Stored& stored) const;
  /// True where scale, mean or std is given.
  bool normalises() const { return normalised_; }
  Layout layout() const { return request_.layout; }
  /// What a stored 0 becomes in each of `channels` channels.
  std::vector<float> zeros(int64_t channels) const;

 private:
  Image arrange(const Image& image) const;
  Tensor finish_image(const Image& image) const;
  Tensor finish_tensor(const Tensor& tensor) const;
  Tensor as_asked(Tensor tensor) const;
  void check_shape(const Tensor& tensor) const;

  DatasetSpec spec_;
  InputRequest request_;
  Filter filter_ = Filter::kBilinear;
  bool normalised_ = false, geometry_ = false, picture_ = false;
  float scale_ = 1;
  std::vector<float> mean_, std_;
};

/// Any numeric tensor as float32 (float64 and integers rounded to nearest).
Tensor to_float32(const Tensor& tensor);

/// Index of the first NaN or infinity of a floating-point tensor, or -1.
int64_t first_nonfinite(const Tensor& tensor);

}  // namespace lapidary
