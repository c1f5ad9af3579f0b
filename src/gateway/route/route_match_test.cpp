#include "gateway/route/route_match.hpp"

#include "gateway/route/pattern.hpp"

#include <gtest/gtest.h>
#include <map>

namespace deepseek::gateway {
namespace {

TEST(Pattern, StarsAndQuestionMarks) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*", "anything"));
  EXPECT_TRUE(matches("", ""));
  EXPECT_FALSE(matches("", "a"));
  EXPECT_TRUE(matches("deepseek-*", "deepseek-chat"));
  EXPECT_FALSE(matches("deepseek-*", "deepseek"));
  EXPECT_TRUE(matches("*-v?-*", "deepseek-v4-pro"));
  EXPECT_FALSE(matches("*-v?-*", "deepseek-v10-pro"));
  EXPECT_TRUE(matches("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(matches("a*b*c", "a-b-b-d"));
  EXPECT_TRUE(matches("**", "x"));
  EXPECT_FALSE(matches("GPT", "gpt"));
  EXPECT_FALSE(matches("?", ""));
}

TEST(Pattern, ManyStarsStayQuick) {
  std::string pattern, text(10'000, 'a');
  for (int i = 0; i < 200; ++i) pattern += "a*";
  EXPECT_FALSE(matches(pattern + "b", text));
}

struct RouteMatch : testing::Test {
  protocol::Request request;
  std::map<std::string, std::string, std::less<>> headers;
  std::string tenant;
  std::int64_t now = 12 * 3600;  // Thursday noon

  RouteFacts facts() {
    request.model = request.model.empty() ? "deepseek-chat" : request.model;
    const HeaderLookup::Find find = [](const void* context, std::string_view name) {
      const auto& all = *static_cast<const decltype(headers)*>(context);
      const auto found = all.find(name);
      return found == all.end() ? std::nullopt : std::optional<std::string_view>(found->second);
    };
    return {request, tenant, {find, &headers}, now};
  }
  std::string explain(const RouteRule& rule) {
    RouteFacts found = facts();
    const std::string out = explain_rule(rule, found);
    RouteFacts again = facts();
    EXPECT_EQ(match_route(std::span(&rule, 1), again) == 0, out == "fits") << out;
    return out;
  }
};

TEST_F(RouteMatch, TheFirstThatFits) {
  const std::vector<RouteRule> rules{{.model = "gpt-*"}, {.model = "deepseek-*"}, {.model = "*"}};
  RouteFacts chat = facts();
  EXPECT_EQ(match_route(rules, chat), 1);
  request.model = "llama";
  RouteFacts other = facts();
  EXPECT_EQ(match_route(rules, other), 2);
  EXPECT_EQ(match_route(std::span(rules).first(2), other), -1);
  EXPECT_EQ(match_route({}, other), -1);
}

TEST_F(RouteMatch, Models) {
  EXPECT_EQ(explain({}), "fits");
  EXPECT_EQ(explain({.model = "gpt-*"}), "the model \"deepseek-chat\" is not \"gpt-*\"");
}

TEST_F(RouteMatch, Tenants) {
  EXPECT_EQ(explain({.tenant = "*"}), "fits");
  EXPECT_EQ(explain({.tenant = "team-*"}), "the request has no tenant");
  tenant = "other";
  EXPECT_EQ(explain({.tenant = "team-*"}), "the tenant \"other\" is not \"team-*\"");
  tenant = "team-a";
  EXPECT_EQ(explain({.tenant = "team-*"}), "fits");
}

TEST_F(RouteMatch, HeadersNeverShowTheirValue) {
  const RouteRule rule{.headers = {{"x-team", "a*"}, {"x-any", "*"}}};
  EXPECT_EQ(explain(rule), "the header x-team is absent");
  headers["x-team"] = "secret";
  EXPECT_EQ(explain(rule), "the header x-team is not \"a*\"");
  headers["x-team"] = "abc";
  EXPECT_EQ(explain(rule), "the header x-any is absent");
  headers["x-any"] = "";
  EXPECT_EQ(explain(rule), "fits");
}

TEST_F(RouteMatch, Features) {
  const RouteRule rule{.features = bit(RouteFeature::image) | bit(RouteFeature::stream),
                       .features_absent = bit(RouteFeature::tools)};
  EXPECT_EQ(explain(rule), "the request does not use: image, stream");
  request.stream = true;
  EXPECT_EQ(explain(rule), "the request does not use: image");
  request.features = {{protocol::Feature::images, ""}, {protocol::Feature::tools, ""}};
  EXPECT_EQ(explain(rule), "the request uses: tools");
  request.features.pop_back();
  EXPECT_EQ(explain(rule), "fits");
}

TEST_F(RouteMatch, PromptTokensAndLanguage) {
  request.prompts = {std::string(400, 'a')};
  EXPECT_EQ(explain({.prompt_tokens_min = 100, .prompt_tokens_max = 100}), "fits");
  EXPECT_EQ(explain({.prompt_tokens_min = 101}), "the prompt has about 100 tokens, fewer than 101");
  EXPECT_EQ(explain({.prompt_tokens_max = 99}), "the prompt has about 100 tokens, more than 99");
  EXPECT_EQ(explain({.languages = {Language::zh, Language::ja}}),
            "the language is en, not zh or ja");
  EXPECT_EQ(explain({.languages = {Language::zh, Language::en}}), "fits");
}

TEST_F(RouteMatch, OfTheDay) {
  const RouteRule rule{.hours = parse_hours("Mon-Fri 12:00-13:00").value()};
  EXPECT_EQ(explain(rule), "fits");
  now += 3600;
  EXPECT_EQ(explain(rule), "it is outside of the route's hours");
}

TEST_F(RouteMatch, FactsAreWorkedOutOnce) {
  request.prompts = {std::string(400, 'a')};
  RouteFacts found = facts();
  EXPECT_EQ(found.prompt_tokens(), 100u);
  EXPECT_EQ(found.language(), Language::en);
  request.prompts.clear();
  EXPECT_EQ(found.prompt_tokens(), 100u);
  EXPECT_EQ(found.language(), Language::en);
}

}  // namespace
}  // namespace deepseek::gateway
