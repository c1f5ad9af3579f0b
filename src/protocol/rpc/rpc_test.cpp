// The service's messages, both ways: what one deepseek-server asks another, and how it is read.
#include "protocol/rpc/rpc_client.hpp"
#include "protocol/rpc/rpc_decode.hpp"
#include "protocol/rpc/rpc_encode.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

using base::ErrorCode;
using testing::ElementsAre;
using testing::HasSubstr;

const RequestLimits limits;

DecodeContext context() {
  return {limits, {}, "req_1"};
}

base::Result<Request> read_chat(std::string_view json) {
  return decode_rpc_answer(RpcMethod::chat, RpcCodec::json, json, context());
}

Request asked() {
  auto request = read_chat(R"({
    "model": "tiny", "temperature": 0.5, "topP": 0.9, "top_k": 7, "seed": "18446744073709551615",
    "logit_bias": {"5": -3}, "max_tokens": 9, "stop": ["END"], "n": 2, "logprobs": 3,
    "user": "u", "user_id": "v", "thinking": {"type": "disabled"}, "reasoning_effort": "low",
    "constraint": {"json_schema": "{\"type\": \"object\"}"},
    "tools": [{"type": "function", "function": {"name": "f", "strict": true,
               "parameters": "{\"z\": 1, \"a\": 12345678901}"}}],
    "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false,
    "messages": [
      {"role": "system", "content": "be brief"},
      {"role": "user", "parts": [{"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}]},
      {"role": "assistant", "reasoning_content": "hm", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
      {"role": "tool", "tool_call_id": "c1", "content": "42"},
      {"role": "assistant", "content": "So", "prefix": true}]})");
  EXPECT_TRUE(request.has_value()) << request.error().message;
  return std::move(*request);
}

void expect_all(const Request& request) {
  EXPECT_EQ(request.model, "tiny");
  EXPECT_EQ(request.form, ClientForm::other);
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_EQ(request.sampling.top_p, 0.9);
  EXPECT_EQ(request.sampling.top_k, 7);
  EXPECT_EQ(request.sampling.seed, 18446744073709551615U);
  EXPECT_EQ(request.sampling.logit_bias.at(5), -3);
  EXPECT_EQ(request.tokens_max, 9);
  EXPECT_THAT(request.stop, ElementsAre("END"));
  EXPECT_EQ(request.choices, 2);
  EXPECT_EQ(request.logprobs, 3);
  EXPECT_EQ(request.user + request.user_id, "uv");
  EXPECT_EQ(request.thinking, false);
  EXPECT_EQ(request.reasoning_effort, "low");
  EXPECT_EQ(request.constraint.kind, Constraint::Kind::json_schema);
  EXPECT_EQ(request.constraint.param, "constraint.json_schema");
  ASSERT_EQ(request.tools.size(), 1u);
  EXPECT_EQ(request.tools[0].parameters, R"({"z":1,"a":12345678901})") << "order and numbers";
  EXPECT_TRUE(request.tools[0].strict);
  EXPECT_EQ(request.tool_choice.kind, ToolChoice::Kind::named);
  EXPECT_EQ(request.tool_choice.name, "f");
  EXPECT_FALSE(request.parallel_tool_calls);
  ASSERT_EQ(request.messages.size(), 5u);
  EXPECT_EQ(request.messages[0].text(), "be brief");
  EXPECT_EQ(std::get<ImagePart>(request.messages[1].content[1]).detail, "low");
  EXPECT_EQ(request.messages[2].reasoning_content, "hm");
  EXPECT_EQ(request.messages[2].tool_calls[0].name, "f");
  EXPECT_EQ(request.messages[3].tool_call_id, "c1");
  EXPECT_TRUE(request.messages[4].prefix);
}

TEST(Rpc, EveryFieldIsReadAndToldOn) {
  const Request request = asked();
  expect_all(request);
  const auto bytes = rpc_request_bytes(request, "tiny", nullptr);
  ASSERT_TRUE(bytes.has_value());
  const auto again = decode_rpc_answer(RpcMethod::stream_chat, RpcCodec::binary, *bytes, context());
  ASSERT_TRUE(again.has_value()) << again.error().message;
  expect_all(*again);
  EXPECT_TRUE(again->stream);
  EXPECT_EQ(again->id, "req_1");
}

TEST(Rpc, TextsWithNulAreRefusedByTheirField) {
  Request request = asked();
  request.messages[0].content = {TextPart{std::string("be\0brief", 8)}};
  const auto bytes = rpc_request_bytes(request, "tiny", nullptr);
  ASSERT_TRUE(bytes.has_value());
  const auto refused = decode_rpc_answer(RpcMethod::chat, RpcCodec::binary, *bytes, context());
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, base::ErrorCode::invalid_request);
  EXPECT_TRUE(refused.error().param.starts_with("messages[0].")) << refused.error().param;
  EXPECT_NE(refused.error().message.find("NUL"), std::string::npos);
}

TEST(Rpc, APromptOfTokensIsToldOn) {
  Request request;
  request.operation = Operation::completion;
  request.prompts = {TokenIds{1, 2, 3}, TokenIds{4}};
  const auto bytes = rpc_request_bytes(request, "m", nullptr);
  const auto read = decode_rpc_answer(RpcMethod::generate, RpcCodec::binary, *bytes, context());
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->prompts, request.prompts);
  EXPECT_EQ(read->tokens_max, 256);
}

TEST(Rpc, AnAnswerIsContinued) {
  Request request = asked();
  const Spoken spoken{" far", "hm!", {}, 4};
  const auto chat = decode_rpc_answer(RpcMethod::chat, RpcCodec::binary,
                                      *rpc_request_bytes(request, "tiny", &spoken), context());
  ASSERT_TRUE(chat.has_value()) << chat.error().message;
  EXPECT_EQ(chat->messages.size(), 5u);
  EXPECT_EQ(chat->messages.back().text(), "So far");
  EXPECT_TRUE(chat->messages.back().prefix);
  EXPECT_EQ(chat->tokens_max, 5);
  request.messages.pop_back();
  const auto fresh = decode_rpc_answer(RpcMethod::chat, RpcCodec::binary,
                                       *rpc_request_bytes(request, "tiny", &spoken), context());
  EXPECT_EQ(fresh->messages.back().text(), " far");
  EXPECT_EQ(fresh->messages.back().role, Role::assistant);
}

TEST(Rpc, WhatTheServiceHasNoFieldForIsRefused) {
  Request request;
  request.features.push_back({Feature::web_search, "web_search_options"});
  const auto bytes = rpc_request_bytes(request, "m", nullptr);
  ASSERT_TRUE(bytes.has_error());
  EXPECT_EQ(bytes.error().code, ErrorCode::not_implemented);
}

TEST(Rpc, RefusalsNameTheMessagesField) {
  const std::pair<std::string_view, std::string_view> wrong[] = {
      {R"({"messages":[{"role":"user","colour":1}]})", "messages[0].colour"},
      {R"({"colour":1})", "colour"},
      {R"({"messages":[{"role":"user","content":"x"}],"temperature":3})", "temperature"},
      {R"({"messages":[{"role":"user","content":"x"}],"logprobs":99})", "logprobs"},
      {R"({"messages":[{"role":"user","content":"x","parts":[{"type":"text","text":"y"}]}]})",
       "messages[0].parts"},
      {R"({"messages":[{"role":"user","content":"x"}],"constraint":{"regex":"a","grammar":"b"}})",
       "constraint.regex"},
      {R"({"messages":[{"role":"user","content":"x"}],
           "tools":[{"function":{"name":"f","parameters":"{"}}]})",
       "tools[0].function.parameters"},
      {"{}", "messages"},
  };
  for (const auto& [json, param] : wrong) {
    const auto read = read_chat(json);
    ASSERT_TRUE(read.has_error()) << json;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_request);
    EXPECT_EQ(read.error().param, param) << read.error().message;
    EXPECT_THAT(read.error().message, HasSubstr(param));
  }
}

TEST(Rpc, JsonThatTwoReadersCouldReadDifferently) {
  for (const std::string_view json :
       {R"({"n":1,"n":2})", R"({} {})", "[]", R"({"n":1e999})", R"({"user":"\ud800"})"}) {
    EXPECT_TRUE(read_chat(json).has_error()) << json;
  }
}

TEST(Rpc, BytesThatAreNoMessage) {
  for (const std::string_view bytes : {"\xff\xff\xff", "\x0a\x02\xc3\x28"}) {
    const auto read = decode_rpc_answer(RpcMethod::chat, RpcCodec::binary, bytes, context());
    ASSERT_TRUE(read.has_error());
    EXPECT_EQ(read.error().code, ErrorCode::invalid_request);
  }
}

std::vector<Event> events_of_two() {
  Delta delta;
  delta.content = "he\xC3\xA9";
  delta.reasoning = "hm";
  delta.token_ids = {7, 8};
  TokenLogprob logprob{7, "he", -0.25, {{7, "he", -0.25, {}}, {9, "\xC3", -2, {}}}};
  delta.logprobs = {logprob};
  Finished end;
  end.reason = FinishReason::tool_calls;
  end.usage = {11, 5, 4, 2};
  end.timings = {1, 2, 3};
  Finished other = end;
  other.sequence = 1;
  other.reason = FinishReason::length;
  return {
      Started{}, delta, ToolCallDelta{0, 0, "c1", "f", "{\"a\""}, ToolCallDelta{0, 0, "", "", "}"},
      end,       other};
}

TEST(Rpc, PiecesOfAnAnswerArriveAsTheEventsTheyWere) {
  Request request;
  request.choices = 2;
  const AnswerHead head{"id-1", 5, "tiny"};
  const auto encoder = make_rpc_stream(RpcCodec::binary, head, request);
  RpcAnswerReader reader(2);
  std::vector<Event> read;
  std::vector<std::string> frames;
  for (const Event& event : events_of_two()) encoder->on_event(event, frames);
  encoder->finish(frames);
  for (const std::string& frame : frames) {
    ASSERT_GE(frame.size(), 5u);
    ASSERT_TRUE(reader.push(std::string_view(frame).substr(5), read).has_value());
  }
  EXPECT_TRUE(reader.finished());
  ASSERT_EQ(read.size(), 5u);
  const auto& delta = std::get<Delta>(read[0]);
  EXPECT_EQ(delta.content + "|" + delta.reasoning, "he\xC3\xA9|hm");
  EXPECT_THAT(delta.token_ids, ElementsAre(7, 8));
  EXPECT_EQ(delta.logprobs[0].alternatives[1].bytes, "\xC3");
  EXPECT_EQ(std::get<ToolCallDelta>(read[1]).name, "f");
  EXPECT_EQ(std::get<ToolCallDelta>(read[2]).arguments, "}");
  const auto& end = std::get<Finished>(read[3]);
  EXPECT_EQ(end.reason, FinishReason::tool_calls);
  EXPECT_EQ(end.usage, (Usage{11, 5, 4, 2}));
  EXPECT_EQ(end.timings.decode_ms, 3);
  EXPECT_EQ(std::get<Finished>(read[4]).sequence, 1);
  EXPECT_EQ(encoder->usage().prompt_tokens, 22);
}

TEST(Rpc, PiecesThatCannotBe) {
  Request request;
  const auto encoder = make_rpc_stream(RpcCodec::binary, {"id", 5, "tiny"}, request);
  std::vector<std::string> frames;
  Finished end;
  encoder->on_event(end, frames);
  end.sequence = 3;
  encoder->on_event(end, frames);
  RpcAnswerReader reader(1);
  std::vector<Event> read;
  EXPECT_TRUE(reader.push(std::string_view(frames[0]).substr(5), read).has_value());
  EXPECT_TRUE(reader.push(std::string_view(frames[0]).substr(5), read).has_error()) << "ended";
  EXPECT_TRUE(reader.push(std::string_view(frames[1]).substr(5), read).has_error()) << "unasked";
  EXPECT_TRUE(reader.push("\xff\xff", read).has_error());
}

TEST(Rpc, JsonPiecesAreFramesAndSayErrors) {
  Request request;
  const auto encoder = make_rpc_stream(RpcCodec::json, {"id", 5, "tiny"}, request);
  std::vector<std::string> frames;
  Delta delta;
  delta.content = "hi";
  encoder->on_event(delta, frames);
  EXPECT_EQ(frames[0],
            "data: {\"id\":\"id\",\"created\":\"5\",\"model\":\"tiny\",\"choices\":[{\"index\":0,"
            "\"content\":\"hi\"}]}\n\n");
  encoder->fail(base::make_error(ErrorCode::queue_full, "full"), frames);
  EXPECT_THAT(frames[1], HasSubstr("queue_full"));
  const auto binary = make_rpc_stream(RpcCodec::binary, {"id", 5, "tiny"}, request);
  frames.clear();
  binary->fail(base::make_error(ErrorCode::queue_full, "full"), frames);
  EXPECT_TRUE(frames.empty());
}

TEST(Rpc, VectorsComeInOrder) {
  const std::vector<std::vector<float>> vectors{{0.5F, -1.25F}, {3.0F}};
  const std::string bytes = rpc_embed_body(RpcCodec::binary, "m", vectors, 9);
  const auto read = read_rpc_embeddings(bytes, 2);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->vectors, vectors);
  EXPECT_EQ(read->prompt_tokens, 9);
  EXPECT_TRUE(read_rpc_embeddings(bytes, 3).has_error());
  EXPECT_TRUE(read_rpc_embeddings("\xff", 2).has_error());
}

TEST(Rpc, TheTableIsTheAnnotations) {
  ASSERT_EQ(rpc_table().size(), 7u);
  const RpcRow* const row = find_rpc("/deepseek.v1.DeepSeekService/StreamChat");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->http_method + " " + row->http_path, "POST /api/v1/chat:stream");
  EXPECT_TRUE(row->streams && row->http_body);
  EXPECT_EQ(find_rpc("/deepseek.v1.DeepSeekService/Nothing"), nullptr);
  EXPECT_EQ(find_rpc("/deepseek.v1.DeepSeekService/Health")->http_path, "/api/v1/health");
}

}  // namespace
}  // namespace deepseek::protocol
