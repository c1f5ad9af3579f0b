#include "server/setting_list_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;
using testing::Pair;

TEST(SettingListText, ListsAreReadAsPeopleWriteThem) {
  EXPECT_THAT(split_list(""), Optional(IsEmpty()));
  EXPECT_THAT(split_list("  "), Optional(IsEmpty()));
  EXPECT_THAT(split_list("a"), Optional(ElementsAre("a")));
  EXPECT_THAT(split_list(" a,b , c d "), Optional(ElementsAre("a", "b", "c d")));
  EXPECT_THAT(split_list(R"("a, b" , "", "\"\\")"), Optional(ElementsAre("a, b", "", R"("\)")));
  EXPECT_THAT(split_list("a=b, c:d"), Optional(ElementsAre("a=b", "c:d")));
}

TEST(SettingListText, MapsAreReadAsPeopleWriteThem) {
  EXPECT_THAT(split_map(""), Optional(IsEmpty()));
  EXPECT_THAT(split_map("b=2, a = 1"), Optional(ElementsAre(Pair("a", "1"), Pair("b", "2"))));
  EXPECT_THAT(split_map(R"("a=b"="c,d", e=f=g)"),
              Optional(ElementsAre(Pair("a=b", "c,d"), Pair("e", "f=g"))));
}

TEST(SettingListText, OtherFormsAreNothing) {
  for (const char* text : {",", "a,", ",a", "a,,b", "\"a", "\"a\" b", "\"a\\\"", "a, \"b\"c"}) {
    EXPECT_EQ(split_list(text), std::nullopt) << text;
  }
  for (const char* text : {"a", "a=", "=a", "a=b,", "a=b,c", "a=b, a=c", "a=\"b", "\"a\"x=b"}) {
    EXPECT_EQ(split_map(text), std::nullopt) << text;
  }
}

TEST(SettingListText, WhatIsWrittenReadsBackTheSame) {
  const std::vector<std::string> items{"plain", "",   " blank ", "a,b",   "a=b",
                                       "\"",    "\\", "\\\"",    "tab\t", "中文"};
  EXPECT_EQ(split_list(join_list(items)), items);
  std::map<std::string, std::string> members;
  for (const std::string& item : items) members.emplace(item, item + item);
  EXPECT_EQ(split_map(join_map(members)), members);
  EXPECT_EQ(join_list({"a", "b c"}), "a, b c");
  EXPECT_EQ(join_map({{"a", "1"}, {"b", "2"}}), "a=1, b=2");
}

}  // namespace
}  // namespace deepseek::server
