#include "canned.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "http_scan.hpp"

namespace bench {
namespace {

// What a client reads of a stream with these frames.
std::string stream(const std::vector<int>& numbers, bool usage = true) {
  std::string wire(stream_head());
  for (const int number : numbers) wire += content_chunk(number, 1000 + number);
  wire += stream_end(static_cast<int>(numbers.size()), usage);
  BodyScanner scanner;
  const Head head = scan_head(wire).value();
  scanner.start(head);
  std::string payload;
  scanner.feed(std::string_view(wire).substr(head.size),
               [&](std::string_view part) { payload += part; });
  EXPECT_TRUE(scanner.done());
  return payload;
}

StreamCheck checked(std::string_view payload, std::size_t step, std::vector<std::int64_t>& sent) {
  StreamCheck check;
  for (std::size_t at = 0; at < payload.size(); at += step) {
    check.feed(payload.substr(at, step), [&](std::int64_t time) { sent.push_back(time); });
  }
  return check;
}

TEST(Canned, HasTrueReadsBothForms) {
  EXPECT_TRUE(has_true(R"({"model":"a","stream":true})", "stream"));
  EXPECT_TRUE(has_true(R"({"stream": true, "n": 1})", "stream"));
  EXPECT_FALSE(has_true(R"({"stream": false})", "stream"));
  EXPECT_FALSE(has_true(R"({"stream_options": {"include_usage": true}})", "stream"));
  EXPECT_TRUE(has_true(R"({"stream_options": {"include_usage": true}})", "include_usage"));
}

TEST(Canned, CompletionIsOneMessage) {
  const std::string wire = completion_response();
  const Head head = scan_head(wire).value();
  EXPECT_EQ(head.status(), 200);
  EXPECT_EQ(head.size + head.length, wire.size());
  EXPECT_NEAR(static_cast<double>(head.length), 400, 50);
}

TEST(StreamCheck, AWholeStreamInPiecesOfAnySize) {
  for (const std::size_t step : {1, 13, 4096}) {
    std::vector<std::int64_t> sent;
    const StreamCheck check = checked(stream({0, 1, 2, 3}), step, sent);
    EXPECT_TRUE(check.complete(4));
    EXPECT_EQ(sent, (std::vector<std::int64_t>{1000, 1001, 1002, 1003}));
  }
}

TEST(StreamCheck, ReadsJsonThatWasWrittenAnew) {
  StreamCheck check;
  int frames = 0;
  check.feed(
      "data: {\"choices\": [{\"delta\": {\"content\": \"[0@77]\", \"role\": \"assistant\"}}]}\r\n"
      "\r\ndata: {\"choices\": [{\"delta\": {}, \"finish_reason\": \"stop\"}]}\r\n\r\n"
      "data: [DONE]\r\n\r\n",
      [&](std::int64_t sent_ns) {
        ++frames;
        EXPECT_EQ(sent_ns, 77);
      });
  EXPECT_EQ(frames, 1);
  EXPECT_TRUE(check.complete(1));
}

TEST(StreamCheck, FindsWhatIsLostDoubledOrCut) {
  std::vector<std::int64_t> sent;
  EXPECT_FALSE(checked(stream({0, 1, 3}), 64, sent).complete(3));
  EXPECT_FALSE(checked(stream({0, 1, 1, 2}), 64, sent).complete(3));
  EXPECT_EQ(checked(stream({1, 0}), 64, sent).disordered(), 1);
  const std::string whole = stream({0, 1, 2}, false);
  const std::string cut = whole.substr(0, whole.find("data: [DONE]"));
  EXPECT_FALSE(checked(cut, 64, sent).complete(3));
  EXPECT_TRUE(checked(whole, 64, sent).complete(3));
}

}  // namespace
}  // namespace bench
