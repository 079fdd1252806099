#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>
// jpeglib.h first: it needs <cstdio>, and jerror.h needs it.
#include <jerror.h>

#include <string>

#include "src/base/fail.h"
#include "src/data/image.h"

namespace lapidary {

namespace {

constexpr int kMaxScans =
    500;  // of a progressive file: far above any encoder's, far below a bomb's
constexpr int kExifMarker = JPEG_APP0 + 1;

/// libjpeg reports through C calls, which no exception may cross: longjmp to the caller's setjmp.
/// Functions with a setjmp hold no object with a destructor.
struct JpegErrors {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  ++info->err->num_warnings;
  // The source manager invents an end marker where the file ends; gray bands would follow.
  if (info->err->msg_code == JWRN_JPEG_EOF) on_error(info);
}

void on_progress(j_common_ptr info) {
  const auto* jpeg = reinterpret_cast<j_decompress_ptr>(info);
  if (jpeg->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  std::snprintf(errors->message, sizeof errors->message, "more than %d scans", kMaxScans);
  std::longjmp(errors->jump, 1);
}

class JpegReader {
 public:
  explicit JpegReader(std::string_view file) {
    jpeg_.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = on_error;
    errors_.manager.emit_message = on_message;
    progress_.progress_monitor = on_progress;
    if (!start(file)) {
      jpeg_destroy_decompress(&jpeg_);
      fail_jpeg();
    }
  }
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  Image read() {
    check_picture_size(jpeg_.image_height, jpeg_.image_width);
    const bool gray = jpeg_.jpeg_color_space == JCS_GRAYSCALE;
    if (!gray && jpeg_.num_components != 3)
      fail_unsupported("a CMYK JPEG ({} components); convert it to RGB", jpeg_.num_components);
    // The defaults are what PIL uses: accurate integer DCT, "fancy" chroma upsampling.
    jpeg_.out_color_space = gray ? JCS_GRAYSCALE : JCS_RGB;
    Image image(jpeg_.image_height, jpeg_.image_width, gray ? 1 : 3);
    if (!read_rows(image)) fail_jpeg();
    return image;
  }

  bool damaged() const { return errors_.manager.num_warnings > 0; }

  /// EXIF tag 0x0112 says other than 1, "as stored".
  bool rotated() const {
    for (const jpeg_marker_struct* m = jpeg_.marker_list; m != nullptr; m = m->next)
      if (m->marker == kExifMarker && orientation(m->data, m->data_length) > 1) return true;
    return false;
  }

 private:
  [[noreturn]] void fail_jpeg() const { fail_invalid("damaged JPEG: {}", errors_.message); }

  bool start(std::string_view file) {
    if (setjmp(errors_.jump)) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.progress = &progress_;
    jpeg_save_markers(&jpeg_, kExifMarker, 0xFFFF);
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(file.data()), file.size());
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }

  bool read_rows(Image& image) {
    if (setjmp(errors_.jump)) return false;
    jpeg_start_decompress(&jpeg_);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW rows[8];
      const JDIMENSION left = jpeg_.output_height - jpeg_.output_scanline;
      const JDIMENSION wanted = left < 8 ? left : 8;
      for (JDIMENSION i = 0; i < wanted; ++i) rows[i] = image.row(jpeg_.output_scanline + i);
      jpeg_read_scanlines(&jpeg_, rows, wanted);
    }
    return true;
  }

  /// "Exif\0\0", then TIFF: byte order, 42, offset of a directory of 12-byte entries.
  static unsigned orientation(const uint8_t* data, size_t size) {
    if (size < 14 || std::string_view(reinterpret_cast<const char*>(data), 4) != "Exif") return 1;
    const uint8_t* tiff = data + 6;
    size -= 6;
    const bool big = tiff[0] == 'M';
    auto number = [&](size_t at, size_t bytes) -> size_t {
      size_t value = 0;
      for (size_t i = 0; i < bytes; ++i)
        value |= static_cast<size_t>(tiff[at + i]) << 8 * (big ? bytes - 1 - i : i);
      return value;
    };
    const size_t directory = number(4, 4);
    if (directory > size - 2) return 1;
    const size_t count = number(directory, 2);
    for (size_t i = 0; i < count; ++i) {
      const size_t entry = directory + 2 + 12 * i;
      if (entry + 12 > size) return 1;
      if (number(entry, 2) == 0x0112) return static_cast<unsigned>(number(entry + 8, 2));
    }
    return 1;
  }

  jpeg_decompress_struct jpeg_{};
  jpeg_progress_mgr progress_{};
  JpegErrors errors_{};
};

}  // namespace

Image decode_jpeg(std::string_view file, DecodeNotes* notes) {
  JpegReader reader(file);
  Image image = reader.read();
  if (notes != nullptr) *notes = {reader.rotated(), reader.damaged()};
  return image;
}

}  // namespace lapidary
