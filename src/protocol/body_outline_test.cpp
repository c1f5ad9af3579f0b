#include "protocol/body_outline.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

using Kind = BodyField::Kind;

TEST(BodyOutline, cuts_a_body_into_its_fields) {
  const std::string_view text =
      R"( {"model" : "m\"x", "messages":[{"role":"user","content":"}]\\"}] ,"n":1,
         "stream":false,"stop":null,"mod\u0065l2":{"a":[]}} )";
  const BodyOutline outline = outline_body(text);
  ASSERT_EQ(outline.fields.size(), 6U);
  EXPECT_EQ(outline.text, text);
  const BodyField expected[] = {{"model", R"("m\"x")", Kind::string},
                                {"messages", R"([{"role":"user","content":"}]\\"}])", Kind::array},
                                {"n", "1", Kind::number},
                                {"stream", "false", Kind::boolean},
                                {"stop", "null", Kind::null},
                                {"model2", R"({"a":[]})", Kind::object}};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(outline.fields[i].name, expected[i].name);
    EXPECT_EQ(outline.fields[i].value, expected[i].value);
    EXPECT_EQ(outline.fields[i].kind, expected[i].kind) << expected[i].name;
  }
  EXPECT_EQ(outline.find("n"), &outline.fields[2]);
  EXPECT_EQ(outline.find("x"), nullptr);
}

TEST(BodyOutline, is_empty_for_what_is_no_object) {
  for (const std::string_view text : {"", "[]", "1", "{", R"({"a":1)", R"({"a")"}) {
    EXPECT_TRUE(outline_body(text).fields.empty()) << text;
  }
  EXPECT_TRUE(outline_body("{}").fields.empty());
}

}  // namespace
}  // namespace deepseek::protocol
