#include "grammar/schema.hpp"

#include "grammar/limits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <chrono>

namespace deepseek::grammar {
namespace {

std::string refused_at(const std::string& schema) {
  const base::Result<std::string> result = checked_schema(schema, "s");
  if (result.has_value()) return "enforced";
  EXPECT_EQ(result.error().code, base::ErrorCode::invalid_request);
  return result.error().param;
}

TEST(Schema, RefusalsNameThePathOfTheKeyword) {
  EXPECT_EQ(refused_at(R"({"type":"string","pattern":"a"})"), "s/pattern");
  EXPECT_EQ(refused_at(R"({"type":"object","properties":{"a":{"type":"array",
            "items":{"type":"number","multipleOf":2}}}})"),
            "s/properties/a/items/multipleOf");
  EXPECT_EQ(refused_at(R"({"not":{}})"), "s/not");
  EXPECT_EQ(refused_at(R"({"$ref":"#/$defs/A","$defs":{"A":{"type":"array",
            "uniqueItems":true}}})"),
            "s/$defs/A/uniqueItems");
  EXPECT_EQ(refused_at(R"({"anyOf":[{"type":"null"},{"minimum":1}]})"), "s/anyOf/1/minimum");
  EXPECT_EQ(refused_at(R"({"anyOf":[{}],"type":"null"})"), "s/type");
  EXPECT_EQ(refused_at(R"({"type":"object","properties":{},"additionalProperties":true})"),
            "s/additionalProperties");
  EXPECT_EQ(refused_at(R"({"type":"object","required":["a"]})"), "s/required");
  EXPECT_EQ(refused_at("false"), "s");
  EXPECT_EQ(refused_at("{"), "s");
  EXPECT_EQ(refused_at(R"({"type":"null","type":"string"})"), "s");
}

TEST(Schema, ReferencesThatLeadBackAreRefused) {
  EXPECT_EQ(refused_at(R"({"$ref":"#"})"), "s");
  EXPECT_EQ(refused_at(R"({"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"}]},
            "b":{"$ref":"#/$defs/a"}}})")
                .substr(0, 1),
            "s");
  EXPECT_EQ(refused_at(R"({"type":"array","items":{"$ref":"#"}})"), "enforced");
}

TEST(Schema, AnnotationsAreNoConstraints) {
  EXPECT_EQ(refused_at(R"({"title":"t","description":"d","type":"string","default":"x"})"),
            "enforced");
}

TEST(Schema, BombsAreRefusedAtOnce) {
  const auto started = std::chrono::steady_clock::now();
  std::string deep(2000, '[');
  EXPECT_EQ(refused_at(deep), "s");
  std::string nested;
  for (int i = 0; i < 200; ++i) nested += R"({"type":"array","items":)";
  EXPECT_EQ(refused_at(nested), "s");
  EXPECT_EQ(refused_at(std::string(kSchemaBytesMax + 1, ' ')), "s");
  std::string wide = R"({"type":"object","properties":{"p":{})";
  for (int i = 0; i < 5000; ++i) wide += ",\"p" + std::to_string(i) + "\":{}";
  EXPECT_EQ(refused_at(wide + "}}"), "s");
  EXPECT_EQ(refused_at(R"({"type":"array","minItems":1000000000})"), "s/minItems");
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(2));
}

}  // namespace
}  // namespace deepseek::grammar
