// Bodies for upstreams of Anthropic's form, from clients of every form.
#include "protocol/anthropic_body.hpp"
#include "protocol/anthropic_image.hpp"
#include "protocol/anthropic_signature.hpp"
#include "protocol/anthropic_support.hpp"
#include "protocol/decode.hpp"
#include "protocol/golden_text.hpp"
#include "protocol/json.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

const RequestLimits limits;
const AnthropicTarget target{"claude-there"};

std::string golden(const std::string& name) {
  return DEEPSEEK_SOURCE_DIR "/tests/golden/" + name;
}

Request decoded(base::Result<Request> request, const std::string& body) {
  EXPECT_TRUE(request) << (request ? "" : request.error().message) << body;
  if (!request) return {};
  request->raw_body = body;
  return std::move(*request);
}

Request chat(const std::string& rest) {
  const std::string body = "{\"model\":\"m\"," + rest + "}";
  return decoded(decode_chat(body, {limits}), body);
}

Request asking(const std::string& rest = "") {
  return chat(R"("messages":[{"role":"user","content":"hi"}])" + rest);
}

Request messages(const std::string& rest) {
  const std::string body = "{\"model\":\"m\",\"max_tokens\":100," + rest + "}";
  return decoded(decode_messages(body, {limits}), body);
}

std::string body_of(const Request& request, const AnswerSoFar* so_far = nullptr) {
  const auto supported = check_anthropic_support(request, true);
  EXPECT_TRUE(supported) << (supported ? "" : supported.error().message);
  const std::string body(anthropic_body(request, target, so_far).bytes());
  EXPECT_TRUE(parse_json_object(body, {})) << body;
  return body;
}

AnswerSoFar said(std::string content, std::int64_t tokens = 3) {
  AnswerSoFar so_far;
  so_far.content = std::move(content);
  so_far.tokens = tokens;
  return so_far;
}

void expect_in(const std::string& body, std::string_view part) {
  EXPECT_NE(body.find(part), std::string::npos) << part << " in " << body;
}

void expect_not_in(const std::string& body, std::string_view part) {
  EXPECT_EQ(body.find(part), std::string::npos) << part << " in " << body;
}

TEST(AnthropicBody, a_loop_of_tools_of_a_chat) {
  const Request request = chat(R"("messages":[
    {"role":"system","content":"be brief"},{"role":"developer","content":"and kind"},
    {"role":"user","content":[{"type":"text","text":"weather?"},
      {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},
      {"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]},
    {"role":"assistant","content":"I look.","reasoning_content":"hm","tool_calls":[
      {"id":"functions.weather:0","type":"function","function":{"name":"weather",
        "arguments":"{\"city\":\"Hamburg\"}"}},
      {"id":"t2","type":"function","function":{"name":"time","arguments":"broken"}}]},
    {"role":"tool","tool_call_id":"functions.weather:0","content":"rain"},
    {"role":"tool","tool_call_id":"t2","content":"12:00"},
    {"role":"user","content":"and now?"}],
   "tools":[{"type":"function","function":{"name":"weather","description":"of a city",
      "parameters":{"type":"object","properties":{"city":{"type":"string"}}},"strict":true}},
     {"type":"function","function":{"name":"time"}},
     {"type":"function","function":{"name":"day","parameters":{}}}],
   "tool_choice":{"type":"function","function":{"name":"time"}},"parallel_tool_calls":false,
   "temperature":1.5,"top_k":40,"stop":["END"],"seed":7,"presence_penalty":1,"stream":true,
   "stream_options":{"include_usage":true},"max_tokens":200,"user":"ann")");
  testing::expect_golden(golden("chat_as_messages.json"), body_of(request) + "\n");
}

TEST(AnthropicBody, a_response_with_thinking) {
  const std::string body = R"({"model":"m","instructions":"be brief","input":"hi",
    "reasoning":{"effort":"low"},"max_output_tokens":8000})";
  const Request request = decoded(decode_responses(body, {limits}), body);
  testing::expect_golden(golden("responses_as_messages.json"), body_of(request) + "\n");
}

TEST(AnthropicBody, a_prompt_is_a_question) {
  const std::string body = R"({"model":"m","prompt":"Once","max_tokens":5})";
  const Request request = decoded(decode_completions(body, {limits}), body);
  EXPECT_EQ(body_of(request),
            R"({"model":"claude-there","max_tokens":5,"messages":[{"role":"user","content":)"
            R"([{"type":"text","text":"Once"}]}]})");
}

TEST(AnthropicBody, a_limit_is_always_there) {
  expect_in(body_of(asking()), "\"max_tokens\":4096");
  expect_in(body_of(asking(R"(,"max_completion_tokens":9)")), "\"max_tokens\":9");
  const Request thinks = asking(R"(,"thinking":{"type":"enabled"})");
  expect_in(body_of(thinks), "\"max_tokens\":12288");
  expect_in(body_of(thinks), R"("thinking":{"type":"enabled","budget_tokens":8192})");
}

TEST(AnthropicBody, thinks_as_far_as_it_may) {
  const auto thinking = [](const std::string& rest) {
    const std::string body = body_of(asking("," + rest));
    const std::size_t at = body.find("budget_tokens\":");
    return at == std::string::npos ? 0 : std::stoi(body.substr(at + 15));
  };
  EXPECT_EQ(thinking(R"("reasoning_effort":"high")"), 16384);
  EXPECT_EQ(thinking(R"("reasoning_effort":"high","max_tokens":6000)"), 3000);
  EXPECT_EQ(thinking(R"("reasoning_effort":"high","max_tokens":2000)"), 0);
  EXPECT_EQ(thinking(R"("thinking":{"type":"disabled"},"reasoning_effort":"high")"), 0);
  const std::string tool = R"("reasoning_effort":"high","tools":[{"type":"function","function":)"
                           R"({"name":"f"}}],"tool_choice":)";
  EXPECT_EQ(thinking(tool + "\"required\""), 0);
  EXPECT_EQ(thinking(tool + "\"auto\""), 16384);
}

TEST(AnthropicBody, does_not_think_behind_calls_without_a_signature) {
  const std::string call = R"({"role":"assistant","tool_calls":[{"id":"a","type":"function",)"
                           R"("function":{"name":"f","arguments":"{}"}}]})";
  const std::string loop = R"("thinking":{"type":"enabled"},"messages":[{"role":"user",)"
                           R"("content":"hi"},)" +
                           call + R"(,{"role":"tool","tool_call_id":"a","content":"x"}])";
  Request request = chat(loop);
  expect_not_in(body_of(request), "\"thinking\"");
  request.messages[1].reasoning_content = "hm";
  request.messages[1].reasoning_signature = own_signature;
  expect_not_in(body_of(request), "\"thinking\"");
  request.messages[1].reasoning_signature = "c2ln";
  expect_in(body_of(request), R"({"type":"thinking","thinking":"hm","signature":"c2ln"})");
  expect_in(body_of(request), "budget_tokens");
}

TEST(AnthropicBody, sampling_stays_in_this_forms_bounds) {
  expect_in(body_of(asking(R"(,"temperature":1.3,"top_p":0.9)")), "\"temperature\":1}");
  expect_not_in(body_of(asking(R"(,"temperature":0.3,"top_p":0.9)")), "top_p");
  expect_in(body_of(asking(R"(,"top_p":0.9)")), "\"top_p\":0.9");
  expect_not_in(body_of(asking(R"(,"top_p":1)")), "top_p");
  const std::string thinks = body_of(asking(R"(,"thinking":{"type":"enabled"},"temperature":0)"));
  expect_not_in(thinks, "temperature");
}

TEST(AnthropicBody, refuses_what_the_form_cannot_say) {
  const std::pair<std::string, std::string> cases[] = {
      {R"(,"n":2)", "n"},
      {R"(,"logprobs":true)", "logprobs"},
      {R"(,"response_format":{"type":"json_object"})", "response_format"},
      {R"(,"logit_bias":{"5":1})", "logit_bias"},
      {R"(,"ignore_eos":true)", "ignore_eos"},
      {R"(,"stop":["\n\n"])", "stop"}};
  for (const auto& [rest, param] : cases) {
    const auto supported = check_anthropic_support(asking(rest), true);
    ASSERT_FALSE(supported) << rest;
    EXPECT_EQ(supported.error().code, base::ErrorCode::not_implemented);
    EXPECT_EQ(supported.error().param.substr(0, param.size()), param) << rest;
  }
  const std::string fim = R"({"model":"m","prompt":"a","suffix":"b"})";
  EXPECT_FALSE(check_anthropic_support(decoded(decode_completions(fim, {limits}), fim), true));
  const std::string echo = R"({"model":"m","prompt":"a","echo":true})";
  EXPECT_FALSE(check_anthropic_support(decoded(decode_completions(echo, {limits}), echo), true));
  const Request prefix = chat(R"("messages":[{"role":"user","content":"hi"},)"
                              R"({"role":"assistant","content":"a","prefix":true}])");
  EXPECT_TRUE(check_anthropic_support(prefix, true));
  EXPECT_FALSE(check_anthropic_support(prefix, false));
}

TEST(AnthropicBody, takes_the_images_that_it_can) {
  EXPECT_EQ(read_image_source("data:image/jpg;base64,AA")->media_type, "image/jpeg");
  EXPECT_EQ(read_image_source("https://a/b")->data, "https://a/b");
  for (const std::string_view url :
       {"http://a/b", "data:image/bmp;base64,AA", "data:image/png,AA", "data:x", "ftp://a"}) {
    EXPECT_FALSE(read_image_source(url)) << url;
  }
}

// --- answers that go on -------------------------------------------------------------------------

TEST(AnthropicBody, goes_on_without_white_space_at_the_end) {
  const AnswerSoFar so_far = said("Hello \n");
  const Request request = asking(R"(,"max_tokens":10,"thinking":{"type":"enabled"})");
  AnthropicBody body = anthropic_body(request, target, &so_far);
  expect_in(body.text, R"({"role":"assistant","content":[{"type":"text","text":"Hello"}]}])");
  expect_in(body.text, "\"max_tokens\":7");
  expect_not_in(body.text, "\"thinking\"");
  std::string next = " \nworld ";
  body.said.drop_from(next);
  EXPECT_EQ(next, "world ");
  EXPECT_FALSE(body.said.pending());
  const AnswerSoFar all = said("x", 10);
  EXPECT_TRUE(anthropic_body(request, target, &all).complete);
}

TEST(AnthropicBody, a_text_of_white_space_begins_anew) {
  const AnswerSoFar so_far = said("\n");
  const std::string body = body_of(asking(), &so_far);
  expect_not_in(body, "assistant");
}

TEST(SaidSpace, drops_what_was_said_and_no_more) {
  const std::tuple<std::string, std::vector<std::string>, std::string> cases[] = {
      {"a ", {" b"}, "b"},           {"a ", {"b"}, "b"},
      {"a", {" b"}, " b"},           {"a\n\n", {"\n", "\nb"}, "b"},
      {"a \n", {"  \n b"}, " b"},    {"a\n ", {" b c"}, "b c"},
      {"a ", {"", " ", " b"}, " b"}, {"a\xE3\x80\x80", {"\xE3\x80\x80 b"}, " b"}};
  for (const auto& [text, pieces, expected] : cases) {
    std::string cut = text;
    SaidSpace space = SaidSpace::cut_from(cut);
    EXPECT_EQ(cut, "a");
    std::string out;
    for (std::string piece : pieces) {
      space.drop_from(piece);
      out += piece;
    }
    EXPECT_EQ(out, expected) << text;
  }
}

// --- clients of the same form -------------------------------------------------------------------

TEST(AnthropicSplice, the_clients_own_body_passes) {
  const Request request = messages(
      R"("messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":)"
      R"({"type":"ephemeral"}}]},{"role":"assistant","content":[{"type":"thinking",)"
      R"("thinking":"hm","signature":"c2ln"},{"type":"text","text":"a"}]},{"role":"user",)"
      R"("content":"b"}], "service_tier":"auto")");
  AnthropicTarget same;
  EXPECT_EQ(anthropic_body(request, same).same.data(), request.raw_body.data());
  std::string renamed = request.raw_body;
  renamed.replace(renamed.find("\"m\""), 3, "\"claude-there\"");
  std::string made = body_of(request);
  renamed.erase(renamed.find("], \"service") + 2, 1);
  EXPECT_EQ(made, renamed);
}

TEST(AnthropicSplice, unknown_fields_pass_only_by_the_list) {
  const Request request =
      messages(R"("messages":[{"role":"user","content":"hi"}],"speed":"fast","top_k":5)");
  EXPECT_EQ(request.unknown_fields, std::vector<std::string>{"speed"});
  expect_not_in(body_of(request), "speed");
  const std::vector<std::string> allowed{"speed"};
  AnthropicTarget open;
  open.allow_fields = allowed;
  EXPECT_FALSE(anthropic_body(request, open).same.empty());
}

TEST(AnthropicSplice, thinking_of_other_models_stays_here) {
  const std::string own(own_signature);
  std::string escaped;
  for (const char c : own) {
    constexpr std::string_view digits = "0123456789abcdef";
    escaped += "\\u00";
    escaped += digits[static_cast<unsigned char>(c) >> 4];
    escaped += digits[static_cast<unsigned char>(c) & 15];
  }
  for (const std::string& signature : {own, escaped, std::string()}) {
    const Request request = messages(
        R"("thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user",)"
        R"("content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"secret",)"
        R"("signature":")" +
        signature +
        R"("},{"type":"thinking","thinking":"real",)"
        R"("signature":"c2ln"},{"type":"text","text":"a"}]},{"role":"assistant","content":)"
        R"([{"type":"thinking","thinking":"secret","signature":")" +
        signature + R"("}]},{"role":"user","content":"b"}])");
    const std::string body = body_of(request);
    expect_not_in(body, "secret");
    expect_in(body, R"({"type":"thinking","thinking":"real","signature":"c2ln"})");
    expect_in(body, "budget_tokens");
  }
}

TEST(AnthropicSplice, does_not_think_on_behind_thinking_of_others) {
  const Request request = messages(
      R"("thinking":{"type":"enabled","budget_tokens":1024},"messages":[{"role":"user",)"
      R"("content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm",)"
      R"("signature":")" +
      std::string(own_signature) +
      R"("},{"type":"tool_use","id":"a",)"
      R"("name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result",)"
      R"("tool_use_id":"a","content":"x"}]}])");
  expect_not_in(body_of(request), "budget_tokens");
}

TEST(AnthropicSplice, goes_on_behind_the_text_so_far) {
  const Request fresh = messages(R"("messages":[{"role":"user","content":"hi"}],)"
                                 R"("thinking":{"type":"enabled","budget_tokens":50})");
  const AnswerSoFar so_far = said("so \"far\" ");
  EXPECT_EQ(body_of(fresh, &so_far),
            R"({"model":"claude-there","max_tokens":97,"messages":[{"role":"user","content":)"
            R"("hi"},{"role":"assistant","content":"so \"far\""}]})");
  const Request begun =
      messages(R"("messages":[{"role":"user","content":"hi"},)"
               R"({"role":"assistant","content":[{"type":"text","text":"A: "}]}])");
  expect_in(body_of(begun, &so_far), R"({"role":"assistant","content":"A: so \"far\""}])");
}

TEST(AnthropicSplice, a_count_has_no_limits_of_an_answer) {
  const Request request = messages(R"("messages":[{"role":"user","content":"hi"}],"stream":true,)"
                                   R"("temperature":1,"system":"s")");
  EXPECT_EQ(anthropic_count_body(request, target),
            R"({"model":"claude-there","messages":[{"role":"user","content":"hi"}],"system":"s"})");
}

}  // namespace
}  // namespace deepseek::protocol
