#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace lapidary {

/// Pixels [height, width, channels], one byte each; channels is 1 (gray) or 3 (RGB).
struct Image {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;

  Image() = default;
  Image(int64_t h, int64_t w, int64_t c)
      : height(h), width(w), channels(c), pixels(static_cast<size_t>(h * w * c)) {}
  int64_t row_bytes() const { return width * channels; }
  const uint8_t* row(int64_t y) const { return pixels.data() + y * row_bytes(); }
  uint8_t* row(int64_t y) { return pixels.data() + y * row_bytes(); }
};

/// What a decoder saw and did not act on.
struct DecodeNotes {
  bool rotated = false;  ///< EXIF asks for a rotation or mirroring; pixels are as stored, as PIL's
  bool damaged = false;  ///< a recoverable fault in the compressed data, decoded as PIL does
};

/// Pictures of more pixels throw Error{kResource} before memory is taken for them.
inline constexpr int64_t kMaxPixels = int64_t{1} << 26;

/// Decodes a JPEG or PNG file (told by its first bytes, not its name) to gray or RGB with the pixel
/// values of PIL's `Image.open(f).convert("L" | "RGB")`: alpha is dropped, palettes are expanded.
/// CMYK and 16-bit pictures throw Error{kUnsupported}; a truncated or damaged file Error{kInvalid}.
Image decode_image(std::string_view file, int64_t channels, DecodeNotes* notes = nullptr);

Image decode_jpeg(std::string_view file, DecodeNotes* notes);
Image decode_png(std::string_view file);

/// Throws Error{kResource} over kMaxPixels, Error{kInvalid} where a side is 0.
void check_picture_size(int64_t height, int64_t width);

/// L = (19595 R + 38470 G + 7471 B + 2^15) >> 16, PIL's 16-bit form of ITU-R 601-2 luma.
Image to_gray(const Image& rgb);
Image to_rgb(const Image& gray);

}  // namespace lapidary
