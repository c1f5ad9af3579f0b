#include "protocol/sse.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

TEST(SseFrame, splits_lines) {
  EXPECT_EQ(sse_frame("{}"), "data: {}\n\n");
  EXPECT_EQ(sse_frame("a\nb\r\nc\rd", "ping\nx"),
            "event: ping\ndata: a\ndata: b\ndata: c\ndata: d\n\n");
  EXPECT_EQ(sse_frame(""), "data: \n\n");
  EXPECT_EQ(sse_comment("a\nb"), ": a b\n\n");
}

TEST(SseReader, reads_the_same_in_any_pieces) {
  const std::string text =
      "\xEF\xBB\xBF: comment\r\ndata: one\r\n\r\nevent: ping\rid: 7\rdata:two\rdata:  three\r\r"
      "data\n\nevent: lost\n\nretry: 5\ndata: [DONE]\n\ndata: cut";
  const std::vector<SseEvent> expected{
      {"", "one", ""}, {"ping", "two\n three", "7"}, {"", "", "7"}, {"", "[DONE]", "7"}};
  for (std::size_t size = 1; size <= text.size(); ++size) {
    SseReader reader;
    std::vector<SseEvent> events;
    for (std::size_t i = 0; i < text.size(); i += size) {
      ASSERT_TRUE(reader.push(std::string_view(text).substr(i, size), events));
    }
    EXPECT_EQ(events, expected) << "pieces of " << size;
  }
}

TEST(SseReader, bounds_lines_and_events_and_stays_failed) {
  SseReader reader(SseReader::Limits{16, 32});
  std::vector<SseEvent> events;
  const auto line = reader.push("data: 0123456789abcdef", events);
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().code, base::ErrorCode::upstream_failed);
  EXPECT_FALSE(reader.push("\n\n", events));
  SseReader other(SseReader::Limits{16, 32});
  ASSERT_TRUE(other.push("data: 123456789\ndata: 123456789\ndata: 123456789\n", events));
  EXPECT_FALSE(other.push("data: 123456789\n", events));
  EXPECT_TRUE(events.empty());
}

TEST(SseReader, reads_what_the_frame_writer_wrote) {
  SseReader reader;
  std::vector<SseEvent> events;
  ASSERT_TRUE(reader.push(std::string(sse_keep_alive) + sse_frame("a\nb", "e"), events));
  EXPECT_EQ(events, (std::vector<SseEvent>{{"e", "a\nb", ""}}));
}

}  // namespace
}  // namespace deepseek::protocol
