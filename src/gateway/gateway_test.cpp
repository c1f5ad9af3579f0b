#include "gateway/gateway.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using ::testing::HasSubstr;

class NoBackend final : public Backend {
 public:
  std::unique_ptr<EventStream> start(const Attempt&) override { return nullptr; }
  std::unique_ptr<EmbeddingCall> embed(const EmbeddingAttempt&) override { return nullptr; }
  BackendStatus status() const override { return {BackendState::loading, "loading", 0.5, 0, 1}; }
};

// "small" and "big" on a target each.
struct Two {
  NoBackend backend;
  Target small{{"small"}, backend};
  Target big{{"big"}, backend};
};

Gateway::Options two_models(Two& two) {
  Gateway::Options options;
  options.models = {{"small", 7, "us", &two.small}, {"big", 8, "us", &two.big}};
  options.routes.resize(2);
  options.routes[0].rule.model = "small";
  options.routes[0].group.targets = {&two.small};
  options.routes[1].rule.model = "big";
  options.routes[1].group.targets = {&two.big};
  options.aliases = {{"gpt-4o", "small"}, {"big", "small"}, {"broken", "gone"}};
  options.default_model = "small";
  return options;
}

TEST(Gateway, ResolvesNamesAliasesAndTheDefault) {
  Two two;
  const Gateway gateway(two_models(two));
  EXPECT_EQ(gateway.resolve("small").value(), "small");
  EXPECT_EQ(gateway.resolve("gpt-4o").value(), "small");
  EXPECT_EQ(gateway.resolve("").value(), "small");
  EXPECT_EQ(gateway.resolve("big").value(), "big") << "a model's own name wins over an alias";
}

TEST(Gateway, UnknownModelsAreRefusedWithTheNamesThatExist) {
  Two two;
  const Gateway gateway(two_models(two));
  const auto error = gateway.resolve("other").error();
  EXPECT_EQ(error.code, base::ErrorCode::model_not_found);
  EXPECT_EQ(error.param, "model");
  EXPECT_EQ(error.message,
            "The model \"other\" does not exist here. Use one of: big, small, gpt-4o.");
  EXPECT_TRUE(gateway.resolve("broken").has_error());
  EXPECT_LT(gateway.resolve(std::string(10000, 'x')).error().message.size(), 300u);
}

TEST(Gateway, TheListOfNamesIsBounded) {
  Two two;
  Gateway::Options options = two_models(two);
  for (int i = 0; i < 100; ++i) options.aliases["alias-" + std::to_string(i)] = "small";
  const Gateway gateway(std::move(options));
  const std::string message = gateway.resolve("other").error().message;
  EXPECT_THAT(message, HasSubstr("GET /v1/models"));
  EXPECT_LT(message.size(), 500u);
  EXPECT_EQ(gateway.models().size(), 103u);
}

TEST(Gateway, ListsModelsThenAliases) {
  Two two;
  const Gateway gateway(two_models(two));
  const auto entries = gateway.models();
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].id, "big");
  EXPECT_EQ(entries[1].id, "small");
  EXPECT_EQ(entries[2].id, "gpt-4o");
  EXPECT_EQ(entries[2].alias_of, "small");
  EXPECT_EQ(entries[2].created, 7);
  EXPECT_EQ(gateway.status().at(0).status.reason, "loading");
}

}  // namespace
}  // namespace deepseek::gateway
