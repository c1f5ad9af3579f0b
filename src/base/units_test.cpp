#include "base/units.hpp"

#include <gtest/gtest.h>

namespace deepseek::base {
namespace {

using std::chrono::milliseconds;

TEST(Units, BytesInEveryUnit) {
  EXPECT_EQ(parse_bytes("0").value(), 0u);
  EXPECT_EQ(parse_bytes("64").value(), 64u);
  EXPECT_EQ(parse_bytes("64B").value(), 64u);
  EXPECT_EQ(parse_bytes("16KB").value(), 16384u);
  EXPECT_EQ(parse_bytes("16kib").value(), 16384u);
  EXPECT_EQ(parse_bytes("512 MB").value(), 536870912u);
  EXPECT_EQ(parse_bytes("16GB").value(), 17179869184u);
  EXPECT_EQ(parse_bytes("16G").value(), 17179869184u);
  EXPECT_EQ(parse_bytes("1.5TB").value(), 1649267441664u);
  EXPECT_EQ(parse_bytes("18446744073709551615").value(), 18446744073709551615u);
}

TEST(Units, BytesThatAreNone) {
  for (const char* text : {"",           " ",
                           "MB",         "-1",
                           "+1",         "1e9",
                           "1..5GB",     ".5GB",
                           "5.GB",       "1.5",
                           "1.5B",       "16XB",
                           "16GBs",      "0x10",
                           "90%",        "18446744073709551616",
                           "16777216TB", "99999999999999999999.5TB",
                           "nan",        "inf"}) {
    EXPECT_TRUE(parse_bytes(text).has_error()) << text;
  }
  const Error error = parse_bytes("16XB").error();
  EXPECT_EQ(error.code, ErrorCode::invalid_request);
  EXPECT_NE(error.message.find("16XB"), std::string::npos);
  EXPECT_NE(error.message.find("512MB"), std::string::npos);
}

TEST(Units, BytesFormatAndReadBack) {
  EXPECT_EQ(format_bytes(0), "0");
  EXPECT_EQ(format_bytes(536870912), "512MB");
  EXPECT_EQ(format_bytes(1000), "1000B");
  EXPECT_EQ(format_bytes(1536), "1536B");
  EXPECT_EQ(format_bytes(1649267441664), "1536GB");
  for (const std::uint64_t bytes :
       {1ull, 1023ull, 1024ull, 123456789ull, 1ull << 50, 18446744073709551615ull}) {
    EXPECT_EQ(parse_bytes(format_bytes(bytes)).value(), bytes);
  }
}

TEST(Units, DurationsInEveryUnit) {
  EXPECT_EQ(parse_duration("0").value(), milliseconds(0));
  EXPECT_EQ(parse_duration("500ms").value(), milliseconds(500));
  EXPECT_EQ(parse_duration("30s").value(), milliseconds(30'000));
  EXPECT_EQ(parse_duration("1.5s").value(), milliseconds(1'500));
  EXPECT_EQ(parse_duration("5m").value(), milliseconds(300'000));
  EXPECT_EQ(parse_duration("1h").value(), milliseconds(3'600'000));
  EXPECT_EQ(parse_duration("2 D").value(), milliseconds(172'800'000));
}

TEST(Units, DurationsThatAreNone) {
  for (const char* text :
       {"", "30", "1.5", "s", "-1s", "1y", "5 minutes", "36501d", "99999999999999999999d"}) {
    EXPECT_TRUE(parse_duration(text).has_error()) << text;
  }
}

TEST(Units, DurationsFormatAndReadBack) {
  EXPECT_EQ(format_duration(milliseconds(0)), "0");
  EXPECT_EQ(format_duration(milliseconds(1'500)), "1500ms");
  EXPECT_EQ(format_duration(milliseconds(90'000)), "90s");
  EXPECT_EQ(format_duration(milliseconds(600'000)), "10m");
  EXPECT_EQ(format_duration(milliseconds(-500)), "-500ms");
}

TEST(Units, Percentages) {
  EXPECT_DOUBLE_EQ(parse_percentage("90%").value(), 0.9);
  EXPECT_DOUBLE_EQ(parse_percentage("0.9").value(), 0.9);
  EXPECT_DOUBLE_EQ(parse_percentage("100 %").value(), 1.0);
  EXPECT_DOUBLE_EQ(parse_percentage("0").value(), 0.0);
  for (const char* text : {"", "%", "101%", "-1%", "1.1", "90GB", "90%%"}) {
    EXPECT_TRUE(parse_percentage(text).has_error()) << text;
  }
  EXPECT_EQ(format_percentage(0.9), "90%");
  EXPECT_EQ(format_percentage(0.125), "12.5%");
  EXPECT_EQ(format_percentage(1.0), "100%");
  EXPECT_EQ(format_percentage(0.07), "7%");
}

}  // namespace
}  // namespace deepseek::base
