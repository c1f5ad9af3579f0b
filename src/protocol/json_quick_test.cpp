#include "protocol/json_quick.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

TEST(JsonQuick, reads_the_same_as_the_careful_half) {
  for (const std::string_view text :
       {R"({"model":"m","messages":[{"role":"user","content":"a\n\"b\" 中\u4e2d\ud83d\ude00"}],)"
        R"("n":1,"x":-2.5,"big":9223372036854775807,"t":true,"f":false,"z":null,"e":{},"l":[]})",
        " [ 1 , [ [ ] , { } ] , \"\" ] ", "\"x\"", "5", "-0", "1e3", "null",
        R"({"a":{"a":{"a":1},"b":2},"b":3})"}) {
    const auto quick = parse_json_quickly(text, {});
    ASSERT_TRUE(quick) << text;
    const auto careful = parse_json_carefully(text, {});
    ASSERT_TRUE(careful) << text;
    EXPECT_EQ(*quick, *careful) << text;
  }
}

TEST(JsonQuick, leaves_the_unusual_to_the_careful_half) {
  using namespace std::string_view_literals;
  std::string many = "{\"a\":1";
  for (int i = 0; i < 40; ++i) many += ",\"a" + std::to_string(i) + "\":1";
  many += "}";
  for (const std::string_view text :
       {""sv, "{"sv, "[1,]"sv, "{} x"sv, R"({"a":1,"a":2})"sv, R"({"a":1,"\u0061":2})"sv,
        R"("\u0000")"sv, R"("\ud800")"sv, R"("\ude00\ud800")"sv, "\"\xFF\""sv, "1e400"sv,
        "-1e400"sv, "0e400"sv, "18446744073709551615"sv, "99999999999999999999"sv, R"("\ufffd")"sv,
        std::string_view(many)}) {
    EXPECT_FALSE(parse_json_quickly(text, {})) << text;
  }
  RequestLimits limits;
  limits.json_depth_max = 2;
  limits.json_keys_max = 2;
  EXPECT_TRUE(parse_json_quickly(R"([{"a":1,"b":2}])", limits));
  EXPECT_FALSE(parse_json_quickly(R"([{"a":1,"b":2,"c":3}])", limits));
  EXPECT_FALSE(parse_json_quickly("[[[]]]", limits));
}

}  // namespace
}  // namespace deepseek::protocol
