#include "server/daily_hours.hpp"

#include <gtest/gtest.h>

namespace deepseek::server {
namespace {

TEST(DailyHours, ContainTheirBeginAndNotTheirEnd) {
  const auto day = parse_daily_hours("09:30-18:00");
  ASSERT_TRUE(day);
  EXPECT_FALSE(day->contains(9 * 60 + 29));
  EXPECT_TRUE(day->contains(9 * 60 + 30));
  EXPECT_TRUE(day->contains(18 * 60 - 1));
  EXPECT_FALSE(day->contains(18 * 60));
}

TEST(DailyHours, MayGoOverMidnight) {
  const auto night = parse_daily_hours("18:00-09:00");
  ASSERT_TRUE(night);
  EXPECT_TRUE(night->contains(23 * 60 + 59));
  EXPECT_TRUE(night->contains(0));
  EXPECT_TRUE(night->contains(9 * 60 - 1));
  EXPECT_FALSE(night->contains(9 * 60));
  EXPECT_FALSE(night->contains(12 * 60));
}

TEST(DailyHours, MayBeTheWholeDayOrNothing) {
  const auto whole = parse_daily_hours("00:00-24:00");
  ASSERT_TRUE(whole);
  EXPECT_TRUE(whole->contains(0));
  EXPECT_TRUE(whole->contains(24 * 60 - 1));
  EXPECT_TRUE(DailyHours{}.empty());
  EXPECT_FALSE(DailyHours{}.contains(0));
}

TEST(DailyHours, AreWrittenAsTheyAreRead) {
  for (const char* text : {"18:00-09:00", "00:00-24:00", "07:05-07:06"}) {
    const auto hours = parse_daily_hours(text);
    ASSERT_TRUE(hours) << text;
    EXPECT_EQ(format_daily_hours(*hours), text);
  }
  EXPECT_EQ(format_daily_hours({}), "");
}

TEST(DailyHours, OtherFormsAreNothing) {
  for (const char* text :
       {"", "18:00", "18:00-", "-09:00", "18-09", "8:00-09:00", "18:00-09:60", "18:00-24:01",
        "24:00-09:00", "09:00-09:00", "00:00-00:00", "18:00-09:00 ", "18:00 - 09:00", "ab:cd-09:00",
        "18.00-09.00", "18:00-09:00-10:00"}) {
    EXPECT_FALSE(parse_daily_hours(text)) << text;
  }
}

}  // namespace
}  // namespace deepseek::server
