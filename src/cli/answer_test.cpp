#include "cli/answer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::cli {
namespace {

using testing::HasSubstr;

TEST(Answer, BodyOfTheRequest) {
  EXPECT_EQ(chat_body("m", "say \"hi\"\n", true),
            R"({"model":"m","messages":[{"role":"user","content":"say \"hi\"\n"}],"stream":true})");
  EXPECT_EQ(chat_body("", "x", false),
            R"({"messages":[{"role":"user","content":"x"}],"stream":false})");
}

TEST(Answer, WholeAnswer) {
  EXPECT_EQ(text_of_answer(R"({"choices":[{"message":{"content":"Hello"}}]})").value(), "Hello");
  for (const char* body : {"", "[]", "{}", R"({"choices":[]})", "<html>"}) {
    EXPECT_THAT(text_of_answer(body).error().message, HasSubstr("is this a deepseek-server?"));
  }
}

TEST(Answer, Frames) {
  EXPECT_EQ(text_of_frame(R"({"choices":[{"delta":{"content":"He"}}]})").value(), "He");
  EXPECT_EQ(text_of_frame(R"({"choices":[{"delta":{"role":"assistant"}}]})").value(), "");
  EXPECT_EQ(text_of_frame(R"({"choices":[],"usage":{}})").value(), "");
  EXPECT_EQ(text_of_frame("[DONE]").value(), "");
  EXPECT_THAT(text_of_frame(R"({"error":{"message":"the engine ended"}})").error().message,
              HasSubstr("broke off: the engine ended"));
  EXPECT_TRUE(text_of_frame("rubbish").has_error());
}

TEST(Answer, ModelsAndTheirOtherNames) {
  EXPECT_EQ(list_of_models(R"({"data":[{"id":"a"},{"id":"b","root":"a"},{"id":"c","root":"c"}]})")
                .value(),
            "a\nb → a\nc\n");
  EXPECT_TRUE(list_of_models("{}").has_error());
}

TEST(Answer, RefusalsAndReadiness) {
  EXPECT_EQ(refusal(404, R"({"error":{"message":"no such model"}})"),
            "the server answered 404: no such model");
  EXPECT_EQ(refusal(502, "<html>"), "the server answered 502");
  EXPECT_EQ(readiness(200, "{}"), "ready");
  EXPECT_EQ(readiness(503, R"({"error":{"message":"loading, 40 %"}})"), "not ready: loading, 40 %");
  EXPECT_EQ(readiness(503, ""), "not ready (status 503)");
}

TEST(Answer, NothingControlsTheTerminal) {
  EXPECT_EQ(for_terminal("a\x1b[31mb\tc\nd\r\a\x7f"), "a[31mb\tc\nd");
  EXPECT_EQ(for_terminal("量子"), "量子");
}

}  // namespace
}  // namespace deepseek::cli
