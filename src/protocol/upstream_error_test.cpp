#include "protocol/upstream_error.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

using base::ErrorCode;
using std::chrono::milliseconds;

constexpr std::string_view key = "my-own-key-of-an-upstream";

base::Error error(int status, std::string_view body) {
  return parse_upstream_error(status, body, milliseconds(1500), key);
}

TEST(UpstreamError, gives_each_status_its_code) {
  const std::string_view body = R"({"error":{"message":"why","type":"t","param":"n","code":null}})";
  const std::tuple<int, ErrorCode, std::string_view> cases[] = {
      {400, ErrorCode::invalid_request, "why"},
      {401, ErrorCode::upstream_failed,
       "the upstream refused the key that is configured for it (401)"},
      {402, ErrorCode::upstream_failed,
       "the account that is configured for the upstream has no balance left (402)"},
      {403, ErrorCode::upstream_failed,
       "the upstream refused the key that is configured for it (403)"},
      {404, ErrorCode::model_not_found, "why"},
      {408, ErrorCode::upstream_failed, "the upstream failed (408): why"},
      {413, ErrorCode::payload_too_large, "the request is too large for the upstream (413): why"},
      {422, ErrorCode::unprocessable, "why"},
      {429, ErrorCode::rate_limited, "the upstream takes no more requests now (429)"},
      {500, ErrorCode::upstream_failed, "the upstream failed (500): why"},
      {503, ErrorCode::unavailable, "the upstream is overloaded (503): why"},
      {529, ErrorCode::unavailable, "the upstream is overloaded (529): why"},
      {302, ErrorCode::upstream_failed, "the upstream failed (302): why"},
  };
  for (const auto& [status, code, message] : cases) {
    const base::Error found = error(status, body);
    EXPECT_EQ(found.code, code) << status;
    EXPECT_EQ(found.message, message);
    const bool waits = status == 429 || status == 503 || status == 529;
    EXPECT_EQ(found.retry_after.has_value(), waits) << status;
  }
  EXPECT_EQ(error(400, body).param, "n");
  EXPECT_EQ(error(404, "<html>nginx</html>").code, ErrorCode::upstream_failed);
}

TEST(UpstreamError, reads_the_forms_that_are_in_use) {
  for (const std::string_view body :
       {R"({"error":{"message":"why"}})", R"({"error":"why"})", R"({"detail":"why"})",
        R"({"object":"error","message":"why","code":400})",
        R"({"error":{"error":{},"message":"why"}})"}) {
    EXPECT_EQ(error(400, body).message, "why") << body;
  }
  for (const std::string_view body :
       {R"({"error":{"message":"too long","code":"context_length_exceeded"}})",
        R"({"message":"This model's maximum context length is 5 tokens."})",
        R"({"error":{"message":"x","type":"exceed_context_size_error"}})"}) {
    EXPECT_EQ(error(400, body).code, ErrorCode::context_length) << body;
  }
  for (const std::string_view body : {"", "busy", "[]", "{", R"({"error":{"message":5}})",
                                      R"({"error":{"message":"a"}} x)", "{\"message\":\"\xFF\"}"}) {
    EXPECT_EQ(error(400, body).message, "the upstream refused the request (400)") << body;
  }
}

TEST(UpstreamError, never_repeats_a_page_or_a_secret) {
  for (const std::string_view text :
       {"<html>x</html>", "see <b>this", "a </script>", "<!doctype html>", "x <IMG src=y>"}) {
    const std::string body = "{\"error\":{\"message\":\"" + std::string(text) + "\"}}";
    EXPECT_EQ(error(500, body).message, "the upstream failed (500)") << text;
  }
  EXPECT_EQ(error(500, R"({"error":"1 < 2 and <|im_end|>"})").message,
            "the upstream failed (500): 1 < 2 and <|im_end|>");
  const std::string body = R"({"error":{"message":"bad key )" + std::string(key) +
                           R"(, and sk-abcdef123456\u0007!","param":")" + std::string(key) + "\"}}";
  EXPECT_EQ(error(400, body).message, "bad key ***, and sk-*** !");
  EXPECT_EQ(error(400, body).param, "***");
  std::string many;
  for (int i = 0; i < 1000; ++i) many += key;
  const base::Error masked = error(500, "{\"error\":\"" + many + "\"}");
  EXPECT_EQ(masked.message.find("own-key"), std::string::npos);
  EXPECT_LE(masked.message.size(), 600U);
  EXPECT_LE(error(500, "{\"error\":\"" + std::string(60000, 'x') + "\"}").message.size(), 600U);
  EXPECT_EQ(error(500, "{\"error\":\"" + std::string(70000, 'x') + "\"}").message,
            "the upstream failed (500)");
}

TEST(UpstreamError, reads_how_long_to_wait) {
  constexpr std::int64_t now = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
  EXPECT_EQ(parse_retry_after("5", "", now), milliseconds(5000));
  EXPECT_EQ(parse_retry_after("5", "250", now), milliseconds(250));
  EXPECT_EQ(parse_retry_after("0.5", "", now), milliseconds(500));
  EXPECT_EQ(parse_retry_after("0", "x", now), milliseconds(0));
  EXPECT_EQ(parse_retry_after("1e300", "", now), std::chrono::hours(24));
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:50:07 GMT", "", now), milliseconds(30000));
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:00 GMT", "", now), milliseconds(0));
  EXPECT_EQ(parse_retry_after("Thu, 06 Nov 2194 08:49:00 GMT", "", now), std::chrono::hours(24));
  for (const std::string_view text :
       {"", "soon", "-1", "nan", "5 s", "Sun, 06 Nov 1994 08:49:37",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Xyz 1994 08:49:37 GMT",
        "Sun, ab Nov 1994 08:49:37 GMT"}) {
    EXPECT_EQ(parse_retry_after(text, "", now), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace deepseek::protocol
