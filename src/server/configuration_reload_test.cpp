#include "server/configuration_loader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>

namespace deepseek::server {
namespace {

using testing::ElementsAre;
using testing::Pair;

Configuration with_backends() {
  Configuration configuration;
  configuration.backends.resize(2);
  configuration.backends[0].name = "first";
  configuration.backends[1].name = "second";
  configuration.routes.resize(1);
  configuration.routes[0].backends = {"first", "second", "local"};
  configuration.aliases = {{"a", "anything"}};
  configuration.default_model = "smollm2-135m-instruct";
  return configuration;
}

std::map<std::string, bool> changes(const Configuration& before, const Configuration& after) {
  std::map<std::string, bool> result;
  for (const auto& change : diff_reloadable(before, after)) {
    EXPECT_TRUE(result.emplace(change.name, change.reloadable).second) << change.name;
  }
  return result;
}

TEST(ConfigurationReload, TellsWhatNeedsARestart) {
  const Configuration before;
  Configuration after;
  EXPECT_TRUE(diff_reloadable(before, after).empty());
  after.log.level = base::LogLevel::debug;
  after.server.port = 1;
  after.models[0].context_max = 7;
  after.tls.key_password = Secret("new");
  std::vector<std::string> names;
  std::vector<bool> reloadable;
  for (const auto& change : diff_reloadable(before, after)) {
    names.push_back(change.name);
    reloadable.push_back(change.reloadable);
  }
  EXPECT_THAT(names,
              ElementsAre("server.port", "tls.key_password", "log.level", "models[0].context_max"));
  EXPECT_THAT(reloadable, ElementsAre(false, false, true, false));
  Configuration expected;
  expected.log.level = base::LogLevel::debug;
  EXPECT_EQ(reloadable_part(before, after), expected);
}

TEST(ConfigurationReload, PointsNoNameToAModelThatDoesNotRun) {
  const Configuration before;
  Configuration after;
  after.models.emplace_back();
  after.models.back().name = "new";
  after.aliases = {{"a", "smollm2-135m-instruct"}};
  after.limits.choices_max = 3;
  Configuration expected = before;
  expected.aliases = after.aliases;
  expected.limits.choices_max = 3;
  EXPECT_EQ(reloadable_part(before, after), expected);
  after.aliases = {{"a", "new"}};
  after.default_model = "new";
  expected.aliases = before.aliases;
  EXPECT_EQ(reloadable_part(before, after), expected);
  for (const auto& change : diff_reloadable(before, after)) {
    EXPECT_EQ(change.reloadable, change.name == "limits.choices_max") << change.name;
  }
}

TEST(ConfigurationReload, TakesBackendsAndRoutesAsWholes) {
  const Configuration before = with_backends();
  Configuration after = before;
  after.backends.erase(after.backends.begin());
  after.backends[0].api_key = Secret("new");
  after.routes[0].backends = {"second", "local"};
  after.routes[0].hedge = true;
  after.access.keys.resize(1);
  EXPECT_EQ(reloadable_part(before, after), after);
  EXPECT_THAT(changes(before, after),
              ElementsAre(Pair("access.keys", true), Pair("backends", true),
                          Pair("routes[0].backends", true), Pair("routes[0].hedge", true)));
}

TEST(ConfigurationReload, PointsNoRouteToWhatDoesNotRun) {
  const Configuration before = with_backends();
  Configuration after = before;
  after.models.emplace_back();
  after.models.back().name = "new";
  after.backends[0].weight = 7;
  after.routes[0].shadow = "new";
  after.retry.attempts_max = 2;
  Configuration expected = before;
  expected.retry.attempts_max = 2;
  EXPECT_EQ(reloadable_part(before, after), expected);
  EXPECT_THAT(changes(before, after),
              ElementsAre(Pair("backends[0].weight", false), Pair("models", false),
                          Pair("retry.attempts_max", true), Pair("routes[0].shadow", false)));
}

TEST(ConfigurationReload, StartsAndEndsPrograms) {
  const Configuration before = with_backends();
  Configuration after = before;
  after.backends.emplace_back();
  after.backends.back().name = "third";
  after.backends.back().type = BackendType::managed;
  EXPECT_EQ(reloadable_part(before, after), after);
  EXPECT_EQ(reloadable_part(after, before), before);
  const Configuration managed = after;
  after.backends[2].command = {"other"};
  EXPECT_EQ(reloadable_part(managed, after), after);
}

TEST(ConfigurationReload, OfRoutesDecidesWhatNamesMean) {
  Configuration before = with_backends();
  before.models.clear();
  before.default_model.clear();
  before.routes[0].backends = {"first"};
  Configuration after = before;
  after.routes[0].model = "deepseek-*";
  after.aliases = {{"a", "deepseek-chat"}};
  after.default_model = "deepseek-chat";
  EXPECT_EQ(reloadable_part(before, after), after);
  after.aliases = {{"a", "gpt-4o"}};
  Configuration expected = after;
  expected.aliases = before.aliases;
  EXPECT_EQ(reloadable_part(before, after), expected);
  after.routes.clear();
  EXPECT_EQ(reloadable_part(before, after).routes, before.routes);
}

}  // namespace
}  // namespace deepseek::server
