#include "gateway/route/hours.hpp"

#include <gtest/gtest.h>
#include <string>

namespace deepseek::gateway {
namespace {

// 2026-11-02 was a Monday.
std::int64_t utc(int day_of_november, int hour, int minute = 0) {
  namespace chrono = std::chrono;
  const chrono::sys_days date = chrono::year(2026) / 11 / day_of_november;
  return chrono::sys_seconds(date).time_since_epoch().count() + hour * 3600 + minute * 60;
}

TEST(Hours, DeepSeeksPeak) {
  const Hours peak = parse_hours("Mon-Fri 09:00-12:00 14:00-18:00; UTC+8").value();
  EXPECT_FALSE(peak.contain(utc(2, 0, 59))) << "08:59 in Beijing";
  EXPECT_TRUE(peak.contain(utc(2, 1)));
  EXPECT_TRUE(peak.contain(utc(2, 3, 59)));
  EXPECT_FALSE(peak.contain(utc(2, 4)));
  EXPECT_TRUE(peak.contain(utc(2, 6)));
  EXPECT_FALSE(peak.contain(utc(2, 10)));
  EXPECT_FALSE(peak.contain(utc(7, 2))) << "Saturday";
}

TEST(Hours, TheZoneMovesTheDayToo) {
  const Hours monday = parse_hours("Mon 00:00-24:00; UTC+8").value();
  EXPECT_TRUE(monday.contain(utc(1, 16))) << "Sunday 16:00 UTC is Monday in Beijing";
  EXPECT_FALSE(monday.contain(utc(1, 15, 59)));
  EXPECT_FALSE(monday.contain(utc(2, 16)));
  EXPECT_TRUE(parse_hours("Sun 20:00-21:00; UTC-05:30").value().contain(utc(2, 1, 30)));
}

TEST(Hours, OverMidnightBelongsToTheDayOfItsBeginning) {
  const Hours night = parse_hours("Fri-Sat 22:00-02:00").value();
  EXPECT_TRUE(night.contain(utc(6, 23)));
  EXPECT_TRUE(night.contain(utc(8, 1, 59))) << "Sunday, the night that Saturday began";
  EXPECT_FALSE(night.contain(utc(8, 2)));
  EXPECT_FALSE(night.contain(utc(8, 22)));
  EXPECT_FALSE(night.contain(utc(6, 1)));
}

TEST(Hours, EveryDayInUtcUnlessSaid) {
  const Hours hours = parse_hours("10:00-11:00").value();
  for (int day = 1; day <= 7; ++day) EXPECT_TRUE(hours.contain(utc(day, 10, 30))) << day;
  EXPECT_TRUE(parse_hours("Sun-Tue 08:00-09:00; Thu 01:00-02:00").value().contain(utc(5, 1)));
  EXPECT_TRUE(parse_hours("Thu 00:00-24:00").value().contain(0));
  EXPECT_TRUE(parse_hours("Wed 23:00-24:00").value().contain(-60)) << "before 1970";
}

TEST(Hours, SaysWhatIsWrong) {
  for (const char* text : {"",
                           " ",
                           ";",
                           "Mon",
                           "Mon-Fri",
                           "mon 09:00-10:00",
                           "09:00",
                           "9-10",
                           "09:00-09:00",
                           "24:00-01:00",
                           "09:00-24:01",
                           "09:60-10:00",
                           "09:0-10:00",
                           "-1:00-02:00",
                           "09:00 - 10:00",
                           "09:00-10:00 Mon",
                           "Mon 09:00-10:00; UTC+15",
                           "Mon 09:00-10:00; UTC*8",
                           "UTC+8",
                           "UTC+8; 09:00-10:00",
                           "09:00-10:00; UTC+8; 11:00-12:00",
                           "09:00-10:00; UTC+8 x",
                           "09:00-10:00;",
                           "Mon-Foo 09:00-10:00"}) {
    const auto hours = parse_hours(text);
    ASSERT_TRUE(hours.has_error()) << text;
    EXPECT_NE(hours.error().message.find("for example"), std::string::npos);
  }
  EXPECT_EQ(parse_hours("Mon 09.00-10.00").error().message,
            "not a day or a span of hours: '09.00-10.00'; write for example "
            "\"Mon-Fri 09:00-12:00 14:00-18:00; UTC+8\"");
}

TEST(Hours, IsBounded) {
  std::string text;
  for (int i = 0; i < 32; ++i) text += "09:00-10:00 ";
  EXPECT_EQ(parse_hours(text).value().spans.size(), hour_spans_max);
  EXPECT_TRUE(parse_hours(text + "11:00-12:00").has_error());
  EXPECT_LT(parse_hours(std::string(100'000, 'x')).error().message.size(), 200u);
}

}  // namespace
}  // namespace deepseek::gateway
