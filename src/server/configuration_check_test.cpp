#include "server/configuration_check.hpp"

#include "server/configuration_test_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::server {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Two backends with `first` written on the first, and one route with `route` written on it.
std::string error_with(const std::string& first, const std::string& route = "") {
  return yaml_error(
      "backends:\n  - {name: first, base_url: 'http://a'" + first +
      "}\n  - {name: second, base_url: 'http://b'}\nroutes:\n  - {backends: [first, second]" +
      route + "}\n");
}

std::string error_of_backend(const std::string& backend) {
  return yaml_error("backends:\n  - {" + backend + "}\nroutes: [{backends: [a]}]\n");
}

TEST(ConfigurationCheck, WhatFitsIsGood) {
  EXPECT_EQ(error_with(""), "no error");
  EXPECT_EQ(error_of_backend("name: a, type: managed, command: [x]"), "no error");
  EXPECT_EQ(error_of_backend("name: a, type: azure, base_url: 'https://a', api_version: x"),
            "no error");
  EXPECT_EQ(error_of_backend("name: a, type: anthropic, base_url: 'https://a', api_version: x, "
                             "beta_features: [b, c], key_as_bearer: true, answer_tokens: 9, "
                             "continuation: none"),
            "no error");
}

TEST(ConfigurationCheck, FormsHaveSettingsOfTheirOwn) {
  const std::string row = "name: a, type: anthropic, base_url: 'https://a'";
  EXPECT_THAT(error_of_backend(row + ", continuation: prefix"),
              HasSubstr("found prefix with type anthropic; allowed are none and assistant_last"));
  EXPECT_THAT(error_of_backend(row + ", token_limit_field: max_tokens"),
              HasSubstr("backends[0].token_limit_field: found a field with type anthropic"));
  for (const std::string setting :
       {"beta_features: [b]", "key_as_bearer: true", "answer_tokens: 9"}) {
    EXPECT_THAT(error_with(", " + setting),
                HasSubstr("found a value with type openai; allowed is one with type anthropic"))
        << setting;
  }
}

TEST(ConfigurationCheck, BackendsNeedRoutes) {
  EXPECT_THAT(yaml_error("log: {}\nbackends: [{name: a, base_url: 'http://a'}]"),
              AllOf(HasSubstr("x.yaml:2: backends: found backends and no routes"),
                    HasSubstr("routes: [{model: \"*\", backends: [a]}]")));
}

TEST(ConfigurationCheck, BackendsHaveNamesOfTheirOwn) {
  EXPECT_THAT(error_of_backend("base_url: 'http://a'"),
              HasSubstr("x.yaml:2: backends[0].name: found nothing"));
  EXPECT_THAT(error_of_backend("name: local, base_url: 'http://a'"),
              HasSubstr("backends[0].name: found \"local\""));
  EXPECT_THAT(yaml_error("backends: [{name: a, base_url: 'http://a'}, {name: a, base_url: "
                         "'http://b'}]\nroutes: [{backends: [a]}]"),
              HasSubstr("backends[1].name: found \"a\" again"));
  EXPECT_THAT(yaml_error("models: [{name: a, path: x}]\nbackends: [{name: a, base_url: "
                         "'http://b'}]\nroutes: [{backends: [a]}]"),
              HasSubstr("backends[0].name: found \"a\", which is the name of a model too"));
}

TEST(ConfigurationCheck, AdaptersHaveNamesOfTheirOwn) {
  EXPECT_EQ(yaml_error("models: [{name: a, path: x, adapters: {b: y}}]\n"
                       "default_model: b\naliases: {c: b}"),
            "no error");
  EXPECT_THAT(yaml_error("models: [{name: a, path: x, adapters: {b: y}}, {name: b, path: z}]"),
              HasSubstr("models[1].name: found \"b\" again"));
  EXPECT_THAT(yaml_error("models: [{name: a, path: x, adapters: {a: y}}]"),
              HasSubstr("models[0].adapters: found \"a\"; allowed is a name without = that"));
  EXPECT_THAT(yaml_error("models: [{name: a, path: x, adapters: {b: y}}]\naliases: {b: a}"),
              HasSubstr("aliases.b: found an alias with the name of a model"));
}

TEST(ConfigurationCheck, TypesHaveTheirSettings) {
  EXPECT_THAT(error_of_backend("name: a"), HasSubstr("backends[0].base_url: found nothing"));
  EXPECT_THAT(error_of_backend("name: a, type: managed, command: [x], base_url: 'http://a'"),
              HasSubstr("backends[0].base_url: found a URL with type managed"));
  EXPECT_EQ(error_of_backend("name: a, type: managed, engine: llama-server, model: m"), "no error");
  EXPECT_THAT(error_of_backend("name: a, type: managed, engine: sglang"),
              HasSubstr("backends[0].model: found nothing; allowed with engine sglang"));
  EXPECT_THAT(error_of_backend("name: a, type: managed, engine: vllm, model: m"),
              HasSubstr("backends[0].models: found nothing with engine vllm"));
  EXPECT_THAT(error_of_backend("name: a, base_url: 'http://a', tensor_parallel: 2"),
              HasSubstr("backends[0].tensor_parallel: found a value with type openai"));
  EXPECT_THAT(error_of_backend("name: a, type: managed"),
              HasSubstr("backends[0].command: found nothing"));
  EXPECT_THAT(error_with(", command: [x]"),
              HasSubstr("backends[0].command: found a value with type openai"));
  EXPECT_THAT(error_with(", api_version: x"),
              HasSubstr("backends[0].api_version: found a version with type openai"));
  EXPECT_THAT(error_with(", trust_file: ca.pem"),
              HasSubstr("backends[0].trust_file: found a file without TLS"));
  EXPECT_THAT(error_with(", models: [x], upstream_models: {y: z}"),
              HasSubstr("backends[0].upstream_models: found \"y\", which is not in models"));
}

TEST(ConfigurationCheck, RoutesNameWhatThereIs) {
  EXPECT_THAT(yaml_error("routes:\n  - {model: a}\n"),
              AllOf(HasSubstr("x.yaml:2: routes[0].backends: found nothing"),
                    HasSubstr("allowed is one of")));
  EXPECT_THAT(error_with("", ", shadow: third"),
              HasSubstr("routes[0].shadow: found \"third\"; allowed is one of first, second, "
                        "local"));
  EXPECT_THAT(yaml_error("backends: [{name: a, base_url: 'http://a'}]\n"
                         "routes:\n  - backends:\n      - a\n      - b\n"),
              HasSubstr("x.yaml:3: routes[0].backends: found \"b\"; allowed is one of a, local"));
  EXPECT_THAT(yaml_error("routes: [{backends: [local, local]}]"),
              HasSubstr("routes[0].backends: found \"local\" again"));
  EXPECT_THAT(yaml_error("default_model: x\nroutes: [{backends: [local]}]"),
              HasSubstr("found \"local\", but default_model is \"x\""));
  EXPECT_THAT(yaml_error("models: [{name: local, path: x}, {name: b, path: y}]\n"
                         "default_model: b\nroutes: [{backends: [b]}]"),
              HasSubstr("models[0].name: found \"local\""));
}

TEST(ConfigurationCheck, SplitsAreWhole) {
  EXPECT_EQ(error_with("", ", split: {first: 90, second: 10}"), "no error");
  EXPECT_THAT(error_with("", ", split: {first: 90, second: 11}"),
              HasSubstr("routes[0].split: found 101 in all"));
  EXPECT_THAT(error_with("", ", split: {first: 90, third: 10}"),
              HasSubstr("routes[0].split: found \"third\", which is not in this route's backends"));
}

TEST(ConfigurationCheck, BoundsOfRoutesFitEachOther) {
  EXPECT_EQ(error_with("", ", prompt_tokens_min: 5"), "no error");
  EXPECT_THAT(error_with("", ", prompt_tokens_min: 5, prompt_tokens_max: 4"),
              HasSubstr("routes[0].prompt_tokens_max: found 4, which is less"));
  EXPECT_EQ(error_with(", price_currency: USD"), "no error");
  EXPECT_THAT(error_with(", price_currency: USD", ", strategy: cheapest"),
              HasSubstr("routes[0].strategy: found cheapest with prices in USD and CNY"));
}

TEST(ConfigurationCheck, NamesWithRoutesMustBeTaken) {
  const std::string routes =
      "backends: [{name: a, base_url: 'http://a'}]\n"
      "routes: [{model: 'deepseek-*', backends: [a]}]\n";
  EXPECT_THAT(
      yaml_error(routes + "default_model: gpt-4o\n"),
      HasSubstr("x.yaml:3: default_model: found \"gpt-4o\"; allowed is a name that a route"));
  EXPECT_EQ(yaml_error(routes + "default_model: deepseek-chat\n"), "no error");
  EXPECT_THAT(yaml_error(routes + "aliases: {a: gpt-4o}\n"), HasSubstr("aliases.a: found"));
  EXPECT_THAT(yaml_error(routes + "aliases: {a: deepseek-chat, deepseek-chat: deepseek-v4}\n"),
              HasSubstr("aliases.a: found"));
  EXPECT_EQ(yaml_error(routes + "aliases: {a: deepseek-chat}\n"), "no error");
}

TEST(ConfigurationCheck, KeysAreDistinctAndReal) {
  EXPECT_THAT(yaml_error("access: {keys: [{tenant: a}]}"),
              HasSubstr("access.keys[0].key: found nothing"));
  EXPECT_THAT(yaml_error("access: {keys: [{key: sk-1}]}"),
              HasSubstr("access.keys[0].tenant: found nothing"));
  EXPECT_THAT(yaml_error("access: {keys: [{key: sk-1, tenant: a}, {key: sk-1, tenant: b}]}"),
              HasSubstr("access.keys[1].key: found the key of another entry"));
  EXPECT_THAT(yaml_error("access: {keys: [{key: '***', tenant: a}]}"),
              HasSubstr("access.keys[0].key: found ***"));
}

TEST(ConfigurationCheck, BoundsFitEachOther) {
  EXPECT_THAT(yaml_error("retry: {backoff_min: 2s, backoff_max: 1s}"),
              HasSubstr("x.yaml:1: retry.backoff_max: found less"));
  EXPECT_THAT(yaml_error("cache: {memory_max: 1MB, entry_bytes_max: 2MB}"),
              HasSubstr("cache.entry_bytes_max: found more"));
  EXPECT_THAT(yaml_error("cache: {semantic: true}"), HasSubstr("cache.semantic: found true"));
  EXPECT_THAT(yaml_error("cache: {enabled: true, semantic: true}"),
              HasSubstr("cache.semantic_model: found nothing"));
}

TEST(ConfigurationCheck, WhatIsServedAndWhatIsATarget) {
  Configuration values;
  EXPECT_TRUE(is_served(values, "smollm2-135m-instruct"));
  EXPECT_FALSE(is_served(values, "deepseek-chat"));
  EXPECT_TRUE(is_target(values, "local"));
  values.models.clear();
  values.default_model.clear();
  values.routes.resize(1);
  values.routes[0].model = "deepseek-*";
  EXPECT_TRUE(is_served(values, "deepseek-chat"));
  EXPECT_FALSE(is_served(values, "gpt-4o"));
  EXPECT_FALSE(is_served(values, ""));
  EXPECT_FALSE(is_target(values, "local"));
}

}  // namespace
}  // namespace deepseek::server
