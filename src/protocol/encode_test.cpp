#include "protocol/encode.hpp"

#include "protocol/json.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

const AnswerHead head{"chatcmpl-1", 1700000000, "smollm2", "fp_1"};
constexpr std::string_view usage_text =
    R"({"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,)"
    R"("prompt_tokens_details":{"cached_tokens":3},)"
    R"("completion_tokens_details":{"reasoning_tokens":1},)"
    R"("prompt_cache_hit_tokens":3,"prompt_cache_miss_tokens":2})";

Delta delta(std::string content, std::string reasoning = {}, std::int32_t sequence = 0) {
  Delta d;
  d.sequence = sequence;
  d.content = std::move(content);
  d.reasoning = std::move(reasoning);
  return d;
}

Finished finished(FinishReason reason = FinishReason::stop, std::int32_t sequence = 0) {
  Finished f;
  f.sequence = sequence;
  f.reason = reason;
  f.usage = {5, 2, 3, 1};
  f.timings = {1.5, 20, 30.12345};
  return f;
}

Delta with_logprobs() {
  Delta d = delta("é");
  TokenLogprob token{7, "é", -0.5, {}};
  token.alternatives = {{7, "é", -0.5, {}}, {8, "\xE4\xB8", -2, {}}};
  d.logprobs = {token};
  return d;
}

std::string joined(StreamEncoder& encoder, const std::vector<Event>& events) {
  std::vector<std::string> frames;
  for (const Event& event : events) encoder.on_event(event, frames);
  encoder.finish(frames);
  std::string out;
  for (const std::string& frame : frames) {
    EXPECT_TRUE(frame.starts_with("data: ") && frame.ends_with("\n\n"));
    EXPECT_EQ(frame.find('\n'), frame.size() - 2);
    if (frame != "data: [DONE]\n\n") {
      EXPECT_TRUE(parse_json(std::string_view(frame).substr(6), {})) << frame;
    }
    out += frame;
  }
  return out;
}

std::string chunk(std::string_view rest) {
  return R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,)"
         R"("model":"smollm2","system_fingerprint":"fp_1","choices":[)" +
         std::string(rest) + "}\n\n";
}

TEST(ChatStream, has_openais_shape) {
  Request request;
  request.stream_usage = true;
  const auto encoder = make_chat_stream(head, request);
  const std::string plain = R"(},"logprobs":null,"finish_reason":null}],"usage":null)";
  EXPECT_EQ(joined(*encoder, {Started{}, delta("", "hm"), delta("Hi\n\"解\""), finished()}),
            chunk(R"({"index":0,"delta":{"role":"assistant","content":"")" + plain) +
                chunk(R"({"index":0,"delta":{"reasoning_content":"hm")" + plain) +
                chunk(R"({"index":0,"delta":{"content":"Hi\n\"解\"")" + plain) +
                chunk(R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],)"
                      R"("usage":null)") +
                chunk("],\"usage\":" + std::string(usage_text)) + "data: [DONE]\n\n");
  EXPECT_EQ(encoder->usage(), (Usage{5, 2, 3, 1}));
}

TEST(ChatStream, without_usage_there_is_none_and_started_alone_is_silent) {
  const auto encoder = make_chat_stream(head, Request());
  std::vector<std::string> frames;
  encoder->on_event(Started{}, frames);
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(joined(*encoder, {finished()}).find("usage"), std::string::npos);
  encoder->on_event(delta("x", "", 5), frames);  // a sequence that nobody asked for
  EXPECT_TRUE(frames.empty());
}

TEST(ChatStream, carries_tool_calls_and_logprobs) {
  const auto encoder = make_chat_stream(head, Request());
  ToolCallDelta first{0, 0, "call_1", "f", ""}, second{0, 0, "", "", "{\"a\":"};
  const std::string text =
      joined(*encoder, {first, second, with_logprobs(), finished(FinishReason::tool_calls)});
  EXPECT_NE(text.find(R"("tool_calls":[{"index":0,"id":"call_1","type":"function",)"
                      R"("function":{"name":"f","arguments":""}}])"),
            std::string::npos);
  EXPECT_NE(text.find(R"("tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}])"),
            std::string::npos);
  EXPECT_NE(text.find("\"logprobs\":{\"content\":[{\"token\":\"é\",\"logprob\":-0.5,"
                      "\"bytes\":[195,169],\"top_logprobs\":[{\"token\":\"é\",\"logprob\":-0.5,"
                      "\"bytes\":[195,169]},{\"token\":\"\uFFFD\",\"logprob\":-2,"
                      "\"bytes\":[228,184]}]}],\"refusal\":null}"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("finish_reason":"tool_calls")"), std::string::npos);
}

TEST(ChatBody, has_openais_shape) {
  Request request;
  request.choices = 2;
  Answer answer(request);
  answer.add(delta("He"));
  answer.add(delta("llo", "why"));
  answer.add(finished());
  EXPECT_FALSE(answer.finished());
  answer.add(ToolCallDelta{1, 0, "c", "f", "{"});
  answer.add(ToolCallDelta{1, 0, "", "", "}"});
  answer.add(Finished{1, FinishReason::tool_calls, {}, {}});
  answer.add(delta("lost", "", 2));
  EXPECT_TRUE(answer.finished());
  EXPECT_EQ(chat_body(head, answer),
            R"({"id":"chatcmpl-1","object":"chat.completion","created":1700000000,)"
            R"("model":"smollm2","system_fingerprint":"fp_1","choices":[{"index":0,"message":)"
            R"({"role":"assistant","content":"Hello","reasoning_content":"why","refusal":null},)"
            R"("logprobs":null,"finish_reason":"stop"},{"index":1,"message":{"role":"assistant",)"
            R"("content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f",)"
            R"("arguments":"{}"}}],"refusal":null},"logprobs":null,"finish_reason":"tool_calls"}],)"
            R"("usage":)" +
                std::string(usage_text) + "}");
}

TEST(Completions, echo_offsets_and_logprobs) {
  Request request;
  request.operation = Operation::completion;
  request.prompts = {"ab", "解"};
  request.echo = true;
  request.logprobs = 1;
  Answer answer(request);
  answer.add(with_logprobs());
  answer.add(finished(FinishReason::length));
  answer.add(Finished{1, FinishReason::stop, {}, {}});
  const std::string logprobs =
      "{\"tokens\":[\"é\"],\"token_logprobs\":[-0.5],"
      "\"top_logprobs\":[{\"é\":-0.5,\"bytes:\\\\xe4\\\\xb8\":-2}],\"text_offset\":[2]}";
  EXPECT_EQ(completions_body(head, request, answer),
            R"({"id":"chatcmpl-1","object":"text_completion","created":1700000000,)"
            R"("model":"smollm2","system_fingerprint":"fp_1","choices":[{"text":"abé","index":0,)"
            R"("logprobs":)" +
                logprobs +
                R"(,"finish_reason":"length"},{"text":"解","index":1,"logprobs":{"tokens":[],)"
                R"("token_logprobs":[],"top_logprobs":[],"text_offset":[]},)"
                R"("finish_reason":"stop"}],"usage":)" +
                std::string(usage_text) + "}");
  const auto encoder = make_completions_stream(head, request);
  const std::string text = joined(*encoder, {Started{}, with_logprobs(), finished()});
  EXPECT_NE(text.find(R"({"text":"ab","index":0,"logprobs":null,"finish_reason":null})"),
            std::string::npos);
  EXPECT_NE(text.find(R"({"text":"é","index":0,"logprobs":)" + logprobs), std::string::npos);
  EXPECT_TRUE(text.ends_with("data: [DONE]\n\n"));
}

TEST(Completions, a_prompt_that_the_backend_tells_is_not_told_twice) {
  Request request;
  request.operation = Operation::completion;
  request.prompts = {"ab"};
  request.echo = true;
  request.logprobs = 0;
  request.features.push_back({Feature::echo_logprobs, "echo"});
  Delta told;
  told.content = "ab";
  told.echo = true;
  told.logprobs = {{1, "a", 0, {}, true}, {2, "b", -1, {}}};
  Answer answer(request);
  answer.add(told);
  answer.add(finished(FinishReason::length));
  EXPECT_NE(completions_body(head, request, answer)
                .find(R"({"text":"ab","index":0,"logprobs":{"tokens":["a","b"],)"
                      R"("token_logprobs":[null,-1],"top_logprobs":[null,{"b":-1}],)"
                      R"("text_offset":[0,1]},"finish_reason":"length"})"),
            std::string::npos);
  const auto encoder = make_completions_stream(head, request);
  const std::string text = joined(*encoder, {Started{}, told, finished()});
  EXPECT_NE(text.find(R"("token_logprobs":[null,-1])"), std::string::npos);
  EXPECT_EQ(text.find("ab"), text.rfind("ab")) << text;
}

TEST(Completions, messages_are_answered_in_both_forms) {
  Request request;
  Answer answer(request);
  answer.add(delta("Hi", "hm"));
  answer.add(finished());
  EXPECT_NE(completions_body(head, request, answer)
                .find(R"("choices":[{"text":"Hi","index":0,"message":{"role":"assistant",)"
                      R"("content":"Hi","reasoning_content":"hm"},"logprobs":null,)"),
            std::string::npos);
  const auto encoder = make_completions_stream(head, request);
  EXPECT_NE(joined(*encoder, {delta("Hi"), finished()})
                .find(R"({"text":"Hi","index":0,"delta":{"role":"assistant","content":"Hi"},)"),
            std::string::npos);
}

TEST(Infer, body_and_stream) {
  Request request;
  Answer answer(request);
  answer.add(delta("Hi"));
  answer.add(finished());
  const std::string end = R"("finish_reason":"stop","usage":)" + std::string(usage_text) +
                          R"(,"timings":{"queue_ms":1.5,"prefill_ms":20,"decode_ms":30.123}})";
  EXPECT_EQ(infer_body(head, answer),
            R"({"id":"chatcmpl-1","model":"smollm2","answer":"Hi",)" + end);
  const auto encoder = make_infer_stream(head, request);
  EXPECT_EQ(joined(*encoder, {Started{}, delta("Hi"), finished()}),
            "data: {\"delta\":\"Hi\"}\n\ndata: {\"id\":\"chatcmpl-1\",\"model\":\"smollm2\"," +
                end + "\n\ndata: [DONE]\n\n");
}

TEST(Generate, is_a_json_string) {
  Request request;
  request.operation = Operation::completion;
  request.prompts = {"p "};
  Answer answer(request);
  answer.add(delta("a\"b"));
  EXPECT_EQ(generate_body(request, answer), R"("a\"b")");
  request.echo = true;
  EXPECT_EQ(generate_body(request, answer), R"("p a\"b")");
  const auto encoder = make_generate_stream(head, request);
  EXPECT_EQ(joined(*encoder, {delta("x"), delta("y"), finished()}),
            "data: \"p x\"\n\ndata: \"y\"\n\ndata: [DONE]\n\n");
}

TEST(Resumed, a_second_leg_goes_on_under_the_first_ones_name) {
  AnswerHead second = head;
  second.resumed = true;
  second.usage_before = {5, 3, 0, 0};
  Request request;
  request.stream_usage = true;
  const auto chat = make_chat_stream(second, request);
  const std::string frames = joined(*chat, {Started(), delta("lo"), finished()});
  EXPECT_EQ(frames.find("role"), std::string::npos);
  EXPECT_TRUE(frames.starts_with(chunk(R"({"index":0,"delta":{"content":"lo"},"logprobs":null,)"
                                       R"("finish_reason":null}],"usage":null)")))
      << frames;
  EXPECT_NE(frames.find(R"("prompt_tokens":10,"completion_tokens":5,"total_tokens":15)"),
            std::string::npos)
      << frames;
  EXPECT_EQ(chat->usage(), (Usage{10, 5, 3, 1}));

  request.operation = Operation::completion;
  request.prompts = {"p "};
  request.echo = true;
  const auto completion = make_completions_stream(second, request);
  EXPECT_EQ(joined(*completion, {delta("lo")}).find("p "), std::string::npos);
  EXPECT_EQ(joined(*make_generate_stream(second, request), {delta("lo"), finished()}),
            "data: \"lo\"\n\ndata: [DONE]\n\n");
  EXPECT_NE(joined(*make_infer_stream(second, request), {finished()}).find("\"total_tokens\":15"),
            std::string::npos);
}

TEST(Bodies, models_and_embeddings) {
  const ModelCard cards[] = {{"m", 5, "us"}, {"alias", 5, "us", "m"}};
  EXPECT_EQ(models_body(cards),
            R"({"object":"list","data":[{"id":"m","object":"model","created":5,"owned_by":"us"},)"
            R"({"id":"alias","object":"model","created":5,"owned_by":"us","root":"m"}]})");
  EXPECT_EQ(model_body(cards[0]), R"({"id":"m","object":"model","created":5,"owned_by":"us"})");
  const std::vector<std::vector<float>> vectors{{1.0F, -0.1F}, {0.5F}};
  EXPECT_EQ(embeddings_body("m", vectors, 3, false),
            R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,-0.1]},)"
            R"({"object":"embedding","index":1,"embedding":[0.5]}],"model":"m",)"
            R"("usage":{"prompt_tokens":3,"total_tokens":3}})");
  EXPECT_NE(embeddings_body("m", vectors, 3, true).find(R"("embedding":"AACAP83MzL0=")"),
            std::string::npos);
}

TEST(Bodies, errors_are_bounded_and_hold_no_secret) {
  EXPECT_EQ(error_body(base::make_error(base::ErrorCode::invalid_request, "n is \"x\"", "n")),
            R"({"error":{"message":"n is \"x\"","type":"invalid_request_error","param":"n",)"
            R"("code":"invalid_request"}})");
  const std::string text = error_frame(base::make_error(
      base::ErrorCode::queue_full, "key sk-abcdefgh12345678\n" + std::string(5000, '.')));
  EXPECT_TRUE(text.starts_with("data: {\"error\":{\"message\":\"key sk-***\\n..."));
  EXPECT_TRUE(
      text.ends_with("…\",\"type\":\"rate_limit_error\",\"param\":null,"
                     "\"code\":\"queue_full\"}}\n\n"))
      << text;
  EXPECT_LT(text.size(), 1300U);
  const auto encoder = make_chat_stream(head, Request());
  std::vector<std::string> frames;
  encoder->fail(base::make_error(base::ErrorCode::upstream_failed, "gone"), frames);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_TRUE(frames[0].starts_with("data: {\"error\":"));
}

}  // namespace
}  // namespace deepseek::protocol
