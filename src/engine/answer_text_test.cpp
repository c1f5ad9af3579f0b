#include "engine/answer_text.hpp"

#include "engine/special_text.hpp"

#include <gtest/gtest.h>

namespace deepseek::engine {
namespace {

TEST(StopMatcher, FindsAStopAcrossPieces) {
  StopMatcher matcher({"END", "\n\n"});
  EXPECT_EQ(matcher.push("one E").text, "one ");
  EXPECT_EQ(matcher.push("N").text, "");
  const StopMatcher::Output output = matcher.push("D tail");
  EXPECT_EQ(output.stop, "END");
  EXPECT_EQ(output.text, "");
}

TEST(StopMatcher, GivesBackWhatWasNoStop) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("E").text, "");
  EXPECT_EQ(matcher.push("Nough").text, "ENough");
  EXPECT_EQ(matcher.push("EN").text, "");
  EXPECT_EQ(matcher.finish(), "EN");
}

TEST(StopMatcher, TakesTheEarliestOfSeveral) {
  StopMatcher matcher({"c", "b"});
  const StopMatcher::Output output = matcher.push("abc");
  EXPECT_EQ(output.stop, "b");
  EXPECT_EQ(output.text, "a");
}

TEST(StopMatcher, IsTheSameInEveryCut) {
  const std::string text = "xabcdy";
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"abcd", "bc"}, "bc"},  // ends first
      {{"bc", "abc"}, "abc"},  // ends with it, and is longer
      {{"cd", "d", "abcd"}, "abcd"},
  };
  for (const auto& [stops, expected] : cases) {
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      StopMatcher matcher(stops);
      StopMatcher::Output output = matcher.push(text.substr(0, cut));
      std::string before = output.text;
      if (!output.stopped()) {
        output = matcher.push(text.substr(cut));
        before += output.text;
      }
      EXPECT_EQ(output.stop, expected) << cut;
      EXPECT_EQ(before, text.substr(0, text.find(expected))) << cut;
    }
  }
}

TEST(StopMatcher, RepeatedBeginningsOverlap) {
  StopMatcher matcher({"aab"});
  EXPECT_EQ(matcher.push("aa").text, "");
  EXPECT_EQ(matcher.push("a").text, "a");
  EXPECT_TRUE(matcher.push("b").stopped());
}

TEST(ReasoningSplitter, SplitsByTagsAcrossPieces) {
  ReasoningSplitter splitter({"<think>", "</think>"}, AnswerPlace::before);
  std::string reasoning;
  std::string content;
  for (const char* piece : {"\n<th", "ink>why", " not</thi", "nk>\n\nYes", " <think> is text"}) {
    const ReasoningSplitter::Output output = splitter.push(piece);
    reasoning += output.reasoning;
    content += output.content;
  }
  EXPECT_EQ(reasoning, "why not");
  EXPECT_EQ(content, "Yes <think> is text");
}

TEST(ReasoningSplitter, StartsInsideWhenThePromptOpenedTheTag) {
  ReasoningSplitter splitter({"<think>", "</think>"}, AnswerPlace::inside);
  EXPECT_EQ(splitter.push("because").reasoning, "because");
  EXPECT_EQ(splitter.push("</think>so").content, "so");
}

TEST(ReasoningSplitter, WithoutTagsAllIsContent) {
  ReasoningSplitter splitter;
  EXPECT_EQ(splitter.push("<think>x").content, "<think>x");
}

TEST(JoinAnswer, SaysWhatTheModelWouldHaveWritten) {
  const ReasoningTags tags{"<think>", "</think>"};
  const auto joined = [&](const char* prompt, const char* reasoning, const char* content) {
    return join_answer(prompt, tags, reasoning, content);
  };
  EXPECT_EQ(joined("A:", "", "yes").text, "yes");
  EXPECT_EQ(joined("A:", "why", "yes").text, "<think>\nwhy\n</think>\n\nyes");
  EXPECT_EQ(joined("A:", "\nwhy\n", "yes").text, "<think>\nwhy\n</think>\n\nyes");
  EXPECT_EQ(joined("A:<think>\n", "why", "yes").text, "why\n</think>\n\nyes");
  EXPECT_EQ(joined("A:<think>\n", "why", "").text, "why");
  EXPECT_EQ(joined("A:<think>\n", "", "yes").text, "</think>\n\nyes");
  EXPECT_EQ(joined("A:<think></think>", "why", "yes").text, "yes") << "thinking is off";
  EXPECT_EQ(join_answer("A:", {}, "why", "yes").text, "yes") << "a model that knows no tags";
}

TEST(JoinAnswer, KnowsWhereTheRestStands) {
  const ReasoningTags tags{"<think>", "</think>"};
  EXPECT_EQ(join_answer("A:", tags, "", "").place, AnswerPlace::before);
  EXPECT_EQ(join_answer("A:", tags, "why", "").place, AnswerPlace::inside);
  EXPECT_EQ(join_answer("A:<think>", tags, "", "").place, AnswerPlace::inside);
  EXPECT_EQ(join_answer("A:<think>", tags, "why", "yes").place, AnswerPlace::content);
  EXPECT_EQ(join_answer("A:", {}, "why", "").place, AnswerPlace::before);
}

TEST(AnswerText, NeverCutsACharacter) {
  AnswerText text;
  EXPECT_TRUE(text.push("\xE4\xBD").empty());
  EXPECT_EQ(text.push("\xA0!").content, "\xE4\xBD\xA0!");
}

TEST(AnswerText, NothingFollowsAStop) {
  AnswerText text({"."}, ReasoningSplitter());
  const AnswerText::Output output = text.push("Yes. \xE4\xBD");
  EXPECT_TRUE(output.stopped);
  EXPECT_EQ(output.content, "Yes");
  EXPECT_TRUE(text.finish().empty());
}

TEST(AnswerText, TheEndReplacesACutCharacter) {
  AnswerText text({"stop"}, ReasoningSplitter());
  EXPECT_EQ(text.push("st").content, "");
  EXPECT_EQ(text.push("\xE4").content, "");
  EXPECT_EQ(text.finish().content, "st\xEF\xBF\xBD");
}

TEST(SpecialText, MarksOnlySpecialTokens) {
  const SpecialText special({"<|im_end|>", "<|im", "<s>"});
  EXPECT_EQ(special.guard("a < b and <|x", "n"), "a < b and <|x");
  const std::string guarded = special.guard("x<|im_end|>y<s>", "n");
  const auto pieces = SpecialText::cut("<|im_start|>" + guarded + "<|im_end|>", "n");
  ASSERT_TRUE(pieces.has_value());
  EXPECT_EQ(*pieces, (std::vector<PromptPiece>{{"<|im_start|>x", false},
                                               {"<|im_end|>", true},
                                               {"y", false},
                                               {"<s>", true},
                                               {"<|im_end|>", false}}));
}

TEST(SpecialText, RefusesTornMarks) {
  const SpecialText special({"<s>"});
  const std::string guarded = special.guard("<s>", "n");
  EXPECT_TRUE(SpecialText::cut(guarded.substr(0, guarded.size() - 2), "n").has_error());
  EXPECT_TRUE(SpecialText::cut(guarded.substr(8), "n").has_error());
}

}  // namespace
}  // namespace deepseek::engine
