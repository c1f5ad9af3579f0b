#include "gateway/resilience/retry_policy.hpp"

#include "gateway/resilience/random.hpp"

#include <gtest/gtest.h>
#include <string>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;
using std::chrono::microseconds;

constexpr std::uint64_t middle = 1ULL << 63;  // no jitter
constexpr std::uint64_t lowest = 0;
constexpr std::uint64_t highest = ~0ULL;

TEST(RetryPolicy, GrowsByTheFactorUpToTheCap) {
  const RetryOptions options;
  EXPECT_EQ(backoff(options, 1, middle), microseconds(50'000));
  EXPECT_EQ(backoff(options, 2, middle), microseconds(75'000));
  EXPECT_EQ(backoff(options, 3, middle), microseconds(112'500));
  EXPECT_EQ(backoff(options, 100, middle), microseconds(30'000'000));
  EXPECT_EQ(backoff(options, 4'000'000'000u, middle), microseconds(30'000'000)) << "no overflow";
}

TEST(RetryPolicy, JitterIsAFifthToBothSides) {
  const RetryOptions options;
  EXPECT_EQ(backoff(options, 1, lowest), microseconds(40'000));
  EXPECT_NEAR(backoff(options, 1, highest).count(), 60'000, 1);
  RandomSequence random(7);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto pause = backoff(options, 1, random.next());
    ASSERT_GE(pause, microseconds(40'000));
    ASSERT_LE(pause, microseconds(60'000));
    sum += static_cast<double>(pause.count());
  }
  EXPECT_NEAR(sum / 10'000, 50'000, 300);
}

TEST(RetryPolicy, ANamedTimeIsNeverUndercut) {
  const RetryOptions options;
  const Milliseconds told(2'000);
  EXPECT_EQ(backoff(options, 1, lowest, told), told);
  EXPECT_NEAR(backoff(options, 1, highest, told).count(), 2'400'000, 1);
  EXPECT_GE(backoff(options, 1, lowest, Milliseconds(0)), microseconds(40'000))
      << "a named 0 is no leave to hammer";
}

TEST(RetryAfter, Seconds) {
  EXPECT_EQ(parse_retry_after("7", "", 0), Milliseconds(7'000));
  EXPECT_EQ(parse_retry_after(" 0 ", "", 0), Milliseconds(0));
  EXPECT_EQ(parse_retry_after("0.25", "", 0), Milliseconds(250));
  EXPECT_EQ(parse_retry_after("99999999999999999", "", 0), retry_after_max);
}

TEST(RetryAfter, MillisecondsWin) {
  EXPECT_EQ(parse_retry_after("7", "1500", 0), Milliseconds(1'500));
  EXPECT_EQ(parse_retry_after("", "12.4", 0), Milliseconds(13));
  EXPECT_EQ(parse_retry_after("7", "soon", 0), Milliseconds(7'000)) << "what cannot be read";
}

TEST(RetryAfter, AllThreeFormsOfADate) {
  constexpr std::int64_t date = 784'111'777;  // RFC 9110's own example
  for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994"}) {
    EXPECT_EQ(parse_retry_after(text, "", date - 30), Milliseconds(30'000)) << text;
    EXPECT_EQ(parse_retry_after(text, "", date + 30), Milliseconds(0)) << text;
  }
  EXPECT_EQ(parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", "", 0), retry_after_max);
}

TEST(RetryAfter, RefusesWhatIsNoTime) {
  for (const char* text :
       {"", " ", "-5", "+5", "1e9", "nan", "inf", "0x10", "1.2.3", ".", "soon",
        "Sun, 31 Feb 2027 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 PST", "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT", "a b c d e f g", "a b c d e f g h i j", "- - - - - - - -"}) {
    EXPECT_EQ(parse_retry_after(text, "", 0), std::nullopt) << text;
  }
  EXPECT_EQ(parse_retry_after(std::string(100'000, '1'), "", 0), std::nullopt);
  EXPECT_EQ(parse_retry_after("", std::string(100'000, '1'), 0), std::nullopt);
}

}  // namespace
}  // namespace deepseek::gateway
