#include "gateway/cache/cache_rules.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using std::chrono::seconds;

TEST(CacheControl, ReadsWhatItKnows) {
  EXPECT_TRUE(parse_cache_control("no-store").no_store);
  EXPECT_TRUE(parse_cache_control("NO-CACHE").no_cache);
  const CacheControl all = parse_cache_control(" private,no-cache , max-age=60,,no-store ;x,");
  EXPECT_TRUE(all.no_cache);
  EXPECT_FALSE(all.no_store) << "`no-store ;x` is another word";
  EXPECT_EQ(all.max_age, seconds(60));
  const CacheControl none = parse_cache_control("no-storage, x-no-cache, max-stale=5, =, \"");
  EXPECT_FALSE(none.no_store || none.no_cache || none.max_age);
  EXPECT_FALSE(parse_cache_control("").max_age);
}

TEST(CacheControl, ABadAgeMeansFreshBytes) {
  EXPECT_EQ(parse_cache_control("max-age=\"30\"").max_age, seconds(30));
  for (const std::string_view text :
       {"max-age", "max-age=", "max-age=x", "max-age=1x", "max-age=-1", "max-age=1.5", "max-age=+1",
        "max-age=\"", "max-age=-9e99", "max-age=-99999999999999999999"}) {
    EXPECT_EQ(parse_cache_control(text).max_age, seconds(0)) << text;
  }
  EXPECT_EQ(parse_cache_control("max-age=99999999999999999999").max_age, seconds(1'000'000'000));
  EXPECT_EQ(parse_cache_control("max-age=9, max-age=5").max_age, seconds(5));
}

CacheRules enabled() {
  return {true, seconds(300), true};
}

TEST(CacheUse, TheRouteAllowsAndTheClientNarrows) {
  const protocol::Request request;
  EXPECT_EQ(cache_use(request, {}, {}).reason, "off");
  EXPECT_FALSE(cache_use(request, {}, {}).write);

  const CacheUse plain = cache_use(request, {}, enabled());
  EXPECT_TRUE(plain.read && plain.write && plain.share);
  EXPECT_EQ(plain.reason, "");

  const CacheUse fresh = cache_use(request, parse_cache_control("no-cache"), enabled());
  EXPECT_FALSE(fresh.read || fresh.share);
  EXPECT_TRUE(fresh.write) << "the fresh answer replaces the old one";

  const CacheUse secret = cache_use(request, parse_cache_control("no-store"), enabled());
  EXPECT_FALSE(secret.read || secret.write || secret.share);
  EXPECT_EQ(secret.reason, "no-store");

  const CacheUse young = cache_use(request, parse_cache_control("max-age=10"), enabled());
  EXPECT_TRUE(young.read);
  EXPECT_EQ(young.max_age, seconds(10));
  EXPECT_FALSE(cache_use(request, parse_cache_control("max-age=0"), enabled()).read);
}

TEST(CacheUse, WhatMayBeAnotherTomorrowIsLeftOut) {
  protocol::Request request;
  request.features.push_back({protocol::Feature::web_search, "web_search_options"});
  EXPECT_EQ(cache_use(request, {}, enabled()).reason, "web-search");
  request.features = {{protocol::Feature::tools, "tools"}};
  EXPECT_TRUE(cache_use(request, {}, enabled()).read) << "tools are in the key";
  request.messages.resize(2);
  request.messages[1].content.push_back(protocol::ImagePart{"data:image/png;base64,AA=="});
  EXPECT_TRUE(cache_use(request, {}, enabled()).read);
  request.messages[1].content.push_back(protocol::ImagePart{"https://example.com/a.png"});
  EXPECT_EQ(cache_use(request, {}, enabled()).reason, "remote-image");
  EXPECT_FALSE(cache_use(request, {}, enabled()).write);
}

TEST(Storable, OnlyWholeAnswersThatEndedByThemselves) {
  EXPECT_TRUE(storable({200, true, "stop"}));
  EXPECT_TRUE(storable({200, true, "length"}));
  EXPECT_TRUE(storable({200, true, "tool_calls"}));
  EXPECT_TRUE(storable({200, true, "end_turn"}));
  EXPECT_FALSE(storable({200, false, "stop"}));
  EXPECT_FALSE(storable({429, true, "stop"}));
  EXPECT_FALSE(storable({200, true, ""}));
  EXPECT_FALSE(storable({200, true, "content_filter"}));
  EXPECT_FALSE(storable({200, true, "insufficient_system_resource"}));
}

TEST(MayBeSimilar, OnlyPlainText) {
  protocol::Request request;
  request.messages.resize(1);
  request.messages[0].content.push_back(protocol::TextPart{"hi"});
  EXPECT_TRUE(may_be_similar(request));
  const auto not_with = [&](auto change) {
    protocol::Request changed = request;
    change(changed);
    return !may_be_similar(changed);
  };
  using protocol::Request;
  EXPECT_TRUE(not_with([](Request& r) { r.features = {{protocol::Feature::tools, "tools"}}; }));
  EXPECT_TRUE(not_with([](Request& r) { r.messages[0].tool_calls.resize(1); }));
  EXPECT_TRUE(not_with([](Request& r) { r.messages[0].role = protocol::Role::tool; }));
  EXPECT_TRUE(not_with([](Request& r) { r.messages[0].prefix = true; }));
  EXPECT_TRUE(not_with([](Request& r) { r.messages[0].content = {protocol::ImagePart{}}; }));
  EXPECT_TRUE(not_with([](Request& r) { r.choices = 2; }));
  EXPECT_TRUE(not_with([](Request& r) { r.logprobs = 0; }));
  EXPECT_TRUE(not_with([](Request& r) { r.operation = protocol::Operation::completion; }));
}

}  // namespace
}  // namespace deepseek::gateway
