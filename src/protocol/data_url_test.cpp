#include "protocol/data_url.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

using testing::HasSubstr;

std::string decoded(std::string_view text) {
  const auto bytes = decode_base64(text);
  return bytes.has_error() ? "refused: " + bytes.error().message : *bytes;
}

std::string refusal(std::string_view url, std::int64_t bytes_max = 100) {
  const auto file = read_data_url(url, bytes_max, "input[0].image_url");
  if (!file.has_error()) return "taken";
  EXPECT_EQ(file.error().code, base::ErrorCode::invalid_request);
  EXPECT_EQ(file.error().param, "input[0].image_url");
  return file.error().message;
}

TEST(Base64, IsDecodedWithAndWithoutPadding) {
  EXPECT_EQ(decoded(""), "");
  EXPECT_EQ(decoded("Zg=="), "f");
  EXPECT_EQ(decoded("Zm8="), "fo");
  EXPECT_EQ(decoded("Zm9v"), "foo");
  EXPECT_EQ(decoded("Zm9vYg"), "foob");
  EXPECT_EQ(decoded("Zm9v\r\nYmE=\n"), "fooba");
  EXPECT_EQ(decoded("+/+/"), "\xFB\xFF\xBF");
}

TEST(Base64, WhatIsNoneIsRefused) {
  for (const std::string_view text :
       {"Z", "Zm9vY", "Zm 9", "Zm9v!", "Zg=", "Zg===", "Z=g=", "=", "Zm9v=", "-_-_", "Zm9v\xC3"}) {
    EXPECT_THAT(decoded(text), HasSubstr("refused")) << text;
  }
}

TEST(DataUrl, HoldsAPngOrAJpeg) {
  EXPECT_EQ(*read_data_url("data:image/png;base64,Zm9v", 100, "x"), "foo");
  EXPECT_EQ(*read_data_url("data:IMAGE/JPEG;base64,Zm9v", 100, "x"), "foo");
  EXPECT_EQ(*read_data_url("data:image/jpg;base64,Zm9v", 100, "x"), "foo");
}

TEST(DataUrl, TheRestIsRefusedByItsField) {
  EXPECT_THAT(refusal("data:image/gif;base64,Zm9v"), HasSubstr("found \"image/gif\""));
  EXPECT_THAT(refusal("data:text/html;base64,Zm9v"), HasSubstr("image/png or image/jpeg"));
  EXPECT_THAT(refusal("data:image/svg+xml;base64,Zm9v"), HasSubstr("found \"image/svg+xml\""));
  EXPECT_THAT(refusal("data:image/png,Zm9v"), HasSubstr("of the form data:image/png;base64,"));
  EXPECT_THAT(refusal("data:image/png;base64"), HasSubstr("of the form"));
  EXPECT_THAT(refusal("data:,"), HasSubstr("of the form"));
  EXPECT_THAT(refusal("data:image/png;base64,Zm9v%0A"), HasSubstr("no base64"));
  EXPECT_THAT(refusal("data:image/png;base64," + std::string(4000, 'A')),
              HasSubstr("more than 100 bytes (images.bytes_max)"));
}

}  // namespace
}  // namespace deepseek::protocol
