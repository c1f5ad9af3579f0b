#include "http_scan.hpp"

#include <gtest/gtest.h>

namespace bench {
namespace {

// The payload of a body that arrives in pieces of `step` bytes; `rest` is what follows the body.
std::string payload(std::string_view head_text, std::string_view body, std::size_t step,
                    std::string* rest = nullptr) {
  BodyScanner scanner;
  scanner.start(scan_head(head_text).value());
  std::string found;
  std::size_t at = 0;
  while (at < body.size() && !scanner.done() && !scanner.broken()) {
    const std::string_view piece = body.substr(at, step);
    at += scanner.feed(piece, [&](std::string_view part) { found += part; });
  }
  if (rest != nullptr) *rest = body.substr(at);
  EXPECT_TRUE(scanner.done());
  return found;
}

TEST(ScanHead, WaitsForTheEmptyLine) {
  EXPECT_FALSE(scan_head("GET / HTTP/1.1\r\nHost: a\r\n").has_value());
  EXPECT_TRUE(scan_head("GET / HTTP/1.1\r\n\r\n").has_value());
}

TEST(ScanHead, ReadsWhatEndsAMessage) {
  const std::string text =
      "HTTP/1.1 200 OK\r\nserver: x\r\nCONTENT-length:  12 \r\nConnection: Close\r\n\r\nrest";
  const Head head = scan_head(text).value();
  EXPECT_EQ(head.status(), 200);
  EXPECT_EQ(head.length, 12u);
  EXPECT_TRUE(head.has_length);
  EXPECT_TRUE(head.close);
  EXPECT_FALSE(head.chunked);
  EXPECT_EQ(text.substr(head.size), "rest");
}

TEST(ScanHead, ARequestHasNoStatus) {
  EXPECT_EQ(scan_head("POST /v1 HTTP/1.1\r\n\r\n")->status(), 0);
  EXPECT_EQ(scan_head("POST /v1 HTTP/1.1\r\n\r\n")->start_line, "POST /v1 HTTP/1.1");
}

TEST(BodyScanner, LengthEndsWhereItSays) {
  std::string rest;
  const char* head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  for (const std::size_t step : {1, 3, 100}) {
    EXPECT_EQ(payload(head, "helloHTTP/1.1", step, &rest), "hello");
    EXPECT_EQ(rest, "HTTP/1.1");
  }
}

TEST(BodyScanner, ChunksInPiecesOfAnySize) {
  const char* head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const char* body = "5\r\nhello\r\nA;x=y\r\n, my world\r\n\r0\r\n";
  const char* good = "5\r\nhello\r\nA;x=y\r\n, my world\r\n0\r\n\r\nnext";
  std::string rest;
  for (const std::size_t step : {1, 2, 7, 100}) {
    EXPECT_EQ(payload(head, good, step, &rest), "hello, my world");
    EXPECT_EQ(rest, "next");
  }
  BodyScanner scanner;
  scanner.start(scan_head(head).value());
  scanner.feed(body, [](std::string_view) {});
  EXPECT_TRUE(scanner.broken());
}

TEST(BodyScanner, NoBodyIsDoneAtOnce) {
  BodyScanner scanner;
  scanner.start(scan_head("HTTP/1.1 204 No Content\r\n\r\n").value());
  EXPECT_TRUE(scanner.done());
}

}  // namespace
}  // namespace bench
