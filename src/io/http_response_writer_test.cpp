#include "io/http_response_writer.hpp"

#include <gtest/gtest.h>

namespace deepseek::io {
namespace {

HttpResponse response_with(std::string name, std::string value) {
  HttpResponse response;
  response.fields.add(std::move(name), std::move(value));
  return response;
}

TEST(HttpResponseWriter, WritesAHead) {
  std::string out;
  ResponseHeadOptions options;
  options.content_length = 5;
  options.date = "today";
  ASSERT_TRUE(append_response_head(response_with("Content-Type", "a/b"), options, out));
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nDate: today\r\nServer: deepseek-server\r\nContent-Type: a/b\r\n"
            "Content-Length: 5\r\n\r\n");
}

TEST(HttpResponseWriter, RefusesFieldsThatWouldBreakTheFraming) {
  for (const std::string& value : {std::string("a\r\nSet-Cookie: b"), std::string("a\nb"),
                                   std::string("a\rb"), std::string("a\0b", 3)}) {
    std::string out;
    EXPECT_FALSE(append_response_head(response_with("A", value), {}, out));
    EXPECT_EQ(out, "");
  }
  std::string out;
  EXPECT_FALSE(append_response_head(response_with("A b", "c"), {}, out));
  EXPECT_FALSE(append_response_head(response_with("", "c"), {}, out));
}

TEST(HttpResponseWriter, KeepsItsOwnFields) {
  std::string out;
  ResponseHeadOptions options;
  options.framing = ResponseFraming::chunked;
  options.close = true;
  ASSERT_TRUE(append_response_head(response_with("content-LENGTH", "7"), options, out));
  EXPECT_EQ(out.find('7'), std::string::npos);
  EXPECT_NE(out.find("Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"), std::string::npos);
}

TEST(HttpResponseWriter, WritesDatesAndChunkSizes) {
  EXPECT_EQ(http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(ChunkHeader(255).text(), "ff\r\n");
  EXPECT_FALSE(status_has_body(204));
  EXPECT_TRUE(status_has_body(500));
}

TEST(ParseQuery, DecodesFormsAndKeepsBadEscapes) {
  const auto pairs = parse_query("prompt=%E4%BD%A0+a&b&&c=%zz%4&=d%");
  ASSERT_EQ(pairs.size(), 4u);
  EXPECT_EQ(pairs[0], std::make_pair(std::string("prompt"), std::string("你 a")));
  EXPECT_EQ(pairs[1], std::make_pair(std::string("b"), std::string()));
  EXPECT_EQ(pairs[2], std::make_pair(std::string("c"), std::string("%zz%4")));
  EXPECT_EQ(pairs[3], std::make_pair(std::string(), std::string("d%")));
}

}  // namespace
}  // namespace deepseek::io
