// Answers of upstreams of Anthropic's form: streams in every cut, whole messages, and both as what
// clients of other forms get.
#include "protocol/anthropic_chunk.hpp"
#include "protocol/encode.hpp"
#include "protocol/golden_text.hpp"
#include "protocol/upstream_answer.hpp"
#include "protocol/upstream_error.hpp"
#include "protocol/upstream_events.hpp"
#include "protocol/upstream_stream.hpp"
#include "protocol/usage_check.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

using Kind = UpstreamFrame::Kind;
using Open = MessageBlocks::Open;

std::string golden(const std::string& name) {
  return DEEPSEEK_SOURCE_DIR "/tests/golden/" + name;
}

std::string frame(std::string_view type, std::string_view rest = "") {
  return "event: " + std::string(type) + "\ndata: {\"type\":\"" + std::string(type) + "\"" +
         std::string(rest) + "}\n\n";
}

// Everything that a stream of this form may hold.
std::string full_stream() {
  std::string text =
      frame("message_start", R"(,"message":{"id":"msg_9","type":"message","role":"assistant",)"
                             R"("model":"claude-9","content":[],"stop_reason":null,"usage":)"
                             R"({"input_tokens":10,"cache_creation_input_tokens":3,)"
                             R"("cache_read_input_tokens":5,"output_tokens":1}})");
  text += frame("content_block_start",
                R"(,"index":0,"content_block":{"type":"thinking","thinking":"","signature":""})");
  text += frame("ping");
  text += frame("content_block_delta",
                R"(,"index":0,"delta":{"type":"thinking_delta","thinking":"h\u00e9m"})");
  text += frame("content_block_delta",
                R"(,"index":0,"delta":{"type":"signature_delta","signature":"c2ln"})");
  text += frame("content_block_stop", ",\"index\":0");
  text += frame("content_block_start",
                R"(,"index":1,"content_block":{"type":"redacted_thinking","data":"cmVk"})");
  text += frame("content_block_stop", ",\"index\":1");
  text += frame("content_block_start", R"(,"index":2,"content_block":{"type":"text","text":""})");
  text += frame("content_block_delta",
                R"(,"index":2,"delta":{"type":"text_delta","text":"Hel\"lo 字"})");
  text += frame("content_block_stop", ",\"index\":2");
  for (const std::string index : {"3", "4"}) {
    text += frame("content_block_start", ",\"index\":" + index +
                                             R"(,"content_block":{"type":"tool_use","id":"t)" +
                                             index + R"(","name":"weather","input":{}})");
    for (const std::string_view piece : {"", R"({\"city\":)", R"( \"Köln\"})"}) {
      text += frame("content_block_delta", ",\"index\":" + index +
                                               R"(,"delta":{"type":"input_json_delta",)" +
                                               "\"partial_json\":\"" + std::string(piece) + "\"}");
    }
    text += frame("content_block_stop", ",\"index\":" + index);
  }
  text += frame("message_delta", R"(,"delta":{"stop_reason":"tool_use","stop_sequence":null},)"
                                 R"("usage":{"output_tokens":40})");
  return text + frame("message_stop");
}

struct Heard {
  std::vector<Event> events;
  std::string raw;
  std::optional<Usage> usage;
  std::vector<MessageBlocks> blocks;
  bool done = false;
};

Heard read(std::string_view text, std::size_t size) {
  Heard heard;
  UpstreamStreamReader reader(1 << 20, UpstreamWire::anthropic);
  UpstreamEvents maker(1);
  std::vector<UpstreamFrame> frames;
  for (std::size_t i = 0; i < text.size(); i += size) {
    const std::string piece(text.substr(i, size));
    frames.clear();
    EXPECT_TRUE(reader.push(piece, frames)) << size;
    for (const UpstreamFrame& one : frames) {
      heard.raw += one.raw;
      maker.add(one.chunk, heard.events);
      if (one.chunk.usage) heard.usage = one.chunk.usage;
      if (one.kind != Kind::comment) heard.blocks.push_back(one.chunk.blocks);
    }
  }
  heard.done = reader.done();
  EXPECT_EQ(maker.finished(), heard.done);
  maker.finish(heard.usage.value_or(Usage{}), heard.events);
  return heard;
}

std::string told(const std::vector<Event>& events) {
  const AnswerHead head{"id_1", 1700000000, "m"};
  Request request;
  request.stream_usage = true;
  std::string out;
  for (const auto& encoder :
       {make_chat_stream(head, request), make_messages_stream(head, request)}) {
    std::vector<std::string> frames;
    for (const Event& event : events) encoder->on_event(event, frames);
    encoder->finish(frames);
    for (const std::string& one : frames) out += one;
  }
  return out;
}

TEST(AnthropicChunk, a_stream_is_what_other_clients_know) {
  const Heard heard = read(full_stream(), 1 << 20);
  EXPECT_TRUE(heard.done);
  EXPECT_EQ(heard.usage, (Usage{18, 40, 5, 0}));
  testing::expect_golden(golden("messages_stream_told.txt"), told(heard.events));
}

TEST(AnthropicChunk, every_cut_says_the_same) {
  const std::string text = full_stream();
  const std::string whole = told(read(text, text.size()).events);
  for (std::size_t size = 1; size < 200; ++size) {
    const Heard heard = read(text, size);
    EXPECT_EQ(heard.raw, text) << size;
    EXPECT_EQ(told(heard.events), whole) << size;
    EXPECT_TRUE(heard.done);
  }
}

TEST(AnthropicChunk, knows_which_block_is_open) {
  const Heard heard = read(full_stream(), 1 << 20);
  const auto at = [&](std::size_t index) { return heard.blocks.at(index); };
  EXPECT_EQ(at(0), (MessageBlocks{0, Open::none}));
  EXPECT_EQ(at(3), (MessageBlocks{1, Open::thinking}));
  EXPECT_EQ(at(6), (MessageBlocks{2, Open::other}));
  EXPECT_EQ(at(7), (MessageBlocks{2, Open::none}));
  EXPECT_EQ(at(9), (MessageBlocks{3, Open::text}));
}

TEST(AnthropicChunk, a_whole_message_is_the_same_answer) {
  const std::string body =
      R"({"id":"msg_9","type":"message","role":"assistant","model":"claude-9","content":[)"
      R"({"type":"thinking","thinking":"h\u00e9m","signature":"c2ln"},)"
      R"({"type":"redacted_thinking","data":"cmVk"},{"type":"text","text":"Hel\"lo 字"},)"
      R"({"type":"tool_use","id":"t3","name":"weather","input":{"city": "Köln"}},)"
      R"({"type":"tool_use","id":"t4","name":"weather","input":{"city": "Köln"}}],)"
      R"("stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,)"
      R"("cache_creation_input_tokens":3,"cache_read_input_tokens":5,"output_tokens":40}})";
  const auto answer = parse_upstream_answer(body, "", UpstreamWire::anthropic);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->chunk.id.text(), "msg_9");
  std::vector<Event> events;
  to_events(*answer, 1, *answer->chunk.usage, events);
  Answer whole{Request{}}, streamed{Request{}};
  for (Event& event : events) whole.add(std::move(event));
  for (Event& event : read(full_stream(), 1 << 20).events) streamed.add(std::move(event));
  const AnswerHead head{"id_1", 1700000000, "m"};
  EXPECT_EQ(messages_body(head, whole), messages_body(head, streamed));
  EXPECT_EQ(chat_body(head, whole), chat_body(head, streamed));
}

TEST(AnthropicChunk, says_why_it_stopped) {
  const std::pair<std::string, FinishReason> cases[] = {
      {"end_turn", FinishReason::stop},
      {"stop_sequence", FinishReason::stop},
      {"max_tokens", FinishReason::length},
      {"model_context_window_exceeded", FinishReason::length},
      {"tool_use", FinishReason::tool_calls},
      {"refusal", FinishReason::content_filter},
      {"pause_turn", FinishReason::stop},
      {"some_later_word", FinishReason::stop}};
  for (const auto& [word, reason] : cases) {
    const Heard heard = read(frame("message_start", R"(,"message":{"id":"a"})") +
                                 frame("message_delta", R"(,"delta":{"stop_reason":")" + word +
                                                            R"(","stop_sequence":"END"})") +
                                 frame("message_stop"),
                             1 << 20);
    const auto& finished = std::get<Finished>(heard.events.back());
    EXPECT_EQ(finished.reason, reason) << word;
    EXPECT_EQ(finished.stop_sequence, word == "stop_sequence" ? "END" : "") << word;
  }
}

UpstreamFrame only(std::string_view text) {
  static std::string kept;
  kept = text;
  UpstreamStreamReader reader(1 << 20, UpstreamWire::anthropic);
  std::vector<UpstreamFrame> frames;
  EXPECT_TRUE(reader.push(kept, frames)) << text;
  EXPECT_EQ(frames.size(), 1U) << text;
  UpstreamFrame one = frames.empty() ? UpstreamFrame() : frames.front();
  one.raw = {};
  return one;
}

TEST(AnthropicChunk, errors_in_a_stream_have_a_type) {
  const std::string error = R"(,"error":{"type":"overloaded_error","message":"Overloaded"})";
  const UpstreamFrame one = only(frame("error", error));
  EXPECT_EQ(one.kind, Kind::error);
  EXPECT_EQ(upstream_error_type(one.chunk.error), "overloaded_error");
  EXPECT_NE(upstream_chunk_error(one.chunk, "").message.find("Overloaded"), std::string::npos);
  EXPECT_EQ(only(frame("error")).kind, Kind::error);
  EXPECT_EQ(only(frame("error", ",\"error\":5")).kind, Kind::error);
  EXPECT_EQ(upstream_error_type("5"), "");
}

TEST(AnthropicChunk, what_it_does_not_know_is_passed_over) {
  EXPECT_EQ(only(frame("ping")).kind, Kind::chunk);
  EXPECT_FALSE(only(frame("a_later_event", ",\"x\":[1]")).has_content());
  EXPECT_TRUE(only(frame("content_block_start",
                         R"(,"index":0,"content_block":{"type":"server_tool_use","id":"a"})"))
                  .chunk.choices.at(0)
                  .other);
  for (const std::string_view rest :
       {"", ",\"index\":-1", ",\"delta\":5", ",\"delta\":{\"type\":5}",
        R"(,"index":7,"delta":{"type":"input_json_delta","partial_json":"{"})",
        R"(,"index":0,"delta":{"type":"text_delta","text":null})",
        R"(,"index":0,"delta":{"type":"citations_delta","citation":{}})"}) {
    EXPECT_FALSE(only(frame("content_block_delta", rest)).has_content()) << rest;
  }
}

TEST(AnthropicChunk, malformed_events_break_the_stream) {
  for (const std::string_view data :
       {"garbage", "{", "[]", "{\"type\":\"ping\"} x", "{\"a\":\"\xFF\"}"}) {
    UpstreamStreamReader reader(1 << 20, UpstreamWire::anthropic);
    std::vector<UpstreamFrame> frames;
    const std::string text = "data: " + std::string(data) + "\n\n";
    EXPECT_FALSE(reader.push(text, frames)) << data;
    EXPECT_TRUE(frames.empty());
  }
  for (const std::string_view body :
       {"", "x", "[]", "{}", R"({"type":"message"})", R"({"type":"message","content":5})",
        R"({"type":"error","error":{"type":"api_error","message":"m"}})"}) {
    EXPECT_FALSE(parse_upstream_answer(body, "", UpstreamWire::anthropic)) << body;
  }
}

TEST(AnthropicChunk, counts_that_are_none_are_estimated) {
  const auto usage = [](std::string_view text) {
    return only(frame("message_delta", ",\"usage\":" + std::string(text))).chunk.usage;
  };
  EXPECT_EQ(usage("null"), std::nullopt);
  EXPECT_EQ(usage("{}"), (Usage{-1, -1, 0, 0}));
  EXPECT_EQ(usage(R"({"input_tokens":"5","output_tokens":-3})"), (Usage{-1, -1, 0, 0}));
  EXPECT_EQ(usage(R"({"input_tokens":99999999999999999,"output_tokens":1})"), (Usage{-1, 1, 0, 0}));
  EXPECT_EQ(usage(R"({"input_tokens":2,"cache_read_input_tokens":null,"output_tokens":1})"),
            (Usage{2, 1, 0, 0}));
}

TEST(AnthropicChunk, tokens_of_hidden_thinking_are_believed) {
  DeliveredAnswer delivered;
  const std::string text =
      frame("content_block_delta", R"(,"delta":{"type":"signature_delta","signature":"c2ln"})");
  delivered.add(only(text).chunk);
  Request request;
  request.raw_body = std::string(100, 'x');
  const auto checked = check_usage(Usage{10, 5000, 0, 0}, request, delivered);
  EXPECT_FALSE(checked.completion_estimated);
  EXPECT_EQ(checked.usage.completion_tokens, 5000);
}

TEST(AnthropicChunk, a_resumed_answer_goes_on_in_its_block) {
  AnswerHead head{"msg_1", 0, "m"};
  head.resumed = true;
  head.blocks = {2, Open::text};
  const auto encoder = make_messages_stream(head, Request{});
  std::vector<std::string> frames;
  encoder->on_event(Delta{0, "a", "", {}, {}}, frames);
  encoder->on_event(Finished{}, frames);
  encoder->finish(frames);
  ASSERT_EQ(frames.size(), 4U);
  EXPECT_NE(frames[0].find(R"("type":"content_block_delta","index":1)"), std::string::npos);
  EXPECT_NE(frames[1].find(R"("type":"content_block_stop","index":1)"), std::string::npos);
}

}  // namespace
}  // namespace deepseek::protocol
