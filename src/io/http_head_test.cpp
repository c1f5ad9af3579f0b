#include "io/http_head.hpp"

#include <gtest/gtest.h>
#include <string>

namespace deepseek::io {
namespace {

using base::ErrorCode;

HeadResult parse(std::string_view bytes) {
  return parse_head(bytes, 100);
}

int status_of(const HeadResult& result) {
  if (result) return 200;
  if (result.error().status != 0) return result.error().status;
  return base::describe(result.error().error.code).http_status;
}

TEST(HttpHead, ReadsAnOrdinaryHead) {
  auto head = parse(
      "POST /v1/chat?x=1&y HTTP/1.1\r\nHost: localhost:8080\r\ncontent-TYPE:  a/b \t\r\n"
      "Content-Length: 12\r\nEmpty:\r\nExpect: 100-Continue\r\n\r\n");
  ASSERT_TRUE(head) << head.error().error.message;
  EXPECT_EQ(head->request.method, "POST");
  EXPECT_EQ(head->request.target, "/v1/chat?x=1&y");
  EXPECT_EQ(head->request.path, "/v1/chat");
  EXPECT_EQ(head->request.query, "x=1&y");
  EXPECT_EQ(head->request.fields.find("Content-Type"), "a/b");
  EXPECT_EQ(head->request.fields.find("empty"), "");
  EXPECT_EQ(head->framing, BodyFraming::length);
  EXPECT_EQ(head->content_length, 12u);
  EXPECT_TRUE(head->keep_alive);
  EXPECT_TRUE(head->expect_continue);
}

TEST(HttpHead, TakesAQueryAsPeopleTypeIt) {
  auto head = parse("POST /generate?prompt=\xE9\x87\x8F HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(head) << head.error().error.message;
  EXPECT_EQ(head->request.path, "/generate");
  EXPECT_EQ(head->request.query, "prompt=\xE9\x87\x8F");
}

TEST(HttpHead, KnowsWhenAConnectionIsKept) {
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n")->keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")->keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n")->keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
                  ->keep_alive);
}

TEST(HttpHead, TakesChunkedAlone) {
  auto head = parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->framing, BodyFraming::chunked);
}

TEST(HttpHead, TakesHosts) {
  for (const char* host : {"a", "a.b-c_d:80", "127.0.0.1", "[::1]", "[::1]:8080", "a:"}) {
    EXPECT_TRUE(parse("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n")) << host;
  }
  EXPECT_TRUE(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"));
}

struct BadHead {
  const char* name;
  std::string bytes;
  int status;
};

std::string name_of(const testing::TestParamInfo<BadHead>& parameter) {
  return parameter.param.name;
}

class HttpHeadRefuses : public testing::TestWithParam<BadHead> {};

TEST_P(HttpHeadRefuses, WithItsStatus) {
  EXPECT_EQ(status_of(parse(GetParam().bytes)), GetParam().status);
}

std::string with(const std::string& fields) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n\r\n";
}

std::string target(const std::string& text) {
  return "GET " + text + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

std::string host(const std::string& text) {
  return "GET / HTTP/1.1\r\nHost:" + text + "\r\n\r\n";
}

INSTANTIATE_TEST_SUITE_P(
    Framing, HttpHeadRefuses,
    testing::Values(
        BadHead{"LengthAndChunked", with("Content-Length: 1\r\nTransfer-Encoding: chunked"), 400},
        BadHead{"ChunkedAndLength", with("Transfer-Encoding: chunked\r\nContent-Length: 1"), 400},
        BadHead{"TwoCodings", with("Transfer-Encoding: gzip, chunked"), 400},
        BadHead{"TwiceChunked", with("Transfer-Encoding: chunked, chunked"), 400},
        BadHead{"TwoCodingFields", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
                400},
        BadHead{"Identity", with("Transfer-Encoding: identity"), 400},
        BadHead{"EmptyCoding", with("Transfer-Encoding:"), 400},
        BadHead{"Quoted", with("Transfer-Encoding: \"chunked\""), 400},
        BadHead{"Xchunked", with("Transfer-Encoding: xchunked"), 400},
        BadHead{"Parameter", with("Transfer-Encoding: chunked;q=1"), 400},
        BadHead{"OtherCase", with("Transfer-Encoding: Chunked"), 400},
        BadHead{"VerticalTab", with("Transfer-Encoding:\vchunked"), 400},
        BadHead{"NameWithSpace", with("Transfer-Encoding : chunked"), 400},
        BadHead{"ChunkedOn10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        BadHead{"TwoLengths", with("Content-Length: 1\r\nContent-Length: 1"), 400},
        BadHead{"LengthList", with("Content-Length: 1, 1"), 400},
        BadHead{"PlusLength", with("Content-Length: +1"), 400},
        BadHead{"MinusLength", with("Content-Length: -1"), 400},
        BadHead{"HexLength", with("Content-Length: 0x1"), 400},
        BadHead{"EmptyLength", with("Content-Length:"), 400},
        BadHead{"SpaceInLength", with("Content-Length: 1 2"), 400},
        BadHead{"OverflowingLength", with("Content-Length: 18446744073709551616"), 400},
        BadHead{"OtherExpectation", with("Expect: 200-ok"), 417},
        BadHead{"TwoExpectations", with("Expect: 100-continue\r\nExpect: 100-continue"), 417}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Lines, HttpHeadRefuses,
    testing::Values(BadHead{"BareLf", "GET / HTTP/1.1\nHost: a\n\n", 400},
                    BadHead{"BareLfInside", with("A: b\nC: d"), 400},
                    BadHead{"BareCrInside", with("A: b\rC: d"), 400},
                    BadHead{"Folded", with("A: b\r\n c"), 400},
                    BadHead{"FoldedTab", with("A: b\r\n\tc"), 400},
                    BadHead{"FoldedFirst", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
                    BadHead{"NoColon", with("A"), 400}, BadHead{"EmptyName", with(": b"), 400},
                    BadHead{"TabBeforeColon", with("A\t: b"), 400},
                    BadHead{"NameWithBrace", with("A{: b"), 400},
                    BadHead{"NameNotAscii", with("\xc3\xa4: b"), 400},
                    BadHead{"Nul", with(std::string("A: b\0c", 6)), 400},
                    BadHead{"Delete", with("A: b\x7f"), 400},
                    BadHead{"Escape", with("A: \x1b[0m"), 400},
                    BadHead{"BytesBehind", "GET / HTTP/1.1\r\nHost: a\r\n\r\nx", 400}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    RequestLine, HttpHeadRefuses,
    testing::Values(BadHead{"Absolute", target("http://a/"), 400},
                    BadHead{"Authority", target("a:80"), 400}, BadHead{"Star", target("*"), 400},
                    BadHead{"Relative", target("a/b"), 400},
                    BadHead{"Fragment", target("/a#b"), 400}, BadHead{"Space", target("/a b"), 400},
                    BadHead{"TwoSpaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                    BadHead{"Tab", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
                    BadHead{"NotAscii", target("/\xc3\xa4"), 400},
                    BadHead{"QueryNotUtf8", target("/a?b=\xc3"), 400},
                    BadHead{"Version09", "GET /\r\n\r\n", 400},
                    BadHead{"Version20", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
                    BadHead{"Version12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
                    BadHead{"Preface", "PRI * HTTP/2.0\r\n\r\n", 505},
                    BadHead{"LowerCaseVersion", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
                    BadHead{"LongVersion", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
                    BadHead{"MethodNotToken", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                    BadHead{"MethodTooLong",
                            std::string(33, 'A') + " / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
                    BadHead{"NoMethod", " / HTTP/1.1\r\nHost: a\r\n\r\n", 400}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Host, HttpHeadRefuses,
    testing::Values(BadHead{"Missing", "GET / HTTP/1.1\r\n\r\n", 400},
                    BadHead{"Twice", host(" a\r\nHost: a"), 400}, BadHead{"Empty", host(""), 400},
                    BadHead{"UserInfo", host(" u@a"), 400}, BadHead{"Path", host(" a/b"), 400},
                    BadHead{"List", host(" a, b"), 400}, BadHead{"BadPort", host(" a:b"), 400},
                    BadHead{"LargePort", host(" a:65536"), 400},
                    BadHead{"OpenBracket", host(" [::1"), 400},
                    BadHead{"Percent", host(" a%00"), 400},
                    BadHead{"Bad10", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400}),
    name_of);

TEST(HttpHead, BoundsTheNumberOfFields) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n";
  EXPECT_TRUE(parse_head(head, 3));
  auto refused = parse_head(head, 2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error.code, ErrorCode::header_too_large);
  EXPECT_EQ(refused.error().limit, "fields_max");
}

TEST(HeadScanner, FindsTheEndByteByByteAndAtOnce) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string bytes = head + "body\n\n";
  HeadScanner at_once;
  EXPECT_EQ(at_once.scan(bytes), HeadScanner::Status::complete);
  EXPECT_EQ(at_once.size(), head.size());
  HeadScanner stepwise;
  for (std::size_t size = 1; size < head.size(); ++size) {
    ASSERT_EQ(stepwise.scan(std::string_view(bytes).substr(0, size)),
              HeadScanner::Status::incomplete);
  }
  EXPECT_EQ(stepwise.scan(std::string_view(bytes).substr(0, head.size())),
            HeadScanner::Status::complete);
  EXPECT_EQ(stepwise.size(), head.size());
}

TEST(HeadScanner, RefusesAtTheFirstImpossibleByte) {
  for (std::string_view bytes :
       {std::string_view("\x16\x03\x01"), std::string_view("GET / HTTP/1.1\n"),
        std::string_view("GET /\rx"), std::string_view("GET /\0", 6), std::string_view(" "),
        std::string_view("\n")}) {
    HeadScanner scanner;
    EXPECT_EQ(scanner.scan(bytes), HeadScanner::Status::invalid) << bytes;
  }
}

}  // namespace
}  // namespace deepseek::io
