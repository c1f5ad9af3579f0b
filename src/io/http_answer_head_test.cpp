#include "io/http_answer_head.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

namespace deepseek::io {
namespace {

using testing::HasSubstr;

HttpAnswerHead good(const std::string& bytes, bool to_head = false) {
  auto head = parse_answer_head(bytes, to_head);
  EXPECT_FALSE(head.has_error()) << bytes;
  return head.has_error() ? HttpAnswerHead{} : *head;
}

TEST(HttpAnswerHead, FramingByLength) {
  const auto head = good("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX: y\r\n\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.framing, AnswerFraming::length);
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(head.fields.find("x"), "y");
}

TEST(HttpAnswerHead, FramingByChunksCloseOrNothing) {
  EXPECT_EQ(good("HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n").framing,
            AnswerFraming::chunked);
  const auto open = good("HTTP/1.1 200\r\n\r\n");
  EXPECT_EQ(open.framing, AnswerFraming::until_close);
  EXPECT_FALSE(open.keep_alive);
  EXPECT_EQ(good("HTTP/1.1 204 No Content\r\n\r\n").framing, AnswerFraming::none);
  EXPECT_EQ(good("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true).framing,
            AnswerFraming::none);
  EXPECT_EQ(good("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").framing, AnswerFraming::none);
  EXPECT_TRUE(good("HTTP/1.1 100 Continue\r\n\r\n").interim());
}

TEST(HttpAnswerHead, KeepsTheConnectionAsTheServerSays) {
  EXPECT_FALSE(
      good("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: x, Close\r\n\r\n").keep_alive);
  EXPECT_FALSE(good("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n").keep_alive);
  EXPECT_TRUE(
      good("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n").keep_alive);
}

TEST(HttpAnswerHead, RefusesWhatCouldBeReadInTwoWays) {
  for (const char* bytes : {
           "HTTP/2 200 OK\r\n\r\n",
           "HTTP/1.1 20 OK\r\n\r\n",
           "HTTP/1.1 2000\r\n\r\n",
           "HTTP/1.1 099 x\r\n\r\n",
           "SSH-2.0-x\r\n\r\n",
           "HTTP/1.1 101 Switching Protocols\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
           "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
           "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
           "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
       }) {
    const auto head = parse_answer_head(bytes, false);
    ASSERT_TRUE(head.has_error()) << bytes;
    EXPECT_EQ(head.error().code, base::ErrorCode::upstream_failed);
  }
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 300; ++i) many += "A: b\r\n";
  const auto head = parse_answer_head(many + "\r\n", false);
  ASSERT_TRUE(head.has_error());
  EXPECT_THAT(head.error().message, HasSubstr("256"));
}

}  // namespace
}  // namespace deepseek::io
