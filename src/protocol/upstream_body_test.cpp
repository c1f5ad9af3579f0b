#include "protocol/upstream_body.hpp"

#include "protocol/decode.hpp"
#include "protocol/openai_body.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

const RequestLimits limits;

Request read_chat(std::string body) {
  auto request = decode_chat(body, {limits});
  EXPECT_TRUE(request) << body;
  request->raw_body = std::move(body);
  return std::move(*request);
}

std::string relayed(const Request& request, const UpstreamForm& form) {
  const BodyOutline outline = outline_body(request.raw_body);
  const UpstreamBody body = upstream_body(request, outline, form);
  EXPECT_TRUE(decode_chat(body.bytes(), {limits})) << body.bytes();
  return std::string(body.bytes());
}

TEST(UpstreamBody, passes_the_same_bytes_when_nothing_must_change) {
  for (const std::string_view text :
       {R"( {"model" : "m", "messages":[{"role":"user","content":"}]\\"}],"user_id":"u",
         "thinking":{"type":"enabled"},"tools":[{"type":"function","function":{"name":"f"}}],
         "response_format":{"type":"json_object"},"top_k":5,"temperature":0.70} )",
        R"({"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,
         "stream_options":{"include_usage":true,"include_obfuscation":false}})"}) {
    const Request request = read_chat(std::string(text));
    const BodyOutline outline = outline_body(request.raw_body);
    for (const std::string_view model : {"m", ""}) {
      const UpstreamBody body = upstream_body(request, outline, {model});
      EXPECT_EQ(body.bytes().data(), request.raw_body.data());
      EXPECT_EQ(body.bytes(), text);
      EXPECT_FALSE(body.hide_usage);
    }
  }
}

TEST(UpstreamBody, names_the_model_as_the_upstream_does) {
  EXPECT_EQ(
      relayed(read_chat(R"({"messages":[{"role":"user","content":"x"}], "n" : 1})"), {"a\"b"}),
      R"({"messages":[{"role":"user","content":"x"}],"n":1,"model":"a\"b"})");
  EXPECT_EQ(relayed(read_chat(R"({"mod\u0065l":"x","messages":[{"role":"user","content":"x"}]})"),
                    {"deepseek-flash"}),
            R"({"model":"deepseek-flash","messages":[{"role":"user","content":"x"}]})");
}

TEST(UpstreamBody, drops_what_nobody_knows_or_allows) {
  const Request request = read_chat(
      R"({"model":"m","chat_template":"{{x}}","messages":[{"role":"user","content":"x"}],
          "mine":[1],"priority":9})");
  EXPECT_EQ(relayed(request, {"m"}), R"({"model":"m","messages":[{"role":"user","content":"x"}]})");
  const std::vector<std::string> allowed{"mine", "other"};
  EXPECT_EQ(relayed(request, {"m", allowed}),
            R"({"model":"m","messages":[{"role":"user","content":"x"}],"mine":[1]})");
}

TEST(UpstreamBody, a_stream_always_ends_with_usage) {
  const std::string start = R"({"messages":[{"role":"user","content":"x"}],"stream":true)";
  for (const std::string_view options : {"", R"(,"stream_options":null)", R"(,"stream_options":{})",
                                         R"(,"stream_options":{"include_usage":false})"}) {
    const Request request = read_chat(start + std::string(options) + "}");
    const BodyOutline outline = outline_body(request.raw_body);
    const UpstreamBody body = upstream_body(request, outline, {});
    EXPECT_TRUE(body.hide_usage);
    EXPECT_EQ(body.bytes(), start + R"(,"stream_options":{"include_usage":true}})");
  }
  const Request asked = read_chat(start + R"(,"stream_options":{"include_usage":true}})");
  const BodyOutline outline = outline_body(asked.raw_body);
  EXPECT_FALSE(upstream_body(asked, outline, {}).hide_usage);
  UpstreamForm old;
  old.stream_usage = false;
  EXPECT_EQ(upstream_body(asked, outline, old).bytes(), start + "}");
  EXPECT_FALSE(upstream_body(asked, outline, old).hide_usage);
}

TEST(UpstreamBody, names_the_token_limit_as_the_upstream_does) {
  const std::string start = R"({"model":"m","messages":[{"role":"user","content":"x"}],)";
  const Request newer = read_chat(start + R"("max_completion_tokens":7,"n":1})");
  const Request older = read_chat(start + R"("max_tokens":7,"n":1})");
  UpstreamForm form{"m"};
  EXPECT_EQ(relayed(newer, form), newer.raw_body) << "nobody asked";
  form.token_limit_field = "max_tokens";
  EXPECT_EQ(relayed(newer, form), start + R"("n":1,"max_tokens":7})");
  EXPECT_EQ(relayed(older, form), older.raw_body);
  const Request both = read_chat(start + R"("max_tokens":7,"max_completion_tokens":7})");
  EXPECT_EQ(relayed(both, form), start + R"("max_tokens":7})");
  const Request null = read_chat(start + R"("max_tokens":null,"max_completion_tokens":7})");
  EXPECT_EQ(relayed(null, form), start + R"("max_tokens":7})");
  form.token_limit_field = "max_completion_tokens";
  EXPECT_EQ(relayed(older, form), start + R"("n":1,"max_completion_tokens":7})");
}

TEST(UpstreamBody, a_prompts_token_limit_has_one_name_everywhere) {
  std::string text = R"({"model":"m","prompt":"x","max_completion_tokens":7})";
  auto request = decode_completions(text, {limits});
  ASSERT_TRUE(request);
  request->raw_body = text;
  UpstreamForm form{"m"};
  form.token_limit_field = "max_completion_tokens";
  EXPECT_EQ(upstream_body(*request, outline_body(text), form).bytes(),
            R"({"model":"m","prompt":"x","max_tokens":7})");
}

TEST(UpstreamBody, says_a_prefix_as_the_upstream_does) {
  const Request request = read_chat(R"({"messages":[{"role":"user","content":"x"},)"
                                    R"({"role":"assistant","content":"The","prefix":true}]})");
  const auto with = [&](Continuation kind) {
    UpstreamForm form;
    form.continuation = kind;
    const BodyOutline outline = outline_body(request.raw_body);
    return std::string(upstream_body(request, outline, form).bytes());
  };
  const std::string start = R"({"messages":[{"role":"user","content":"x"},)";
  EXPECT_EQ(with(Continuation::prefix), request.raw_body);
  EXPECT_EQ(with(Continuation::none), request.raw_body);
  EXPECT_EQ(with(Continuation::assistant_last),
            start + R"({"role":"assistant","content":"The"}]})");
  EXPECT_EQ(with(Continuation::continue_final_message),
            start + R"({"role":"assistant","content":"The"}],)"
                    R"("continue_final_message":true,"add_generation_prompt":false})");
}

TEST(UpstreamBody, serves_clients_of_other_forms) {
  const auto request = decode_infer(R"({"query":"a","stream":true})", {limits});
  ASSERT_TRUE(request);
  const std::string neutral = openai_body(*request);
  const UpstreamBody body = upstream_body(*request, outline_body(neutral), {"m"});
  EXPECT_EQ(body.bytes(),
            R"({"messages":[{"role":"user","content":"a"}],"max_tokens":1024,"stream":true,)"
            R"("model":"m","stream_options":{"include_usage":true}})");
}

}  // namespace
}  // namespace deepseek::protocol
