#include "gateway/cache/cache_key.hpp"

#include <gtest/gtest.h>
#include <set>

namespace deepseek::gateway {
namespace {

CacheKeyParts parts(std::string_view body) {
  return {"tenant", "default", "deepseek-chat", "/v1/chat/completions", body};
}

CacheKey key(std::string_view body) {
  const auto made = cache_key(parts(body));
  EXPECT_TRUE(made) << body;
  return made.value_or(CacheKey{});
}

TEST(CacheKey, TheCanonicalFormIsSortedAndWithoutSpace) {
  EXPECT_EQ(canonical_body("{ \"b\" : [ 1 , { \"z\": 2, \"a\": \" x  y \" } ],\r\n\t\"a\":null }"),
            R"({"a":null,"b":[1,{"z":2,"a":" x  y "}]})");
  EXPECT_EQ(canonical_body("{}"), "{}");
  EXPECT_EQ(canonical_body(""), "{}");
  EXPECT_EQ(canonical_body(R"({"q":"a\\","s":"\"  ]}","n":-1.5e3})"),
            R"({"n":-1.5e3,"q":"a\\","s":"\"  ]}"})");
}

TEST(CacheKey, OrderSpaceAndFormDoNotMatter) {
  const CacheKey plain = key(R"({"messages":[{"role":"user","content":"hi"}],"temperature":0})");
  EXPECT_EQ(plain, key(R"( { "temperature" : 0 , "messages" : [ { "role" : "user",
                              "content" : "hi" } ] } )"));
  EXPECT_EQ(plain, key(R"({"model":"alias","messages":[{"role":"user","content":"hi"}],
                           "stream":true,"stream_options":{"include_usage":true},
                           "user":"someone","temperature":0})"));
}

TEST(CacheKey, WhatChangesTheAnswerChangesTheKey) {
  std::set<base::Sha256Digest> seen;
  const std::string_view bodies[] = {
      R"({"messages":[{"role":"user","content":"hi"}]})",
      R"({"messages":[{"role":"user","content":"hi "}]})",
      R"({"messages":[{"role":"user","content":"h i"}]})",
      R"({"messages":[{"role":"system","content":"hi"}]})",
      R"({"messages":[{"role":"user","content":"hi"}],"temperature":0})",
      R"({"messages":[{"role":"user","content":"hi"}],"temperature":1})",
      R"({"messages":[{"role":"user","content":"hi"}],"seed":1})",
      R"({"messages":[{"role":"user","content":"hi"}],"user_id":"one"})",
      R"({"messages":[{"role":"user","content":"hi"}],"user_id":"two"})",
      R"({"messages":[{"role":"user","content":"hi"}],"n":2})",
      R"({"messages":[{"role":"user","content":"hi"}],"unheard_of":2})",
      R"({"messages":[{"role":"user","content":"hi"}],"tools":[]})",
      R"({"messages":[{"role":"user","content":"hi","name":"stream"}]})",
      R"({"prompt":"hi"})",
      R"({})",
  };
  for (const std::string_view body : bodies) {
    EXPECT_TRUE(seen.insert(key(body).digest).second) << body;
  }
}

// Class 6 of the attacks: another tenant's answer.
TEST(CacheKeySecurity, Class6EveryPartSeparates) {
  const std::string_view body = R"({"messages":[{"role":"user","content":"hi"}]})";
  std::set<base::Sha256Digest> seen;
  const CacheKeyParts all[] = {
      {"a", "r", "m", "/p", body},     {"b", "r", "m", "/p", body},
      {"a", "s", "m", "/p", body},     {"a", "r", "n", "/p", body},
      {"a", "r", "m", "/q", body},     {"a", "r", "m", "/p", body, "x"},
      {"ar", "", "m", "/p", body},     {"", "ar", "m", "/p", body},
      {"a", "rm", "", "/p", body},     {"a", "r", "m/p", "", body},
      {"a", "r", "m", "", body, "/p"},
  };
  for (const CacheKeyParts& one : all) {
    EXPECT_TRUE(seen.insert(cache_key(one)->digest).second);
    EXPECT_TRUE(seen.insert(semantic_scope(one)->digest).second);
  }
}

TEST(CacheKeySecurity, ANameInDisguiseIsNotLeftOut) {
  // The decoder reads both as `user_id`; the key takes them as written, which can only miss.
  EXPECT_NE(key(R"({"user\u005fid":"a"})"), key(R"({"user\u005fid":"b"})"));
  EXPECT_NE(key(R"({"stream ":1})"), key(R"({"stream ":2})"));
  EXPECT_NE(key(R"({"a":{"user":"x"}})"), key(R"({"a":{"user":"y"}})"));
}

TEST(CacheKey, EveryFormHasItsKey) {
  const CacheKey whole = key("{}");
  EXPECT_EQ(whole.in_form(AnswerForm::whole), whole);
  EXPECT_NE(whole.in_form(AnswerForm::stream), whole);
  EXPECT_NE(whole.in_form(AnswerForm::stream_with_usage), whole);
  EXPECT_NE(whole.in_form(AnswerForm::stream), whole.in_form(AnswerForm::stream_with_usage));
}

TEST(CacheKey, TheScopeIsWithoutTheConversation) {
  const auto scope = [](std::string_view body) { return *semantic_scope(parts(body)); };
  EXPECT_EQ(scope(R"({"messages":[1],"temperature":0})"), scope(R"({"temperature":0})"));
  EXPECT_EQ(scope(R"({"prompt":"a"})"), scope(R"({"prompt":"b"})"));
  EXPECT_NE(scope(R"({"messages":[1],"temperature":0})"), scope(R"({"messages":[1]})"));
}

TEST(CacheKey, WhatIsNoObjectHasNoKey) {
  for (const std::string_view body :
       {"[]",         "1",          "\"a\"",         "{",
        "{\"a\"",     "{\"a\":",    "{\"a\":1",      "{\"a\":1,",
        "{\"a\":1,}", "{\"a\":\"x", "{\"a\":\"\\\"", "{\"a\":}",
        "{a:1}",      "{}x",        "{\"a\":[1}",    "{\"a\":1]}",
        "{\"a\" 1}",  "{,}",        "{\"",           "{\"a\":{\"b\":\"}"}) {
    EXPECT_FALSE(cache_key(parts(body))) << body;
  }
  // A failed body leaves nothing behind in the hash of this thread.
  EXPECT_EQ(key("{}"), key(" {} "));
}

TEST(CacheKey, LongTextsAreHashedWhole) {
  std::string body = R"({"messages":[{"role":"user","content":")" + std::string(200'000, 'x');
  const std::string first = body + "a\"}]}";
  const std::string second = body + "b\"}]}";
  EXPECT_NE(key(first), key(second));
  const auto canonical = canonical_body(first);
  ASSERT_TRUE(canonical);
  EXPECT_EQ(*canonical, first);
}

}  // namespace
}  // namespace deepseek::gateway
