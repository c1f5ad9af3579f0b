#include "gateway/route/text_scan.hpp"

#include <gtest/gtest.h>
#include <random>
#include <string>

namespace deepseek::gateway {
namespace {

TextScan scan(std::string_view text) {
  TextScan out;
  out.add(text);
  return out;
}

TEST(TextScan, LanguagesByScript) {
  const auto language = [](std::string_view text) { return to_string(scan(text).language()); };
  EXPECT_EQ(language("How do I sort a list in Python?"), "en");
  EXPECT_EQ(language("请解释一下量子纠缠是什么。"), "zh");
  EXPECT_EQ(language("量子もつれについて説明してください。"), "ja");
  EXPECT_EQ(language("東京都の人口を教えて"), "ja");
  EXPECT_EQ(language("양자 얽힘을 설명해 주세요."), "ko");
  EXPECT_EQ(language("Объясни квантовую запутанность."), "ru");
  EXPECT_EQ(language("اشرح التشابك الكمي"), "ar");
  EXPECT_EQ(language("הסבר על שזירה קוונטית"), "he");
  EXPECT_EQ(language("Εξήγησε την κβαντική διεμπλοκή"), "el");
  EXPECT_EQ(language("क्वांटम उलझाव समझाइए"), "hi");
  EXPECT_EQ(language("อธิบายควอนตัม"), "th");
  EXPECT_EQ(language("Erkläre bitte die Verschränkung für Anfänger."), "other");
  EXPECT_EQ(language("Giải thích rối lượng tử"), "other");
  EXPECT_EQ(language("12 + 34 = 46 ;"), "unknown");
  EXPECT_EQ(language(""), "unknown");
}

TEST(TextScan, ForeignWordsDoNotChangeTheLanguage) {
  const auto language = [](std::string_view text) { return to_string(scan(text).language()); };
  EXPECT_EQ(language("请用 Python 写一个 quicksort 函数, 并解释 pivot 的选择"), "zh");
  EXPECT_EQ(language("用英文回答: what is the difference between TCP and UDP?"), "zh");
  EXPECT_EQ(language("What does the word 道 mean in the Tao Te Ching, and how is it said?"), "en");
  EXPECT_EQ(language("The café is closed today because of the weather, so we shall meet in the "
                     "library instead of there, as I have written before."),
            "en");
}

TEST(TextScan, TokensByTheRule) {
  EXPECT_DOUBLE_EQ(scan(std::string(400, 'a')).tokens(), 100);
  EXPECT_DOUBLE_EQ(scan("量子纠缠是什么?").tokens(), 7 * 0.6 + 0.25);
  EXPECT_DOUBLE_EQ(scan("。，").tokens(), 1.2);
  EXPECT_DOUBLE_EQ(scan("ひらがな").tokens(), 3.2);
  EXPECT_DOUBLE_EQ(scan("한국어").tokens(), 2.4);
  EXPECT_DOUBLE_EQ(scan("мир").tokens(), 1.5);
  EXPECT_DOUBLE_EQ(scan("").tokens(), 0);
}

TEST(TextScan, PiecesAddUp) {
  const std::string text = "mixed 文字 and words, слова и 단어 — 1234567890 zzzzzzzzzzzz";
  TextScan pieces;
  pieces.add(text.substr(0, 6));
  pieces.add(text.substr(6));
  EXPECT_EQ(pieces.bytes(), text.size());
  EXPECT_DOUBLE_EQ(pieces.tokens(), scan(text).tokens());
}

TEST(TextScan, AnyBytesAreCountedAndNothingElseIsRead) {
  std::mt19937 random(3);
  for (int i = 0; i < 2'000; ++i) {
    std::string text(random() % 40, '\0');
    for (char& c : text) c = static_cast<char>(random());
    const std::string exact(text);  // so that a sanitizer sees a read beyond it
    const TextScan found = scan(exact);
    EXPECT_LE(found.tokens(), static_cast<double>(text.size()));
    EXPECT_GE(found.tokens(), 0.2 * static_cast<double>(text.size()));
  }
  EXPECT_DOUBLE_EQ(scan("\xE4\xB8").tokens(), 0.5) << "a cut character";
  EXPECT_DOUBLE_EQ(scan("\xFF\xFE").tokens(), 0.5);
}

TEST(TextScan, LongRunsAreCountedExactly) {
  std::string text;
  for (int i = 0; i < 5'000; ++i) text += "ab 1";
  EXPECT_EQ(scan(text).language(), Language::en);
  EXPECT_DOUBLE_EQ(scan(text).tokens(), 5'000);
  // Of 10,000 letters every single one must be counted to find the bound, one in sixty, here.
  std::string marked = text;
  for (int i = 0; i < 160; ++i) marked += "é";
  EXPECT_EQ(scan(marked).language(), Language::en);
  for (int i = 0; i < 20; ++i) marked += "é";
  EXPECT_EQ(scan(marked).language(), Language::other);
  std::string chinese;
  for (int i = 0; i < 1'000; ++i) chinese += "一量鿿";  // first, common and last
  EXPECT_DOUBLE_EQ(scan(chinese).tokens(), 1'800);
  EXPECT_EQ(scan(chinese).language(), Language::zh);
}

TEST(TextScan, NamesOfLanguages) {
  EXPECT_EQ(language_named("zh"), Language::zh);
  EXPECT_EQ(language_named("other"), Language::other);
  EXPECT_EQ(language_named("unknown"), std::nullopt);
  EXPECT_EQ(language_named("de"), std::nullopt);
}

}  // namespace
}  // namespace deepseek::gateway
