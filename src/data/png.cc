#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>

#include "src/base/fail.h"
#include "src/data/image.h"

namespace lapidary {

namespace {

/// As in jpeg.cc: libpng's errors come back by longjmp, so functions with a setjmp own nothing.
class PngReader {
 public:
  explicit PngReader(std::string_view file) : rest_(file) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info_ = png_ == nullptr ? nullptr : png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      fail(ErrorCode::kResource, "libpng cannot start: out of memory");
    }
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  Image read() {
    if (!read_header()) fail_png();
    const int64_t height = png_get_image_height(png_, info_);
    const int64_t width = png_get_image_width(png_, info_);
    check_picture_size(height, width);
    if (png_get_bit_depth(png_, info_) == 16)
      fail_unsupported("a 16-bit PNG; convert it to 8 bits a channel");
    const bool color = (png_get_color_type(png_, info_) & PNG_COLOR_MASK_COLOR) != 0;
    Image image(height, width, color ? 3 : 1);
    std::vector<png_bytep> rows;
    for (int64_t y = 0; y < height; ++y) rows.push_back(image.row(y));
    if (!read_rows(rows.data(), static_cast<size_t>(image.row_bytes()))) fail_png();
    return image;
  }

 private:
  [[noreturn]] void fail_png() const { fail_invalid("damaged PNG: {}", message_); }

  bool read_header() {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, this, on_read);
    png_read_info(png_, info_);
    return true;
  }

  /// Palettes to RGB, 1, 2 and 4 bits to 8, alpha dropped; no gamma, as PIL.
  bool read_rows(png_bytepp rows, size_t row_bytes) {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_palette_to_rgb(png_);
    png_set_expand_gray_1_2_4_to_8(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != row_bytes) png_error(png_, "unexpected row size");
    png_read_image(png_, rows);
    return true;
  }

  static void on_read(png_structp png, png_bytep out, size_t bytes) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (bytes > self->rest_.size()) png_error(png, "the file ends in the middle");
    std::memcpy(out, self->rest_.data(), bytes);
    self->rest_.remove_prefix(bytes);
  }
  [[noreturn]] static void on_error(png_structp png, png_const_charp text) {
    auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(self->message_, sizeof self->message_, "%s", text);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}

  std::string_view rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  char message_[200] = {};
};

}  // namespace

Image decode_png(std::string_view file) { return PngReader(file).read(); }

}  // namespace lapidary
