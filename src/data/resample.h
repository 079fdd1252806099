#pragma once

#include "src/data/image.h"

namespace lapidary {

enum class Filter { kNearest, kBilinear, kBicubic };

/// A rectangle of a picture.
struct Window {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

/// The part `window` of `image` resized to height x width, with the bits of PIL's Image.resize:
/// bilinear and bicubic (a = -0.5) are antialiased convolutions whose support grows with the
/// reduction, first along rows, then along columns, with 22-bit weights and 8-bit values between;
/// nearest takes the source pixel under the centre. Only what the window needs is computed.
Image resize(const Image& image, int64_t height, int64_t width, Filter filter, Window window);
Image resize(const Image& image, int64_t height, int64_t width, Filter filter);

}  // namespace lapidary
