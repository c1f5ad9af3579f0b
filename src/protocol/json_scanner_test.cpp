#include "protocol/json_scanner.hpp"

#include "protocol/json.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

bool is_json(std::string_view text) {
  JsonScanner scanner(text);
  return !scanner.value().empty() && scanner.finished();
}

TEST(JsonScanner, walks_objects_and_lists) {
  JsonScanner scanner(R"( { "a" : [ 1 , "x" , [] , {} ] , "b\u0063" : { "c" : null } } )");
  JsonText key, text;
  ASSERT_TRUE(scanner.enter_object());
  ASSERT_TRUE(scanner.next_key(key));
  EXPECT_TRUE(key.is("a"));
  ASSERT_TRUE(scanner.enter_array());
  ASSERT_TRUE(scanner.next_entry());
  EXPECT_EQ(scanner.value(), "1");
  ASSERT_TRUE(scanner.next_entry());
  ASSERT_TRUE(scanner.string(text));
  EXPECT_EQ(text.text(), "x");
  ASSERT_TRUE(scanner.next_entry());
  EXPECT_EQ(scanner.value(), "[]");
  ASSERT_TRUE(scanner.next_entry());
  ASSERT_TRUE(scanner.enter_object());
  EXPECT_FALSE(scanner.next_key(key));
  EXPECT_FALSE(scanner.next_entry());
  ASSERT_TRUE(scanner.next_key(key));
  EXPECT_TRUE(key.is("bc"));
  EXPECT_FALSE(key.is("b\\u0063"));
  EXPECT_EQ(scanner.peek(), '{');
  EXPECT_EQ(scanner.value(), R"({ "c" : null })");
  EXPECT_FALSE(scanner.next_key(key));
  EXPECT_TRUE(scanner.finished());
}

TEST(JsonScanner, accepts_what_the_parser_accepts) {
  const std::string deep = std::string(64, '[') + std::string(64, ']');
  for (const std::string_view text : std::initializer_list<std::string_view>{
           R"("")", R"("a\"b\\\/\b\f\n\r\t\u00e9")", "0", "-0", "-12.5e+3", "1E9", "true", "false",
           "null", "[]", "[1,2]", "{}", R"({"a":{"b":[{}]}})", " [ 1 , { \"a\" : 2 } ] ",
           R"("a string of more than eight bytes, with 中文 in it")", deep}) {
    EXPECT_TRUE(is_json(text)) << text;
    EXPECT_TRUE(parse_json(text, {})) << text;
    JsonScanner scanner(text);
    EXPECT_FALSE(scanner.known_value().empty()) << text;
    EXPECT_TRUE(scanner.finished()) << text;
  }
}

TEST(JsonScanner, refuses_what_the_parser_refuses) {
  using namespace std::string_view_literals;
  const std::string deep = std::string(65, '[') + std::string(65, ']');
  for (const std::string_view text : {""sv,
                                      " "sv,
                                      "\""sv,
                                      "\"abc"sv,
                                      "\"a\nb\""sv,
                                      "\"12345678\x01\""sv,
                                      R"("\x")"sv,
                                      R"("\u12g4")"sv,
                                      R"("\u12)"sv,
                                      "\"\\"sv,
                                      "\"\\\0\""sv,
                                      "-"sv,
                                      "01"sv,
                                      "1."sv,
                                      "1e"sv,
                                      ".5"sv,
                                      "+1"sv,
                                      "tru"sv,
                                      "nulll"sv,
                                      "["sv,
                                      "[1"sv,
                                      "[1,]"sv,
                                      "[,1]"sv,
                                      "[1 2]"sv,
                                      "[}"sv,
                                      "{"sv,
                                      "{]"sv,
                                      R"({"a"})"sv,
                                      R"({"a":})"sv,
                                      R"({"a":1,})"sv,
                                      R"({a:1})"sv,
                                      R"({"a" 1})"sv,
                                      R"({"a":1 "b":2})"sv,
                                      "]"sv,
                                      "1 2"sv,
                                      "NaN"sv,
                                      std::string_view(deep)}) {
    EXPECT_FALSE(is_json(text)) << text;
    EXPECT_FALSE(parse_json(text, {})) << text;
  }
}

TEST(JsonScanner, a_failure_ends_everything) {
  JsonScanner scanner(R"({"a":tru,"b":1})");
  JsonText key;
  ASSERT_TRUE(scanner.enter_object());
  ASSERT_TRUE(scanner.next_key(key));
  EXPECT_EQ(scanner.value(), "");
  EXPECT_TRUE(scanner.failed());
  EXPECT_FALSE(scanner.next_key(key));
  EXPECT_FALSE(scanner.next_entry());
  EXPECT_FALSE(scanner.enter_object());
  EXPECT_FALSE(scanner.string(key));
  EXPECT_EQ(scanner.peek(), '\0');
  EXPECT_FALSE(scanner.finished());
}

TEST(JsonScanner, known_values_end_where_they_end) {
  JsonScanner scanner(R"({"a":"x\\\"}]y\\","b":[{"c":"]"},[2]],"d":-1.5 ,"e":true})");
  JsonText key;
  ASSERT_TRUE(scanner.enter_object());
  for (const std::string_view expected :
       {R"("x\\\"}]y\\")", R"([{"c":"]"},[2]])", "-1.5", "true"}) {
    ASSERT_TRUE(scanner.next_key(key));
    EXPECT_EQ(scanner.known_value(), expected);
  }
  EXPECT_FALSE(scanner.next_key(key));
  EXPECT_TRUE(scanner.finished());
}

TEST(JsonText, resolves_escapes) {
  const auto text = [](std::string_view raw) { return JsonText{raw, true}.text(); };
  EXPECT_EQ(text(R"(a\"\\\/\b\f\n\r\tz)"), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(text(R"(\u0041\u00e9\u4e2d\ud83d\ude00!)"), "Aé中😀!");
  EXPECT_EQ(text(R"(\ud83d!)"), "\xEF\xBF\xBD!");
  EXPECT_EQ(text(R"(\ud83d\u0041)"),
            "\xEF\xBF\xBD"
            "A");
  EXPECT_EQ(text(R"(\ude00)"), "\xEF\xBF\xBD");
}

TEST(JsonInteger, reads_integers_only) {
  EXPECT_EQ(json_integer("5"), 5);
  EXPECT_EQ(json_integer("-5"), -5);
  EXPECT_EQ(json_integer("5.0"), 5);
  EXPECT_EQ(json_integer("9223372036854775807"), INT64_MAX);
  for (const std::string_view text : {"", "5.5", "1e3", "9223372036854775808", "\"5\"", "null",
                                      "[5]", "1e400", "0.00000000000000000000000000"}) {
    EXPECT_EQ(json_integer(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace deepseek::protocol
