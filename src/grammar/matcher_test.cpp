#include "grammar/matcher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::grammar {
namespace {

using Kind = Constraint::Kind;

// All bytes, some longer pieces, and the end.
Vocabulary vocabulary() {
  Vocabulary made;
  for (int byte = 0; byte < 256; ++byte) made.pieces.emplace_back(1, static_cast<char>(byte));
  for (const char* piece : {"{\"", "\":", "true", "ab", ""}) made.pieces.emplace_back(piece);
  made.ends = {260};
  return made;
}

class MatcherTest : public testing::Test {
 protected:
  std::shared_ptr<const Compiled> compile(Kind kind, const std::string& text) {
    auto compiled = compiler_.compile({kind, text, {}, "f"});
    EXPECT_TRUE(compiled.has_value()) << compiled.error().message;
    return *compiled;
  }
  std::string refusal(Kind kind, const std::string& text) {
    const auto compiled = compiler_.compile({kind, text, {}, "f"});
    if (compiled.has_value()) return "compiled";
    EXPECT_EQ(compiled.error().code, base::ErrorCode::invalid_request);
    return compiled.error().param;
  }
  bool valid(Kind kind, const std::string& text, const std::string& answer) {
    Matcher matcher(compile(kind, text));
    return matcher.accept_text(answer) && matcher.complete();
  }
  bool json(const std::string& schema, const std::string& answer) {
    return valid(Kind::json_schema, schema, answer);
  }
  static bool may(Matcher& matcher, std::int32_t token) {
    std::vector<std::int32_t> mask(Matcher::mask_words(261));
    if (!matcher.fill(mask)) return true;
    const auto word = static_cast<std::uint32_t>(mask[static_cast<std::size_t>(token) / 32]);
    return (word >> (static_cast<std::uint32_t>(token) % 32U) & 1U) != 0;
  }

  Compiler compiler_{vocabulary(), {}};
};

TEST_F(MatcherTest, ObjectsHaveWhatTheSchemaDeclares) {
  const std::string schema = R"({"type":"object","properties":{"a":{"type":"integer"},
      "b":{"type":["string","null"]}},"required":["a"],"additionalProperties":false})";
  EXPECT_TRUE(json(schema, R"({"a":1,"b":"x"})"));
  EXPECT_TRUE(json(schema, R"({"a": 1, "b": null})"));
  EXPECT_TRUE(json(schema, "{\n  \"a\": -20\n}"));
  EXPECT_FALSE(json(schema, R"({"b":"x"})"));
  EXPECT_FALSE(json(schema, R"({"a":"1"})"));
  EXPECT_FALSE(json(schema, R"({"a":1.5})"));
  EXPECT_FALSE(json(schema, R"({"a":1,"c":1})"));
  EXPECT_FALSE(json(schema, R"({"a":1)"));
}

TEST_F(MatcherTest, PropertiesNamedAsAnnotationsKeepTheirSchemas) {
  const std::string schema = R"({"type":"object","properties":{
      "x":{"type":"object","properties":{"title":{"type":"string"}},"required":["title"]},
      "y":{"type":"object","properties":{"title":{"type":"integer"}},"required":["title"]}},
      "required":["x","y"]})";
  EXPECT_TRUE(json(schema, R"({"x":{"title":"t"},"y":{"title":1}})"));
  EXPECT_FALSE(json(schema, R"({"x":{"title":"t"},"y":{"title":"t"}})"));
  EXPECT_FALSE(json(schema, R"({"x":{"title":1},"y":{"title":1}})"));
}

TEST_F(MatcherTest, ArraysLiteralsAndReferences) {
  EXPECT_TRUE(json(R"({"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":2})",
                   "[true, false]"));
  EXPECT_FALSE(json(R"({"type":"array","items":{"type":"boolean"},"minItems":1})", "[]"));
  EXPECT_FALSE(json(R"({"type":"array","items":{"type":"boolean"},"maxItems":1})", "[true,true]"));
  EXPECT_TRUE(json(R"({"type":"array"})", R"([1, "a", {"b": []}])"));
  EXPECT_TRUE(json(R"({"enum":["red",7,null]})", "7"));
  EXPECT_FALSE(json(R"({"enum":["red",7,null]})", "\"blue\""));
  EXPECT_FALSE(json(R"({"type":"string","enum":["red",7]})", "7"));
  const std::string tree = R"({"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{
      "v":{"type":"number"},"k":{"type":"array","items":{"$ref":"#/$defs/n"}}},
      "required":["v"]}}})";
  EXPECT_TRUE(json(tree, R"({"v":1.5e3,"k":[{"v":0,"k":[]}]})"));
  EXPECT_FALSE(json(tree, R"({"v":1,"k":[{"k":[]}]})"));
  EXPECT_TRUE(json(R"({"type":"array","items":{"$ref":"#"}})", "[[],[[]]]"));
  EXPECT_FALSE(json(R"({"type":"array","items":{"$ref":"#"}})", "[[1]]"));
  EXPECT_TRUE(json(R"({"type":"object","additionalProperties":{"type":"integer"}})", R"({"a":1})"));
  EXPECT_FALSE(
      json(R"({"type":"object","additionalProperties":{"type":"integer"}})", R"({"a":"b"})"));
  EXPECT_TRUE(json(R"({"type":"object"})", R"({"a":[1]})"));
  EXPECT_FALSE(json(R"({"type":"object"})", "[]"));
}

TEST_F(MatcherTest, OtherKinds) {
  EXPECT_TRUE(valid(Kind::json_object, "", R"({"a": [1, true]})"));
  EXPECT_FALSE(valid(Kind::json_object, "", "[1]"));
  EXPECT_TRUE(valid(Kind::regex, "[a-c]{2,3}-\\d+", "abc-42"));
  EXPECT_FALSE(valid(Kind::regex, "[a-c]{2,3}-\\d+", "abcc-42"));
  EXPECT_TRUE(valid(Kind::ebnf, "root ::= \"a\" rest\nrest ::= \"b\" | \"c\"", "ac"));
  const Constraint choice{Kind::choice, "", {"yes", "no \"q\""}, "f"};
  Matcher matcher(*compiler_.compile(choice));
  EXPECT_TRUE(matcher.accept_text("no \"q\"") && matcher.complete());
}

TEST_F(MatcherTest, EndsOnlyWhereItIsComplete) {
  Matcher matcher(compile(Kind::regex, "ab?"));
  EXPECT_FALSE(may(matcher, 260));
  EXPECT_TRUE(may(matcher, 'a'));
  EXPECT_TRUE(may(matcher, 259));  // "ab" is one token
  EXPECT_FALSE(may(matcher, 'b'));
  EXPECT_FALSE(matcher.accept('b'));
  ASSERT_TRUE(matcher.accept('a'));
  EXPECT_TRUE(matcher.complete());
  EXPECT_TRUE(may(matcher, 260));
  ASSERT_TRUE(matcher.accept('b'));
  EXPECT_FALSE(may(matcher, 'b'));
  matcher.roll_back(2);
  EXPECT_FALSE(matcher.complete());
  EXPECT_TRUE(matcher.accept(259));
}

TEST_F(MatcherTest, RefusesWithTheClientsField) {
  EXPECT_EQ(refusal(Kind::ebnf, "root ::= nowhere"), "f");
  EXPECT_EQ(refusal(Kind::ebnf, "root ::= (((\"a\"{100}){100}){100}){100}"), "f");
  EXPECT_EQ(refusal(Kind::regex, "a(?=b)"), "f");
  EXPECT_EQ(refusal(Kind::regex, "(a"), "f");
  EXPECT_EQ(refusal(Kind::regex, "a{100000}"), "f");
  EXPECT_EQ(refusal(Kind::structural_tag, "{}"), "f");
  EXPECT_EQ(refusal(Kind::json_schema, R"({"type":"string","format":"uri"})"), "f/format");
}

TEST(Compiler, CutsOffWhatTakesTooLong) {
  Compiler compiler(vocabulary(), {1 << 20, base::Milliseconds(0)});
  const auto compiled = compiler.compile({Kind::json_object, "", {}, "f"});
  ASSERT_TRUE(compiled.has_error());
  EXPECT_THAT(compiled.error().message, testing::HasSubstr("longer than 0 ms"));
}

TEST(Compiler, ARefusalSaysWhatIsWrongAndNoFileOfOurs) {
  Compiler compiler(vocabulary(), {});
  for (const auto kind : {Constraint::Kind::regex, Constraint::Kind::ebnf}) {
    const std::string nested = std::string(8000, '(') + "a" + std::string(8000, ')');
    const auto refused = compiler.compile({kind, nested, {}, "it"});
    ASSERT_TRUE(refused.has_error());
    EXPECT_TRUE(refused.error().message.starts_with("it: it cannot be read: "));
    EXPECT_EQ(refused.error().message.find(".cc"), std::string::npos) << refused.error().message;
    EXPECT_EQ(refused.error().message.find('/'), std::string::npos) << refused.error().message;
  }
}

TEST(Compiler, ItsCacheIsBounded) {
  Compiler compiler(vocabulary(), {200'000, base::Milliseconds(60'000)});
  const Constraint object{Kind::json_object, "", {}, "f"};
  const auto first = compiler.compile(object);
  const auto again = compiler.compile({Kind::json_object, "", {}, "another field"});
  ASSERT_TRUE(first.has_value() && again.has_value());
  if (compiler.cached_bytes() > 0) {
    EXPECT_EQ(first->get(), again->get());
  }
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(compiler.compile({Kind::regex, "a{" + std::to_string(i + 1) + "}", {}, "f"}));
    EXPECT_LE(compiler.cached_bytes(), 200'000U);
  }
  EXPECT_GT(compiler.cached_bytes(), 0U);
}

}  // namespace
}  // namespace deepseek::grammar
