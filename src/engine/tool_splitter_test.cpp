#include "engine/tool_splitter.hpp"

#include "base/utf8.hpp"
#include "engine/answer_text.hpp"
#include "engine/json_relay.hpp"
#include "engine/model_interface.hpp"
#include "engine/tool_check.hpp"
#include "engine/tool_prompt.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json/parse.hpp>
#include <chrono>
#include <random>

namespace deepseek::engine {
namespace {

struct Whole {
  std::string content;
  std::vector<ToolCallPiece> calls;
  bool called = false;
  bool operator==(const Whole&) const = default;
};

void take(Whole& whole, ToolParser::Output output) {
  whole.content += output.content;
  for (ToolCallPiece& piece : output.calls) add_piece(whole.calls, std::move(piece));
}

std::unique_ptr<ToolParser> parser(ToolFormat format, bool parallel = true) {
  ToolSplitterOptions options;
  options.format = format;
  options.names = {"f", "get_weather"};
  options.parallel = parallel;
  options.make_id = [count = 0]() mutable { return "call_" + std::to_string(count++); };
  return make_tool_splitter(std::move(options));
}

// `cut`: the length of the next piece.
template <class Cut>
Whole parse(ToolFormat format, std::string_view text, Cut cut, bool parallel = true) {
  const auto splitter = parser(format, parallel);
  Whole whole;
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, std::max<std::size_t>(cut(), 1));
    text.remove_prefix(piece.size());
    ToolParser::Output output;
    splitter->push(piece, output);
    take(whole, std::move(output));
  }
  ToolParser::Output output;
  splitter->finish(output);
  take(whole, std::move(output));
  whole.called = splitter->called();
  return whole;
}

Whole parse(ToolFormat format, const std::string& text, bool parallel = true) {
  return parse(format, std::string_view(text), [&] { return text.size(); }, parallel);
}

bool valid(const std::string& arguments) {
  boost::system::error_code error;
  boost::json::parse_options options;
  options.max_depth = 2 * JsonRelay::kDepthMax;
  const auto value = boost::json::parse(arguments, error, {}, options);
  return !error && value.is_object();
}

struct Example {
  ToolFormat format;
  std::string text;
};

const std::vector<Example>& examples() {
  static const std::vector<Example> list{
      {ToolFormat::deepseek_fenced,
       "Hi\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
       "{\"city\": \"Rome\", \"n\": -1.5e3}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function"
       "<｜tool▁sep｜>f\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"},
      {ToolFormat::deepseek_plain,
       "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": \"Rome\"}"
       "<｜tool▁call▁end｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": [1, {\"b\": null}]}"
       "<｜tool▁call▁end｜><｜tool▁calls▁end｜>"},
      {ToolFormat::dsml_functions,
       "Hi\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter "
       "name=\"city\" string=\"true\">Ro\"me\n</b></｜DSML｜parameter>\n<｜DSML｜parameter "
       "name=\"n\" "
       "string=\"false\">[1, 2]</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke "
       "name=\"f\">\n"
       "</｜DSML｜invoke>\n</｜DSML｜function_calls>"},
      {ToolFormat::dsml_tools,
       "<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"a\" "
       "string=\"false\">True</｜DSML｜parameter>\n<｜DSML｜parameter name=\"b\" "
       "string=\"false\">12"
       "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>"},
      {ToolFormat::hermes,
       "Hi\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome "
       "\\ud83d\\ude00"
       "\"}}\n</tool_call>\n<tool_call>\n{\"arguments\": \"{\\\"a\\\": 1}\", \"name\": \"f\"}\n"
       "</tool_call>\nBye"},
      {ToolFormat::llama3,
       "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Rome\"}}; {\"name\": \"f\", "
       "\"parameters\": {}}"},
      {ToolFormat::mistral_list,
       "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}, \"id\": "
       "\"abcdefghi\"}, {\"id\": \"123456789\", \"name\": \"f\", \"arguments\": {}}]"},
      {ToolFormat::mistral_named,
       "Hi[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]{\"city\": "
       "\"Rome\"}[TOOL_CALLS]f[ARGS]{}"},
      {ToolFormat::generic,
       "<tool_call>{\"name\": \"unknown\", \"arguments\": {}}</tool_call> <tool_call>{\"name\": "
       "\"f\", \"arguments\": {\"a\": tru"},
      {ToolFormat::hermes,
       "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": oops}}</tool_call>x"},
      {ToolFormat::hermes, "a < b and <tool_ca"},
  };
  return list;
}

TEST(ToolSplitter, ReadsEachFormat) {
  Whole whole = parse(ToolFormat::deepseek_fenced, examples()[0].text);
  EXPECT_EQ(whole.content, "Hi");
  ASSERT_EQ(whole.calls.size(), 2U);
  EXPECT_EQ(whole.calls[0],
            (ToolCallPiece{0, "call_0", "get_weather", R"({"city": "Rome", "n": -1.5e3})"}));
  EXPECT_EQ(whole.calls[1], (ToolCallPiece{1, "call_1", "f", "{}"}));
  EXPECT_TRUE(whole.called);
  whole = parse(ToolFormat::deepseek_plain, examples()[1].text);
  ASSERT_EQ(whole.calls.size(), 2U);
  EXPECT_EQ(whole.calls[1].arguments, R"({"a": [1, {"b": null}]})");
  whole = parse(ToolFormat::dsml_functions, examples()[2].text);
  EXPECT_EQ(whole.content, "Hi");
  ASSERT_EQ(whole.calls.size(), 2U);
  EXPECT_EQ(whole.calls[0].arguments, R"({"city": "Ro\"me\n</b>", "n": [1, 2]})");
  EXPECT_EQ(whole.calls[1].arguments, "{}");
  whole = parse(ToolFormat::dsml_tools, examples()[3].text);
  ASSERT_EQ(whole.calls.size(), 1U);
  EXPECT_EQ(whole.calls[0].arguments, R"({"a": "True", "b": 12})");
  EXPECT_TRUE(whole.called);
  whole = parse(ToolFormat::hermes, examples()[4].text);
  EXPECT_EQ(whole.content, "Hi\nBye");
  ASSERT_EQ(whole.calls.size(), 2U);
  EXPECT_EQ(whole.calls[1].arguments, R"({"a": 1})");
  whole = parse(ToolFormat::llama3, examples()[5].text);
  ASSERT_EQ(whole.calls.size(), 2U);
  EXPECT_EQ(whole.calls[0].arguments, R"({"city": "Rome"})");
  whole = parse(ToolFormat::mistral_list, examples()[6].text);
  ASSERT_EQ(whole.calls.size(), 2U);
  EXPECT_EQ(whole.calls[1].id, "123456789");
  whole = parse(ToolFormat::mistral_named, examples()[7].text);
  ASSERT_EQ(whole.calls.size(), 2U);
  EXPECT_EQ(whole.calls[0].id, "abcdefghi");
  EXPECT_EQ(whole.content, "Hi");
}

TEST(ToolSplitter, ClosesWhatTheModelDoesNot) {
  Whole whole = parse(ToolFormat::generic, examples()[8].text);
  EXPECT_EQ(whole.content, "<tool_call>{\"name\": \"unknown\", \"arguments\": {}}</tool_call>");
  ASSERT_EQ(whole.calls.size(), 1U);
  EXPECT_EQ(whole.calls[0].arguments, "{}");
  EXPECT_FALSE(whole.called);
  whole = parse(ToolFormat::hermes, examples()[9].text);
  ASSERT_EQ(whole.calls.size(), 1U);
  EXPECT_EQ(whole.calls[0].arguments, "{}");
  EXPECT_EQ(whole.content, "x");
  EXPECT_FALSE(whole.called);
  EXPECT_EQ(parse(ToolFormat::hermes, examples()[10].text).content, examples()[10].text);
}

TEST(ToolSplitter, ArgumentsThatAreNoObjectAreNoCall) {
  const std::string text = R"(<tool_call>{"name": "f", "arguments": 007{"a": 1}}</tool_call>)";
  const Whole whole = parse(ToolFormat::hermes, text);
  EXPECT_TRUE(whole.calls.empty());
  EXPECT_EQ(whole.content, text);
}

TEST(ToolSplitter, ASingleCallEndsTheAnswer) {
  const Whole whole = parse(ToolFormat::deepseek_plain, examples()[1].text, false);
  ASSERT_EQ(whole.calls.size(), 1U);
  EXPECT_TRUE(whole.called);
  EXPECT_EQ(whole.content, "");
}

// The same text in every split, cut off anywhere and with bytes changed: the same result, and
// arguments that are JSON.
TEST(ToolSplitter, SplitsMakeNoDifference) {
  std::mt19937 random(20261128);
  for (const Example& example : examples()) {
    for (int round = 0; round < 400; ++round) {
      std::string text = example.text.substr(0, 1 + random() % example.text.size());
      if (round % 2 == 1) text[random() % text.size()] = "{}\"\\<[,: 1"[random() % 10];
      base::Utf8Assembler utf8;  // as an answer's text is
      text = utf8.push(text) + utf8.finish();
      const Whole whole = parse(example.format, text);
      for (const ToolCallPiece& call : whole.calls) {
        EXPECT_TRUE(valid(call.arguments)) << text << "\n" << call.arguments;
        EXPECT_FALSE(call.id.empty());
      }
      EXPECT_EQ(whole, parse(example.format, std::string_view(text), [] { return 1; })) << text;
      EXPECT_EQ(whole, parse(example.format, std::string_view(text),
                             [&random] { return 1 + random() % 7; }))
          << text;
    }
  }
}

TEST(ToolSplitter, LongArgumentsCostTheSamePerByte) {
  std::string text = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"";
  text += std::string(16'000, 'x');
  text += "\"}}</tool_call>";
  const auto splitter = parser(ToolFormat::hermes);
  const auto begin = std::chrono::steady_clock::now();
  std::size_t most = 0;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    ToolParser::Output output;
    splitter->push(std::string_view(text).substr(at, 4), output);
    for (const ToolCallPiece& piece : output.calls) most = std::max(most, piece.arguments.size());
  }
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
  EXPECT_TRUE(splitter->called());
  EXPECT_LE(most, 12U);  // it streams
  EXPECT_LT(taken.count() / 4000, 1.0) << "milliseconds a token";
}

TEST(AnswerText, StopStringsDoNotLookIntoCalls) {
  AnswerText text({"}", "END"}, {}, parser(ToolFormat::hermes));
  AnswerText::Output output = text.push("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}");
  ASSERT_EQ(output.calls.size(), 1U);
  EXPECT_FALSE(output.stopped);
  EXPECT_EQ(output.calls[0].arguments, R"({"a": 1})");
  output = text.push("</tool_call>well END no");
  EXPECT_TRUE(output.stopped);
  EXPECT_EQ(output.content + text.finish().content, "well ");
}

TEST(AnswerText, ACallEndsThinking) {
  ReasoningTags tags{"<think>", "</think>", {std::string(kFunctionsBegin)}};
  AnswerText text({}, ReasoningSplitter(tags, AnswerPlace::inside),
                  parser(ToolFormat::dsml_functions));
  AnswerText::Output output = text.push("I look" + examples()[2].text.substr(2));
  EXPECT_EQ(output.reasoning, "I look\n\n");
  EXPECT_EQ(output.calls.size(), 2U);
  EXPECT_TRUE(text.called());
}

wire::Chat chat_with(const std::vector<std::string>& names) {
  wire::Chat chat;
  for (const std::string& name : names) chat.add_tools()->set_name(name);
  wire::ChatMessage& user = *chat.add_messages();
  user.set_role("user");
  user.set_content("Hi");
  return chat;
}

TEST(ToolCheck, NamesWhatIsWrong) {
  EXPECT_TRUE(check_tools(chat_with({"f", "g"})).has_value());
  EXPECT_EQ(check_tools(chat_with({"f", "f"})).error().param, "tools[1].function.name");
  EXPECT_EQ(check_tools(chat_with({"f g"})).error().param, "tools[0].function.name");
  wire::Chat chat = chat_with({"f"});
  chat.set_tool_choice(wire::NAMED);
  chat.set_tool_name("g");
  EXPECT_EQ(check_tools(chat).error().param, "tool_choice");
  chat.set_tool_choice(wire::AUTO);
  wire::ToolCall& call = *chat.mutable_messages(0)->add_tool_calls();
  call.set_name("f");
  call.set_arguments("{\"a\": 1} x");
  EXPECT_EQ(check_tools(chat).error().param, "messages[0].tool_calls[0].function.arguments");
}

TEST(ToolPrompt, DescribesToolsWhereTheTemplateDoesNot) {
  const wire::Chat chat = prepare_tools(chat_with({"f"}), {ToolFormat::generic, false});
  ASSERT_EQ(chat.messages_size(), 2);
  EXPECT_EQ(chat.messages(0).role(), "system");
  EXPECT_THAT(chat.messages(0).content(), testing::HasSubstr("\"name\": \"f\""));
  EXPECT_EQ(chat.tools_size(), 0);
}

TEST(ToolPrompt, OrdersResultsAndShowsThemAsText) {
  wire::Chat chat = chat_with({"f"});
  wire::ChatMessage& answer = *chat.add_messages();
  answer.set_role("assistant");
  for (const char* id : {"a", "b"}) {
    wire::ToolCall& call = *answer.add_tool_calls();
    call.set_id(id);
    call.set_name("f");
  }
  for (const char* id : {"b", "a"}) {
    wire::ChatMessage& result = *chat.add_messages();
    result.set_role("tool");
    result.set_tool_call_id(id);
    result.set_content(id);
  }
  const wire::Chat shown = prepare_tools(chat, {ToolFormat::generic, false});
  ASSERT_EQ(shown.messages_size(), 4);
  EXPECT_EQ(shown.messages(3).content(),
            "<tool_response>\na\n</tool_response>\n<tool_response>\nb\n</tool_response>");
  const wire::Chat split = prepare_tools(chat, {ToolFormat::llama3, true});
  ASSERT_EQ(split.messages_size(), 5);
  EXPECT_EQ(split.messages(2).content(), "a");
  const wire::Chat short_ids = prepare_tools(chat, {ToolFormat::mistral_list, true});
  EXPECT_EQ(short_ids.messages(1).tool_calls(0).id(), mistral_id("a"));
  EXPECT_EQ(short_ids.messages(2).tool_call_id().size(), 9U);
}

}  // namespace
}  // namespace deepseek::engine
