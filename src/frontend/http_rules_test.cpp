#include "frontend/http_rules.hpp"

#include <gtest/gtest.h>

namespace deepseek::frontend {
namespace {

const EndpointRow post{"POST", "/p", Endpoint::chat, BodyForm::json, "/p", ""};
const EndpointRow get{"GET", "/g", Endpoint::health, BodyForm::none, "/g", ""};

bool takes(std::string type, const EndpointRow& row = post) {
  io::HttpRequest request;
  request.fields.add("content-type", std::move(type));
  return check_body_form(row, request).has_value();
}

TEST(BodyForm, TakesWhateverMayBeJson) {
  for (const char* type :
       {"application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "text/json",
        "application/x-www-form-urlencoded", "text/plain", "text/plain;charset=UTF-8",
        "application/vnd.api+json", "application/octet-stream", "", "nonsense"}) {
    EXPECT_TRUE(takes(type)) << type;
  }
  EXPECT_TRUE(check_body_form(post, {}).has_value());
}

TEST(BodyForm, RefusesWhatCannotBe) {
  for (const char* type :
       {"multipart/form-data; boundary=x", "text/html", " Text/HTML ; charset=utf-8", "image/png",
        "audio/wav", "video/mp4", "text/xml", "application/xml", "image/svg+xml",
        "application/soap+xml", "application/pdf", "application/zip"}) {
    EXPECT_FALSE(takes(type)) << type;
    EXPECT_TRUE(takes(type, get)) << type;
  }
}

TEST(BodyForm, RefusesCompressedBodies) {
  io::HttpRequest request;
  request.fields.add("Content-Encoding", "gzip");
  auto refused = check_body_form(post, request);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, base::ErrorCode::unsupported_media_type);
  EXPECT_NE(refused.error().message.find("gzip"), std::string::npos);
  io::HttpRequest plain;
  plain.fields.add("Content-Encoding", "Identity");
  EXPECT_TRUE(check_body_form(post, plain).has_value());
}

TEST(RequestId, IsTakenOnlyWhenSane) {
  EXPECT_TRUE(is_sane_request_id("trace-me_4.2"));
  EXPECT_TRUE(is_sane_request_id(std::string(128, 'a')));
  EXPECT_FALSE(is_sane_request_id(std::string(129, 'a')));
  EXPECT_FALSE(is_sane_request_id(""));
  EXPECT_FALSE(is_sane_request_id("a b"));
  EXPECT_FALSE(is_sane_request_id("a\"b"));
  EXPECT_FALSE(is_sane_request_id("a\nb"));
  EXPECT_FALSE(is_sane_request_id("\xc3\xa9"));
  io::HttpRequest request;
  EXPECT_EQ(choose_request_id(request, "made"), "made");
  request.fields.add("X-Request-ID", "given");
  EXPECT_EQ(choose_request_id(request, "made"), "given");
}

TEST(ErrorResponse, SaysWhenToComeAgain) {
  auto error = base::make_error(base::ErrorCode::unavailable, "loading");
  EXPECT_EQ(error_response(error, "id").fields.find("retry-after"), "1");
  error.retry_after = std::chrono::milliseconds(2500);
  auto response = error_response(error, "id");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.fields.find("Retry-After"), "3");
  EXPECT_EQ(response.fields.find("Retry-After-Ms"), "2500");
  EXPECT_EQ(response.fields.find("X-Request-Id"), "id");
  error = base::make_error(base::ErrorCode::invalid_request, "wrong", "n");
  EXPECT_FALSE(error_response(error, "id").fields.find("Retry-After"));
}

}  // namespace
}  // namespace deepseek::frontend
