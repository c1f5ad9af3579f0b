#include "protocol/upstream_stream.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

using Kind = UpstreamFrame::Kind;

std::vector<UpstreamFrame> read(UpstreamStreamReader& reader, std::string_view bytes) {
  std::vector<UpstreamFrame> frames;
  const auto pushed = reader.push(bytes, frames);
  EXPECT_TRUE(pushed) << bytes << (pushed ? "" : pushed.error().message);
  return frames;
}

UpstreamFrame only(std::string_view bytes) {
  UpstreamStreamReader reader;
  const auto frames = read(reader, bytes);
  EXPECT_EQ(frames.size(), 1U) << bytes;
  return frames.empty() ? UpstreamFrame() : frames.front();
}

void expect_broken(std::string_view bytes, std::string_view words) {
  UpstreamStreamReader reader;
  std::vector<UpstreamFrame> frames;
  const auto pushed = reader.push(bytes, frames);
  ASSERT_FALSE(pushed) << bytes;
  EXPECT_EQ(pushed.error().code, base::ErrorCode::upstream_failed);
  EXPECT_NE(pushed.error().message.find(words), std::string::npos) << pushed.error().message;
  EXPECT_TRUE(frames.empty()) << bytes;
  EXPECT_FALSE(reader.push("data: {}\n\n", frames));
  EXPECT_TRUE(frames.empty());
}

TEST(UpstreamStream, tells_what_a_relay_must_know) {
  UpstreamStreamReader reader;
  const std::string_view role =
      R"(data: {"id":"c-1","object":"chat.completion.chunk","created":1700000000,"model":"m",)"
      R"("choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,)"
      R"("finish_reason":null}],"usage":null})"
      "\n\n";
  const std::string_view text =
      R"(data: {"choices":[{"delta":{"content":"a\"\u4e2d","reasoning_content":null}}]})"
      "\n\n";
  const std::string_view end =
      R"(data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]})"
      "\n\n";
  const std::string_view usage =
      R"(data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,)"
      R"("prompt_tokens_details":{"cached_tokens":3,"x":null},)"
      R"("completion_tokens_details":{"reasoning_tokens":1}}})"
      "\n\n";
  std::string all = ": keep-alive\n\n";
  for (const std::string_view frame : {role, text, end, usage}) all += frame;
  all += "data: [DONE]\n\n";
  const auto frames = read(reader, all);
  ASSERT_EQ(frames.size(), 6U);
  EXPECT_EQ(frames[0].kind, Kind::comment);
  EXPECT_EQ(frames[0].raw, ": keep-alive\n\n");
  EXPECT_EQ(frames[1].kind, Kind::chunk);
  EXPECT_EQ(frames[1].raw, role);
  EXPECT_FALSE(frames[1].has_content());
  EXPECT_FALSE(frames[1].usage_only());
  EXPECT_EQ(frames[1].chunk.id.text(), "c-1");
  EXPECT_EQ(frames[1].chunk.model.text(), "m");
  EXPECT_EQ(frames[1].chunk.created, 1700000000);
  EXPECT_TRUE(frames[2].has_content());
  EXPECT_EQ(frames[2].chunk.choices[0].content.text(), "a\"中");
  EXPECT_EQ(frames[2].chunk.choices[0].finish_reason, std::nullopt);
  EXPECT_FALSE(frames[3].has_content());
  EXPECT_EQ(frames[3].chunk.choices[0].finish_reason, FinishReason::length);
  EXPECT_TRUE(frames[4].usage_only());
  EXPECT_EQ(frames[4].chunk.usage, (Usage{5, 2, 3, 1}));
  EXPECT_EQ(frames[5].kind, Kind::done);
  EXPECT_TRUE(reader.done());
}

TEST(UpstreamStream, reads_deltas_of_every_kind) {
  const auto first = [](std::string_view choice) {
    static std::string text;
    text = "data: {\"choices\":[{" + std::string(choice) + "}]}\n\n";
    return only(text).chunk.choices.at(0);
  };
  EXPECT_EQ(first(R"("delta":{"reasoning_content":"hm"})").reasoning.text(), "hm");
  EXPECT_EQ(first(R"("delta":{"reasoning":"hm"})").reasoning.text(), "hm");
  EXPECT_EQ(first(R"("delta":{"reasoning":"a","reasoning_content":"b"})").reasoning.text(), "b");
  EXPECT_EQ(first(R"("delta":{"reasoning_content":"b","reasoning":"a"})").reasoning.text(), "b");
  EXPECT_EQ(first(R"("text":"raw","index":3)").content.text(), "raw");
  EXPECT_EQ(first(R"("text":"raw","index":3)").index, 3);
  EXPECT_EQ(first(R"("index":-7)").index, -1);
  EXPECT_EQ(first(R"("index":99999999999)").index, -1);
  EXPECT_EQ(first(R"("delta":{"tool_calls":[{"index":0}]})").tool_calls, R"([{"index":0}])");
  for (const std::string_view nothing :
       {R"("delta":{"tool_calls":[ ]})", R"("delta":{"tool_calls":null})", R"("delta":null)",
        R"("delta":{"refusal":null,"audio":null,"function_call":{}})", R"("logprobs":null)",
        R"("delta":{"content":5})", R"("text":null)"}) {
    EXPECT_FALSE(first(nothing).has_content()) << nothing;
  }
  for (const std::string_view other :
       {R"("delta":{"refusal":"no"})", R"("delta":{"audio":{"id":"x"}})",
        R"("delta":{"function_call":{"name":"f"}})", R"("delta":{"content":[{"type":"x"}]})"}) {
    EXPECT_TRUE(first(other).other) << other;
    EXPECT_TRUE(first(other).has_content()) << other;
  }
  EXPECT_EQ(first(R"("logprobs":{"content":[]})").logprobs, R"({"content":[]})");
}

TEST(UpstreamStream, keeps_choices_apart) {
  const auto frame = only(R"(data: {"choices":[{"index":1,"delta":{"content":"b"}},)"
                          R"({"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]})"
                          "\n\n");
  ASSERT_EQ(frame.chunk.choices.size(), 2U);
  EXPECT_EQ(frame.chunk.choices[0].index, 1);
  EXPECT_EQ(frame.chunk.choices[0].content.text(), "b");
  EXPECT_EQ(frame.chunk.choices[1].finish_reason, FinishReason::stop);
}

TEST(UpstreamStream, maps_finish_reasons) {
  const std::pair<std::string_view, FinishReason> cases[] = {
      {"stop", FinishReason::stop},
      {"length", FinishReason::length},
      {"tool_calls", FinishReason::tool_calls},
      {"function_call", FinishReason::tool_calls},
      {"eos_token", FinishReason::stop},
      {"content_filter", FinishReason::content_filter}};
  for (const auto& [text, reason] : cases) {
    const std::string bytes =
        "data: {\"choices\":[{\"finish_reason\":\"" + std::string(text) + "\"}]}\n\n";
    EXPECT_EQ(only(bytes).chunk.choices[0].finish_reason, reason) << text;
    EXPECT_EQ(only(bytes).kind, Kind::chunk);
  }
  for (const std::string_view text : {"insufficient_system_resource", "abort", "error"}) {
    const std::string bytes =
        "data: {\"choices\":[{\"finish_reason\":\"" + std::string(text) + "\"}]}\n\n";
    EXPECT_EQ(only(bytes).kind, Kind::error) << text;
    EXPECT_TRUE(only(bytes).chunk.interrupted);
  }
}

TEST(UpstreamStream, sees_errors_in_the_stream) {
  EXPECT_EQ(only("data: {\"error\":{\"message\":\"x\"}}\n\n").chunk.error, R"({"message":"x"})");
  for (const std::string_view bytes :
       {"data: {\"error\":{\"message\":\"x\"}}\n\n", "data: {\"error\":\"x\"}\n\n",
        "data: {\"object\":\"error\",\"message\":\"x\"}\n\n", "error: {\"code\":500}\n\n",
        "event: error\ndata: {\"message\":\"x\"}\n\n"}) {
    EXPECT_EQ(only(bytes).kind, Kind::error) << bytes;
    EXPECT_FALSE(only(bytes).chunk.error.empty()) << bytes;
  }
  EXPECT_EQ(only("data: {\"error\":null,\"choices\":[]}\n\n").kind, Kind::chunk);
}

TEST(UpstreamStream, counts_that_are_none_are_minus_one) {
  const auto usage = [](std::string_view text) {
    const std::string bytes = "data: {\"usage\":" + std::string(text) + "}\n\n";
    return only(bytes).chunk.usage;
  };
  EXPECT_EQ(usage("null"), std::nullopt);
  EXPECT_EQ(usage("5"), std::nullopt);
  EXPECT_EQ(usage("{}"), (Usage{-1, -1, 0, 0}));
  EXPECT_EQ(usage(R"({"prompt_tokens":1e400,"completion_tokens":"5"})"), (Usage{-1, -1, 0, 0}));
  EXPECT_EQ(usage(R"({"prompt_tokens":-5,"completion_tokens":2.0})"), (Usage{-5, 2, 0, 0}));
  EXPECT_EQ(usage(R"({"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":4,)"
                  R"("prompt_tokens_details":{"cached_tokens":3}})"),
            (Usage{9, 1, 4, 0}));
  EXPECT_EQ(usage(R"({"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":null,)"
                  R"("prompt_tokens_details":null,"completion_tokens_details":{}})"),
            (Usage{9, 1, 0, 0}));
}

TEST(UpstreamStream, gives_back_every_byte_in_any_pieces) {
  const std::string text =
      "\xEF\xBB\xBF: comment\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"一\"}}]}\r\n\r\n"
      "event: x\rid: 7\rdata:{\"choices\":\rdata: []}\r\r\n\n\n\ndata\n\nretry: 5\n\n"
      "data: {}\n\ndata: [DONE]\n\n";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    UpstreamStreamReader reader;
    std::string back, content;
    std::vector<UpstreamFrame> frames;
    int chunks = 0;
    for (std::size_t i = 0; i < text.size(); i += size) {
      const std::string piece = text.substr(i, size);
      frames.clear();
      ASSERT_TRUE(reader.push(piece, frames)) << size;
      for (const UpstreamFrame& frame : frames) {
        back += frame.raw;
        if (frame.kind == Kind::chunk) ++chunks;
        for (const auto& choice : frame.chunk.choices) choice.content.append_to(content);
      }
    }
    EXPECT_EQ(back, text) << size;
    EXPECT_EQ(content, "一") << size;
    EXPECT_EQ(chunks, 3) << size;
    EXPECT_TRUE(reader.done()) << size;
    EXPECT_EQ(reader.pending_bytes(), 0U);
  }
}

TEST(UpstreamStream, refuses_what_is_no_event_of_a_chat) {
  for (const std::string_view data :
       {"garbage", "{", "[]", "1", "\"x\"", "{\"choices\":[{]}", "{\"choices\":[]} x",
        "{\"choices\":[{\"delta\":{\"content\":\"\\x\"}}]}", "{\"a\":\"\xFF\"}",
        "<html>busy</html>"}) {
    expect_broken("data: " + std::string(data) + "\n\n", "no JSON object");
  }
}

TEST(UpstreamStream, keeps_what_came_before_the_garbage) {
  UpstreamStreamReader reader;
  std::vector<UpstreamFrame> frames;
  EXPECT_FALSE(reader.push("data: {\"choices\":[]}\n\ndata: x\n\ndata: {}\n\n", frames));
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].kind, Kind::chunk);
}

TEST(UpstreamStream, bounds_what_it_keeps) {
  UpstreamStreamReader reader(100);
  std::vector<UpstreamFrame> frames;
  const std::string line(60, 'x');
  ASSERT_TRUE(reader.push(": " + line, frames));
  EXPECT_EQ(reader.pending_bytes(), 62U);
  const auto pushed = reader.push(line, frames);
  ASSERT_FALSE(pushed);
  EXPECT_NE(pushed.error().message.find("more than 100 bytes"), std::string::npos);
  EXPECT_EQ(reader.pending_bytes(), 0U);
  UpstreamStreamReader whole(100);
  EXPECT_FALSE(whole.push(":" + line + line + "\n\n", frames));
}

TEST(UpstreamStream, a_flood_of_blank_lines_is_one_frame) {
  UpstreamStreamReader reader;
  const std::string blank(100000, '\n');
  const std::string text = blank + "data: {}\n\n" + blank;
  const auto frames = read(reader, text);
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0].raw, blank);
  EXPECT_EQ(frames[0].kind, Kind::comment);
  EXPECT_EQ(frames[1].kind, Kind::chunk);
}

TEST(UpstreamStream, many_lines_in_one_event_stay_linear) {
  UpstreamStreamReader reader;
  std::string text;
  for (int i = 0; i < 300000; ++i) text += ":\r";
  text += "data: {}\r\r";
  const auto frames = read(reader, text);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].kind, Kind::chunk);
}

TEST(UpstreamStream, ends_with_or_without_the_last_blank_line) {
  std::vector<UpstreamFrame> frames;
  for (const std::string_view last : {"data: [DONE]", "data: [DONE]\n", "data:[DONE]\r\n"}) {
    UpstreamStreamReader reader;
    ASSERT_TRUE(reader.push(last, frames));
    EXPECT_TRUE(frames.empty());
    reader.end(frames);
    ASSERT_EQ(frames.size(), 1U) << last;
    EXPECT_EQ(frames[0].kind, Kind::done);
    EXPECT_EQ(frames[0].raw, "data: [DONE]\n\n");
    EXPECT_TRUE(reader.done());
    frames.clear();
  }
  UpstreamStreamReader cut;
  ASSERT_TRUE(cut.push("data: {\"choices\":", frames));
  cut.end(frames);
  EXPECT_TRUE(frames.empty());
  EXPECT_FALSE(cut.done());
}

TEST(UpstreamStream, ignores_what_comes_after_the_end) {
  UpstreamStreamReader reader;
  EXPECT_EQ(read(reader, "data: [DONE]\n\ngarbage\n\n").size(), 1U);
  EXPECT_EQ(read(reader, "data: garbage\n\n").size(), 0U);
}

}  // namespace
}  // namespace deepseek::protocol
