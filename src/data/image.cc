#include "src/data/image.h"

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

void check_picture_size(int64_t height, int64_t width) {
  if (height <= 0 || width <= 0) fail_invalid("a picture of {} x {} pixels", width, height);
  if (height > kMaxPixels / width)
    fail(ErrorCode::kResource, "a picture of {} x {} pixels; at most {} pixels are decoded", width,
         height, kMaxPixels);
}

Image to_gray(const Image& rgb) {
  Image out(rgb.height, rgb.width, 1);
  const uint8_t* p = rgb.pixels.data();
  for (uint8_t& y : out.pixels) {
    y = static_cast<uint8_t>((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 0x8000u) >> 16);
    p += 3;
  }
  return out;
}

Image to_rgb(const Image& gray) {
  Image out(gray.height, gray.width, 3);
  uint8_t* p = out.pixels.data();
  for (uint8_t y : gray.pixels) {
    p[0] = p[1] = p[2] = y;
    p += 3;
  }
  return out;
}

Image decode_image(std::string_view file, int64_t channels, DecodeNotes* notes) {
  Image image;
  if (file.starts_with("\xFF\xD8\xFF")) {
    image = decode_jpeg(file, notes);
  } else if (file.starts_with("\x89PNG\r\n\x1A\n")) {
    image = decode_png(file);
  } else if (file.empty()) {
    fail_invalid("the file is empty");
  } else {
    fail_invalid("neither JPEG nor PNG (it starts with '{}')", printable(file.substr(0, 8)));
  }
  if (image.channels == channels) return image;
  return channels == 1 ? to_gray(image) : to_rgb(image);
}

}  // namespace lapidary
