#include "gateway/gateway.hpp"

#include <gmock/gmock.h>

namespace deepseek::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Sleeper final : public Backend {
 public:
  std::unique_ptr<EventStream> start(const Attempt&) override { return nullptr; }
  std::unique_ptr<EmbeddingCall> embed(const EmbeddingAttempt&) override { return nullptr; }
  BackendStatus status() const override {
    return {awake ? BackendState::ready : BackendState::starting, awake ? "" : "it is starting", 0,
            2, 7};
  }
  bool ready() const override { return awake; }
  bool awake = true;
};

TargetOptions named(std::string name, std::uint32_t in_flight_max = 10) {
  TargetOptions options;
  options.name = std::move(name);
  options.in_flight_max = in_flight_max;
  options.health.breaker.failures_max = 1;
  return options;
}

struct GatewayExplain : testing::Test {
  Sleeper first_backend;
  Sleeper second_backend;
  Target first{named("first"), first_backend};
  Target second{named("second", 1), second_backend};
  std::unique_ptr<Gateway> gateway = make();

  std::unique_ptr<Gateway> make() {
    Gateway::Options options;
    options.routes.resize(2);
    options.routes[0].rule.tenant = "acme";
    options.routes[0].group.name = "routes[0]";
    options.routes[0].group.targets = {&second};
    options.routes[1].rule.model = "m*";
    options.routes[1].group.name = "routes[1]";
    options.routes[1].group.targets = {&first, &second};
    TokenPrices price;
    price.output = 1'000'000;
    options.routes[1].prices = {price, {}};
    return std::make_unique<Gateway>(std::move(options));
  }

  RouteExplanation explain(std::string tenant = "default", std::string model = "m1") {
    protocol::Request request;
    request.model = std::move(model);
    request.tokens_max = 5;
    Caller caller;
    caller.tenant = tenant;
    return gateway->explain(std::move(request), caller, base::now());
  }
  // One request that fails there.
  void fail(Target& target) {
    auto ticket = target.health().force(base::now());
    target.health().failed(ticket, base::now(), FailureKind::connect);
  }
};

TEST_F(GatewayExplain, TellsRulesCandidatesPricesAndTheChoice) {
  const RouteExplanation told = explain();
  EXPECT_EQ(told.model, "m1");
  EXPECT_EQ(told.problem, "");
  ASSERT_EQ(told.rules.size(), 2u);
  EXPECT_EQ(told.rules[0].verdict, "the tenant \"default\" is not \"acme\"");
  EXPECT_EQ(told.rules[1].verdict, "fits");
  EXPECT_EQ(told.route, "routes[1]");
  EXPECT_EQ(told.strategy, "priority");
  ASSERT_EQ(told.candidates.size(), 2u);
  EXPECT_EQ(told.candidates[0].backend.name, "first");
  EXPECT_EQ(told.candidates[0].why_not, "");
  EXPECT_DOUBLE_EQ(told.candidates[0].price, 5);
  EXPECT_EQ(told.chosen, "first");
  EXPECT_EQ(first.in_flight(), 0u) << "nobody was asked";
  EXPECT_EQ(explain("acme").chosen, "second");
}

TEST_F(GatewayExplain, TellsWhyOneIsNotAsked) {
  first_backend.awake = false;
  RouteExplanation told = explain();
  EXPECT_EQ(told.candidates[0].why_not, "it is starting");
  EXPECT_EQ(told.chosen, "second");
  ASSERT_TRUE(second.enter());
  told = explain();
  EXPECT_THAT(told.candidates[1].why_not, HasSubstr("in_flight_max"));
  EXPECT_EQ(told.chosen, "first") << "it starts, but nobody else is left";
  EXPECT_EQ(told.reason, "nobody else is left");
  second.leave();
  fail(second);
  told = explain();
  EXPECT_THAT(told.candidates[1].why_not, HasSubstr("switched off for a while after failures"));
}

TEST_F(GatewayExplain, TellsWhenNoRouteTakesIt) {
  const RouteExplanation told = explain("default", "other");
  EXPECT_THAT(told.problem, HasSubstr("No route takes this request"));
  EXPECT_THAT(told.candidates, IsEmpty());
  EXPECT_EQ(told.rules.size(), 2u);
}

TEST_F(GatewayExplain, ReportsEveryBackendOnce) {
  second_backend.awake = false;
  const auto reports = gateway->backends(base::now());
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].name, "second") << "in the order of the routes";
  EXPECT_FALSE(reports[0].usable());
  EXPECT_EQ(reports[0].status.restarts, 2u);
  EXPECT_TRUE(reports[1].usable());
  EXPECT_EQ(reports[1].in_flight_max, 10u);
  EXPECT_TRUE(gateway->relays());
  fail(first);
  EXPECT_FALSE(gateway->backends(base::now())[1].usable());
  EXPECT_EQ(gateway->lines().size(), 2u);
}

TEST_F(GatewayExplain, ANotReadyBackendIsAskedLast) {
  first_backend.awake = false;
  RouteGroupOptions options;
  options.targets = {&first, &second};
  RouteGroup group(std::move(options));
  const auto chosen = [&group](CandidateSet excluded) {
    auto selected = group.select(excluded, {}, 0, base::now());
    auto* one = std::get_if<RouteGroup::Selected>(&selected);
    return one == nullptr ? std::string() : group.target(one->index).name();
  };
  EXPECT_EQ(chosen(0), "second");
  EXPECT_EQ(chosen(2), "first") << "nobody else is left";
  first_backend.awake = true;
  EXPECT_EQ(chosen(0), "first");
}

TEST_F(GatewayExplain, ListsWhatUpstreamsList) {
  first.set_listed({"m2", "other"});
  second.set_listed({"m1", "m2"});
  std::vector<std::string> names;
  for (const ModelEntry& entry : gateway->models()) names.push_back(entry.id + "@" + entry.owner);
  // "other" passes the first route for one tenant only, which has no pattern of names.
  EXPECT_THAT(names, ElementsAre("m1@second", "m2@second", "other@first"));
}

}  // namespace
}  // namespace deepseek::gateway
