#include "src/data/image.h"

#include "src/base/sha256.h"
#include "src/data/resample.h"
#include "test/data/data_test_util.h"
#include "test/data/test_pictures.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using namespace testing_data;

std::string digest(const Image& image) {
  return sha256_hex({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()});
}

std::string decode_error(const std::string& file) {
  return error_of([&] { decode_image(file, 3); });
}

TEST(Decode, EveryPixelIsPils) {
  for (const TestPicture& picture : {kJpeg420, kJpegProgressive, kJpegGray, kPngRgb, kPngRgba,
                                     kPngPalette, kPngBits, kPngGrayAlpha}) {
    const std::string file = from_hex(picture.hex);
    EXPECT_EQ(digest(decode_image(file, 3)), picture.rgb_sha256) << picture.name;
    EXPECT_EQ(digest(decode_image(file, 1)), picture.gray_sha256) << picture.name;
  }
}

TEST(Decode, UnsupportedPicturesAreRefused) {
  EXPECT_THAT(decode_error(from_hex(kJpegCmyk.hex)), StartsWith("4: a CMYK JPEG"));
  EXPECT_THAT(decode_error(from_hex(kPng16.hex)), StartsWith("4: a 16-bit PNG"));
}

TEST(Decode, EveryTruncationIsNamed) {
  for (const TestPicture& picture : {kJpeg420, kJpegProgressive, kPngRgb}) {
    const std::string file = from_hex(picture.hex);
    for (size_t size = 0; size + 40 < file.size(); size += 13)
      EXPECT_THAT(decode_error(file.substr(0, size)), StartsWith("3: ")) << picture.name << size;
  }
  EXPECT_THAT(decode_error(""), HasSubstr("the file is empty"));
  EXPECT_THAT(decode_error("GIF89a"), HasSubstr("neither JPEG nor PNG (it starts with 'GIF89a')"));
}

TEST(Decode, ByteFlipsNeverCrash) {
  for (const TestPicture& picture : {kJpeg420, kJpegProgressive, kPngPalette})
    for (size_t at = 2; at < from_hex(picture.hex).size(); ++at) {
      std::string file = from_hex(picture.hex);
      file[at] = static_cast<char>(file[at] ^ 0xFF);
      const std::string outcome = decode_error(file);
      EXPECT_TRUE(outcome == "no error" || outcome[0] == '3' || outcome[0] == '4' ||
                  outcome[0] == '7')
          << picture.name << " " << at << ": " << outcome;
    }
}

TEST(Decode, HugePicturesAreRefusedBeforeMemoryIsTaken) {
  EXPECT_THAT(decode_error(png_of(60000, 60000, {0, 0, 0}, false)),
              StartsWith("7: a picture of 60000 x 60000 pixels"));
  std::string jpeg = from_hex(kJpeg420.hex);
  const size_t frame = jpeg.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, from_hex("ea60ea60"));
  EXPECT_THAT(decode_error(jpeg), StartsWith("7: a picture of 60000 x 60000 pixels"));
}

TEST(Decode, ExifOrientationIsNoted) {
  // APP1: "Exif", big-endian TIFF, one entry: tag 0x0112, SHORT, 1 value, 6 (turn clockwise).
  const std::string exif = from_hex(
      "ffe10022"
      "457869660000"
      "4d4d002a00000008"
      "0001"
      "011200030000000100060000"
      "00000000");
  std::string file = from_hex(kJpeg420.hex);
  DecodeNotes notes;
  decode_image(file, 3, &notes);
  EXPECT_FALSE(notes.rotated);
  file.insert(2, exif);
  EXPECT_EQ(digest(decode_image(file, 3, &notes)), kJpeg420.rgb_sha256);
  EXPECT_TRUE(notes.rotated);
}

// Pillow: Image.convert("L") of these four pixels is 4c 96 1d 82.
TEST(Decode, GrayIsPilsLuma) {
  Image rgb(1, 4, 3);
  rgb.pixels = {255, 0, 0, 0, 255, 0, 0, 0, 255, 12, 200, 77};
  EXPECT_THAT(to_gray(rgb).pixels, ElementsAre(0x4c, 0x96, 0x1d, 0x82));
  EXPECT_THAT(to_rgb(to_gray(rgb)).pixels, testing::SizeIs(12));
}

Image pattern() {
  Image image(11, 19, 3);
  for (int y = 0; y < 11; ++y)
    for (int x = 0; x < 19; ++x) {
      uint8_t* p = image.row(y) + 3 * x;
      p[0] = static_cast<uint8_t>(x * 13), p[1] = static_cast<uint8_t>(y * 23);
      p[2] = static_cast<uint8_t>(x * y * 7);
    }
  return image;
}

struct Resized {
  int64_t height, width;
  Filter filter;
  const char* sha256;
};

// Pillow 13: pattern().resize((width, height), filter).tobytes(). 4 x 19 and 3 x 17 go along y
// first.
const Resized kResized[] = {
    {5, 9, Filter::kNearest, "4baec47f13fcbd58219fcbefb1cdd56327bf3fc7f14a7556a66bfee73fe8ebe9"},
    {5, 9, Filter::kBilinear, "ad0b1a32b68d0327bb0b72f2a1adafb79ad8d6b343708f263eb0dc620be57dd8"},
    {5, 9, Filter::kBicubic, "e17e0ba380477196e2d1750e04c52e6d0a9eb0662878f1f63543b10b0f56dd74"},
    {22, 40, Filter::kNearest, "aafdf880f62114f90acff4003ecf7bfdadebf2ce054aed2718dd81096b6dcbea"},
    {22, 40, Filter::kBilinear, "035da195b61356ee5bd9dc8d7b8c85645e6c6b467541e57c34152a3b8d2da11a"},
    {22, 40, Filter::kBicubic, "4449b0a6fe43f155fc23d1641fb1b9e66e035c6ca2622825280850adc632bffb"},
    {11, 7, Filter::kNearest, "d22198fbb7f1a72b42806ce66493f5acc5b0eb5aeef60509d98a38c9df9c8ebd"},
    {11, 7, Filter::kBilinear, "2f5ec8cb8d32349fa244f187ef91f3ed90f8bc59ff07ab2e8864b6272fa38e00"},
    {11, 7, Filter::kBicubic, "1bf0dea0670faa5f48b6d86ab13972716fd7060b3bef5d1fb04673acc628fcc6"},
    {4, 19, Filter::kNearest, "d97cd91b4a1bc2ec7b63c34d26ba6e4425e8ee0f17c59964c280d8c983d67727"},
    {4, 19, Filter::kBilinear, "046c79cc138a06e544e82d45c8ae55bf8e47a5ba61db9247cc834846f5afb455"},
    {4, 19, Filter::kBicubic, "972613ff520854fffc2715bdb192ae847811cb16a2ee67174fd6e7d535de100a"},
    {3, 17, Filter::kNearest, "1de7601af8e17b3f81c852d56b573592cb2e64b794df6dc804280ce8fac5a3bd"},
    {3, 17, Filter::kBilinear, "0cfa97bb8ff976ad7b1b5cfe33a96bbe0e6962eeb438df772f8f2f2702bacf96"},
    {3, 17, Filter::kBicubic, "dcea3424606d643d6925bb62177f8a99dde199809d6e65b608b5086f05df30e7"},
    {1, 1, Filter::kNearest, "3b599101147bee5e10f5d6add69a486cde6ed706fc131c92e31914701c7c3c3e"},
    {1, 1, Filter::kBilinear, "7ee4c3ec0b4ee3b9fd76755e03fc705c96866c89a610ccf10080a37899744a5b"},
    {1, 1, Filter::kBicubic, "a53fb62e2a0a1f2ec723b4a6d0fcdf88fa9d2b7f5db2a41df4a6680eade8d8e5"},
    {13, 8, Filter::kNearest, "1f44f3fe79e63142cd7057492a26a0adb73085168688c74ae6a61da9a8d76c25"},
    {13, 8, Filter::kBilinear, "d0d394c95c7cb9309328b09ea920b6b96ac4535d15c5e54f377ae4992a3e1554"},
    {13, 8, Filter::kBicubic, "d4b4dd1a3034fc268bbc9019a44a751367b96fbe52fd2315f15ae4b2e5072c8f"},
};

TEST(Resize, EveryPixelIsPils) {
  for (const Resized& r : kResized)
    EXPECT_EQ(digest(resize(pattern(), r.height, r.width, r.filter)), r.sha256)
        << r.height << " x " << r.width << " filter " << static_cast<int>(r.filter);
}

TEST(Resize, AWindowIsThatPartOfTheWhole) {
  const Image image = pattern();
  for (const Resized& r : kResized) {
    if (r.height < 3 || r.width < 3) continue;
    const Image whole = resize(image, r.height, r.width, r.filter);
    const Image part =
        resize(image, r.height, r.width, r.filter, {1, 2, r.height - 2, r.width - 2});
    for (int64_t y = 0; y < part.height; ++y)
      EXPECT_TRUE(std::equal(part.row(y), part.row(y) + part.row_bytes(), whole.row(y + 1) + 6));
  }
}

// Pillow 13 on a gray picture of 3 x 4.
TEST(Resize, SmallValues) {
  Image gray(3, 4, 1);
  gray.pixels = {0, 100, 200, 255, 255, 0, 255, 0, 10, 20, 30, 40};
  EXPECT_THAT(resize(gray, 2, 2, Filter::kNearest).pixels, ElementsAre(100, 255, 20, 40));
  EXPECT_THAT(resize(gray, 2, 2, Filter::kBilinear).pixels, ElementsAre(99, 172, 65, 62));
  EXPECT_THAT(resize(gray, 2, 2, Filter::kBicubic).pixels, ElementsAre(96, 184, 66, 55));
  EXPECT_THAT(
      resize(gray, 3, 6, Filter::kBicubic).pixels,
      ElementsAre(0, 41, 117, 186, 235, 255, 255, 120, 19, 236, 135, 0, 9, 14, 22, 28, 36, 41));
}

}  // namespace
}  // namespace lapidary
