#include "protocol/json.hpp"

#include <gtest/gtest.h>
#include <boost/json/serialize.hpp>
#include <limits>

namespace deepseek::protocol {
namespace {

std::string failure(std::string_view text, RequestLimits limits = {}) {
  const auto result = parse_json(text, limits);
  if (result) return "accepted: " + boost::json::serialize(*result);
  EXPECT_EQ(result.error().code, base::ErrorCode::invalid_request);
  return result.error().message;
}

TEST(Json, reads_every_kind_of_value) {
  const auto result = parse_json(
      " {\"a\": [1, -2.5, 18446744073709551615, true, null], \"é\\n\": \"\\ud83d\\ude00\"} ", {});
  ASSERT_TRUE(result);
  EXPECT_EQ(boost::json::serialize(*result),
            "{\"a\":[1,-2.5E0,18446744073709551615,true,null],\"é\\n\":\"😀\"}");
}

TEST(Json, tells_where_and_what_was_expected) {
  const struct {
    std::string_view text;
    std::string_view message;
  } cases[] = {
      {"", "the body is empty; a JSON value is expected"},
      {" \n", "the body is empty; a JSON value is expected"},
      {"{\"prompt\": \"hi\" x}",
       "bad JSON at line 1, column 17 (byte 16): expected ',' or '}', found 'x'"},
      {"{\n  \"é\" 1}",
       "bad JSON at line 2, column 7 (byte 9): expected ':' after the key, found '1'"},
      {"{'a': 1}",
       "bad JSON at line 1, column 2 (byte 1): expected a key in double quotes or '}', found '''"},
      {"{\"a\":1,}",
       "bad JSON at line 1, column 8 (byte 7): expected a key in double quotes, found '}'"},
      {"[1,]", "bad JSON at line 1, column 4 (byte 3): expected a value, found ']'"},
      {"[1 2]", "bad JSON at line 1, column 4 (byte 3): expected ',' or ']', found '2'"},
      {"{\"a\": }", "bad JSON at line 1, column 7 (byte 6): expected a value, found '}'"},
      {"{\"a\": [1", "bad JSON at line 1, column 9 (byte 8): expected ',' or ']', found the end"},
      {"{\"a\": \"b",
       "bad JSON at line 1, column 9 (byte 8): a string is not closed: expected '\"', found the "
       "end"},
      {"hello=1", "bad JSON at line 1, column 1 (byte 0): expected a value, found 'h'"},
      {"{} {}", "bad JSON at line 1, column 4 (byte 3): expected the end, found '{'"},
      {"{}\x01",
       "bad JSON at line 1, column 3 (byte 2): expected the end, found the control character 1"},
  };
  for (const auto& c : cases) EXPECT_EQ(failure(c.text), c.message) << c.text;
}

TEST(Json, refuses_duplicate_keys_in_any_object) {
  EXPECT_EQ(
      failure("{\"model\":\"a\",\n\"x\":1,\"model\":\"b\"}"),
      "bad JSON at line 2, column 8 (byte 21): the key \"model\" is given twice in one object");
  EXPECT_NE(failure("[{\"b\":{\"a\":1,\"\\u0061\":2}}]").find("\"a\" is given twice"),
            std::string::npos);
  EXPECT_TRUE(parse_json("{\"a\":{\"a\":1},\"b\":{\"a\":1}}", {}));
}

TEST(Json, refuses_nul_surrogates_and_invalid_utf8) {
  using namespace std::string_view_literals;
  EXPECT_NE(failure("[\"a\\u0000b\"]").find("NUL"), std::string::npos);
  EXPECT_NE(failure("{\"a\\u0000\": 1}").find("NUL"), std::string::npos);
  EXPECT_NE(failure("[\"a\0b\"]"sv).find("control character"), std::string::npos);
  EXPECT_NE(failure("[1]\0"sv).find("expected the end"), std::string::npos);
  EXPECT_NE(failure("[\"\\ud800\"]").find("surrogate"), std::string::npos);
  EXPECT_NE(failure("[\"\\ud800x\"]").find("surrogate"), std::string::npos);
  EXPECT_NE(failure("[\"\\ud800\\u0041\"]").find("surrogate"), std::string::npos);
  EXPECT_NE(failure("[\"\\udc00\"]").find("surrogate"), std::string::npos);
  EXPECT_NE(failure("[\"\xED\xA0\x80\"]").find("not valid UTF-8"), std::string::npos);
  EXPECT_EQ(failure("[\"ab\xFF\"]"),
            "bad JSON at line 1, column 5 (byte 4): the bytes here are not valid UTF-8");
  EXPECT_NE(failure("[\"\xC0\x80\"]").find("not valid UTF-8"), std::string::npos);
  EXPECT_NE(failure("[\"\xE4\xB8\"]").find("not valid UTF-8"), std::string::npos);
  EXPECT_NE(failure("[\"\\uZZZZ\"]").find("hex digits"), std::string::npos);
  EXPECT_NE(failure("[\"\\q\"]").find("bad escape"), std::string::npos);
  EXPECT_NE(failure("[\"a\nb\"]").find("must be escaped"), std::string::npos);
}

TEST(Json, refuses_numbers_that_are_none) {
  for (const std::string_view text :
       {"1e400", "-1e400", "1e99999999999", "NaN", "Infinity", "-Infinity", "+1", "01", "1.", ".5",
        "0x10", "1e", "--1", "-"}) {
    EXPECT_EQ(failure("[" + std::string(text) + "]").substr(0, 8), "bad JSON") << text;
  }
  EXPECT_NE(failure("[1e400]").find("too large for a double"), std::string::npos);
  EXPECT_TRUE(parse_json("[1e-400, 1e308, 123456789012345678901234567890]", {}));
}

TEST(Json, bounds_depth_and_keys) {
  RequestLimits limits;
  limits.json_depth_max = 3;
  EXPECT_TRUE(parse_json("[[[1]]]", limits));
  EXPECT_NE(failure("[[[[1]]]]", limits).find("deeper than 3 levels (limits.json_depth_max)"),
            std::string::npos);
  EXPECT_NE(failure(std::string(1'000'000, '[')).find("limits.json_depth_max"), std::string::npos);
  std::string bomb;
  for (int i = 0; i < 100'000; ++i) bomb += "{\"a\":";
  EXPECT_NE(failure(bomb).find("limits.json_depth_max"), std::string::npos);
  limits.json_keys_max = 2;
  EXPECT_TRUE(parse_json("[{\"a\":1,\"b\":2},{\"a\":1,\"b\":2}]", limits));
  EXPECT_NE(failure("{\"a\":1,\"b\":2,\"c\":3}", limits).find("limits.json_keys_max"),
            std::string::npos);
}

TEST(Json, an_object_is_asked_for) {
  EXPECT_TRUE(parse_json_object("{}", {}));
  const auto list = parse_json_object("[]", {});
  ASSERT_FALSE(list);
  EXPECT_NE(list.error().message.find("must be a JSON object"), std::string::npos);
}

TEST(Json, large_strings_and_keys_arrive_whole) {
  const std::string big(300'000, 'x');
  const auto result = parse_json("{\"" + big + "\\n\":\"" + big + "\\u00e9" + big + "\"}", {});
  ASSERT_TRUE(result);
  const auto& object = result->get_object();
  EXPECT_EQ(std::string(object.begin()->key()), big + "\n");
  EXPECT_EQ(object.begin()->value().get_string().size(), 2 * big.size() + 2);
}

std::string string_of(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonWriter, escapes_and_never_emits_invalid_utf8) {
  EXPECT_EQ(string_of("a\"b\\c\n\r\t\x01\x7F 解"), "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u007f 解\"");
  EXPECT_EQ(string_of("a\xE4\xB8"), "\"a\uFFFD\"");
  EXPECT_EQ(string_of("\xFF\"b"), "\"\uFFFD\\\"b\"");
}

TEST(JsonWriter, numbers_are_short_and_exact) {
  std::string out;
  append_json_number(out, 0.1);
  out += ' ';
  append_json_number(out, 0.1F);
  out += ' ';
  append_json_number(out, std::numeric_limits<double>::quiet_NaN());
  out += ' ';
  append_json_number(out, -std::numeric_limits<double>::infinity());
  out += ' ';
  append_json_integer(out, std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(out, "0.1 0.1 null null -9223372036854775808");
}

}  // namespace
}  // namespace deepseek::protocol
