#include "protocol/image_file.hpp"

#include "protocol/image_samples.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

namespace deepseek::protocol {
namespace {

using testing::HasSubstr;

constexpr const char* param = "messages[0].content[1].image_url";

std::string refusal(std::string_view file, const ImageLimits& limits = {}) {
  const auto header = read_image_header(file, limits, param);
  if (!header.has_error()) return "taken";
  EXPECT_EQ(header.error().code, base::ErrorCode::invalid_request);
  EXPECT_EQ(header.error().param, param);
  EXPECT_THAT(header.error().message, HasSubstr(param));
  return header.error().message;
}

TEST(ImageFile, TellsTheSizeOfPngAndJpeg) {
  const auto png = read_image_header(png_sample(1, 20, 10), {}, param, true);
  ASSERT_TRUE(png.has_value()) << png.error().message;
  EXPECT_EQ(png->format, ImageFormat::png);
  EXPECT_EQ(png->width, 20U);
  EXPECT_EQ(png->height, 10U);
  EXPECT_GE(png->data_bytes_max, 10U * (20 * 3 + 1));
  EXPECT_LT(png->data_bytes_max, 2 * 10U * (20 * 3 + 1)) << "no room for a bomb";
  EXPECT_EQ(png->compressed.size(), stored(std::string(610, 'x')).size());
  const auto jpeg = read_image_header(jpeg_sample(), {}, param);
  ASSERT_TRUE(jpeg.has_value()) << jpeg.error().message;
  EXPECT_EQ(jpeg->format, ImageFormat::jpeg);
  EXPECT_EQ(jpeg->width, 8U);
  EXPECT_EQ(jpeg->height, 8U);
}

TEST(ImageFile, ASmallFileOfAHugeImageIsRefused) {
  const std::string data = stored("x");
  EXPECT_THAT(refusal(png_of(png_header(50'000, 50'000), data)),
              HasSubstr("50000 × 50000 pixels; at most 16000000 (images.pixels_max)"));
  EXPECT_THAT(refusal(png_of(png_header(16'385, 300), data)), HasSubstr("16384"));
  EXPECT_THAT(refusal(png_of(png_header(0xFFFF'FFFF, 0xFFFF'FFFF), data)), HasSubstr("at most"));
  EXPECT_THAT(refusal(jpeg_sample(jpeg_frame(65'535, 65'535))), HasSubstr("at most"));
  EXPECT_THAT(refusal(png_of(png_header(1'000, 1), data)), HasSubstr("64 times as long"));
  EXPECT_THAT(refusal(png_of(png_header(0, 5), data)), HasSubstr("0 × 5 pixels"));
  EXPECT_THAT(refusal(jpeg_sample(jpeg_frame(5, 0))), HasSubstr("5 × 0 pixels"));
  ImageLimits limits;
  limits.pixels_max = 99;
  EXPECT_THAT(refusal(png_sample(1, 10, 10), limits), HasSubstr("at most 99"));
  limits.bytes_max = 40;
  EXPECT_THAT(refusal(png_sample(1, 9, 9), limits),
              HasSubstr("at most 40 are taken (images.bytes"));
}

TEST(ImageFile, ManyScansAreRefused) {
  EXPECT_EQ(refusal(jpeg_sample({}, jpeg_scans_max)), "taken");
  EXPECT_THAT(refusal(jpeg_sample({}, jpeg_scans_max + 1)), HasSubstr("more than 32 scans"));
}

TEST(ImageFile, OtherFormatsAndKindsAreRefused) {
  for (const std::string_view file : {"", "GIF89a", "RIFF....WEBP", "BM", "<svg/>", "\xFF\xD8"}) {
    EXPECT_THAT(refusal(file), HasSubstr("neither a PNG nor a JPEG")) << file;
  }
  const std::string data = stored("x");
  EXPECT_THAT(refusal(png_of(png_header(4, 4, 3), data)), HasSubstr("no kind of PNG"));
  EXPECT_THAT(refusal(png_of(png_header(4, 4, 16, 3), data)), HasSubstr("no kind of PNG"));
  EXPECT_THAT(refusal(png_of(png_header(4, 4, 8, 5), data)), HasSubstr("no kind of PNG"));
  EXPECT_THAT(refusal(png_of(png_header(4, 4, 8, 2, 2), data)), HasSubstr("no kind of PNG"));
  EXPECT_THAT(refusal(jpeg_sample(jpeg_frame(8, 8, '\xC3'))), HasSubstr("of a kind"));
  EXPECT_THAT(refusal(jpeg_sample(jpeg_frame(8, 8, '\xC9'))), HasSubstr("of a kind"));
  EXPECT_THAT(refusal(jpeg_sample(jpeg_frame(8, 8) + jpeg_frame(8, 8))), HasSubstr("two frames"));
  EXPECT_THAT(refusal(jpeg_sample(jpeg_segment('\xFE', "no frame"))), HasSubstr("before its size"));
  const std::string apple = "\x89PNG\r\n\x1A\n" + png_chunk("CgBI", "abcd");
  EXPECT_THAT(refusal(apple), HasSubstr("no header"));
}

TEST(ImageFile, EveryCutOffFileIsRefused) {
  for (const std::string& file : {png_sample(1), jpeg_sample()}) {
    for (std::size_t size = 3; size < file.size(); ++size) {
      EXPECT_NE(refusal(std::string_view(file).substr(0, size)), "taken") << size;
    }
    EXPECT_EQ(refusal(file), "taken");
  }
}

// Whatever is read of them, it is read inside the file: the sanitizer looks.
TEST(ImageFile, DamagedFilesAreReadOrRefused) {
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string file = round % 2 == 0 ? png_sample(1, 4, 4) : jpeg_sample();
    for (int change = 0; change < 3; ++change) {
      file[random() % file.size()] = static_cast<char>(random());
    }
    const auto header = read_image_header(file, {}, param);
    if (header.has_error()) continue;
    EXPECT_LE(std::uint64_t{header->width} * header->height, 16'000'000U);
  }
}

}  // namespace
}  // namespace deepseek::protocol
