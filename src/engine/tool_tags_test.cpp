#include "engine/tool_tags.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::engine {
namespace {

namespace wire = ::deepseek::engine::v1;
using grammar::Constraint;
using testing::HasSubstr;
using testing::Not;

wire::Chat chat(wire::ToolChoice choice) {
  wire::Chat chat;
  chat.set_tool_choice(choice);
  chat.set_parallel_tool_calls(true);
  wire::Tool* tool = chat.add_tools();
  tool->set_name("look");
  tool->set_parameters(
      R"({"type":"object","properties":{"at":{"type":"integer"}},"required":["at"]})");
  chat.add_tools()->set_name("wait");
  return chat;
}

std::string tags(const wire::Chat& chat, ToolFormat format,
                 const std::optional<Constraint>& answer = std::nullopt) {
  const auto made = tool_tags(chat, format, answer);
  EXPECT_TRUE(made.has_value()) << made.error().message;
  if (!made.has_value() || !made->has_value()) return "";
  EXPECT_EQ((*made)->kind, Constraint::Kind::structural_tag);
  return (*made)->text;
}

TEST(ToolTags, CallsAreWrittenAsTheModelWritesThem) {
  EXPECT_THAT(tags(chat(wire::AUTO), ToolFormat::hermes),
              HasSubstr(R"("begin":"<tool_call>\n{\"name\": \"look\", \"arguments\": ")"));
  EXPECT_THAT(tags(chat(wire::AUTO), ToolFormat::deepseek_plain),
              HasSubstr(R"("begin":"<｜tool▁call▁begin｜>look<｜tool▁sep｜>")"));
  EXPECT_THAT(tags(chat(wire::AUTO), ToolFormat::deepseek_fenced),
              HasSubstr(R"(function<｜tool▁sep｜>look\n```json\n)"));
  EXPECT_THAT(tags(chat(wire::AUTO), ToolFormat::dsml_tools),
              HasSubstr(R"("begin":"<｜DSML｜invoke name=\"look\">\n")"));
  EXPECT_THAT(tags(chat(wire::AUTO), ToolFormat::dsml_tools), HasSubstr("deepseek_xml"));
  EXPECT_THAT(tags(chat(wire::AUTO), ToolFormat::mistral_named),
              HasSubstr(R"("begin":"[TOOL_CALLS]look[ARGS]")"));
}

TEST(ToolTags, TheChoiceSaysWhatMustCome) {
  EXPECT_THAT(tags(chat(wire::AUTO), ToolFormat::hermes), HasSubstr(R"("at_least_one":false)"));
  EXPECT_THAT(tags(chat(wire::REQUIRED), ToolFormat::hermes), HasSubstr(R"("at_least_one":true)"));
  wire::Chat named = chat(wire::NAMED);
  named.set_tool_name("wait");
  EXPECT_THAT(tags(named, ToolFormat::hermes), Not(HasSubstr("look")));
  wire::Chat one = chat(wire::REQUIRED);
  one.set_parallel_tool_calls(false);
  EXPECT_THAT(tags(one, ToolFormat::hermes), HasSubstr(R"("stop_after_first":true)"));
}

TEST(ToolTags, SchemasAreHeldToOrTheToolIsRefused) {
  wire::Chat given = chat(wire::AUTO);
  EXPECT_THAT(tags(given, ToolFormat::hermes), HasSubstr(R"("required":["at"])"));
  given.mutable_tools(0)->set_parameters(R"({"type":"object","minProperties":1})");
  EXPECT_THAT(tags(given, ToolFormat::hermes), HasSubstr(R"("json_schema":{"type":"object"})"));
  given.mutable_tools(0)->set_strict(true);
  const auto refused = tool_tags(given, ToolFormat::hermes, std::nullopt);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, base::ErrorCode::invalid_request);
  EXPECT_EQ(refused.error().param, "tools[0].function.parameters/minProperties");
}

TEST(ToolTags, AnAnswerOfASchemaStandsBesideCalls) {
  const Constraint object{Constraint::Kind::json_object, {}, {}, "response_format"};
  const std::string both = tags(chat(wire::AUTO), ToolFormat::hermes, object);
  EXPECT_THAT(both, HasSubstr(R"("type":"or")"));
  EXPECT_THAT(both, HasSubstr(R"("at_least_one":true)"));
  const Constraint regex{Constraint::Kind::regex, "a", {}, "regex"};
  const auto refused = tool_tags(chat(wire::AUTO), ToolFormat::hermes, regex);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().param, "regex");
}

}  // namespace
}  // namespace deepseek::engine
