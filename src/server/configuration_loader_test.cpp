#include "server/configuration_loader.hpp"

#include "server/configuration_test_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::server {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

constexpr const char* two_backends =
    "backends:\n"
    "  - {name: first,  type: openai, base_url: \"http://127.0.0.1:9001/v1\", "
    "api_key: \"${FIRST_KEY}\",  continuation: prefix}\n"
    "  - {name: second, type: openai, base_url: \"http://127.0.0.1:9002/v1\", "
    "api_key: \"${SECOND_KEY}\", continuation: prefix}\n"
    "routes:\n"
    "  - {model: \"*\", backends: [first, second], strategy: priority}\n";

Memory with(const std::string& yaml) {
  return Memory{{{"x.yaml", yaml}}, {{"FIRST_KEY", "sk-1"}, {"SECOND_KEY", "sk-2"}}};
}

// A backend, and a route to it that can be written on.
std::string one_backend(const std::string& more = "") {
  return "backends: [{name: first, base_url: 'http://a'}]\nroutes:\n"
         "  - {model: '*', backends: [first]}\n" +
         more;
}

TEST(ConfigurationLoader, TwoBackendsAndARouteAreEnough) {
  const auto loaded = with(two_backends).load({"--config", "x.yaml"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  const Configuration& values = loaded->values;
  ASSERT_EQ(values.backends.size(), 2u);
  EXPECT_EQ(values.backends[0].name, "first");
  EXPECT_EQ(values.backends[0].base_url, "http://127.0.0.1:9001/v1");
  EXPECT_EQ(values.backends[0].api_key.reveal(), "sk-1");
  EXPECT_EQ(values.backends[1].api_key.reveal(), "sk-2");
  EXPECT_EQ(values.backends[1].continuation, Continuation::prefix);
  EXPECT_EQ(values.backends[1].weight, 1u);
  ASSERT_EQ(values.routes.size(), 1u);
  EXPECT_EQ(values.routes[0].model, "*");
  EXPECT_THAT(values.routes[0].backends, ElementsAre("first", "second"));
  EXPECT_THAT(values.models, IsEmpty());
  EXPECT_THAT(values.aliases, IsEmpty());
  EXPECT_EQ(values.default_model, "");
  EXPECT_EQ(loaded->origins.at("backends[1].api_key"), "x.yaml:3");

  Memory unset = with(two_backends);
  unset.environment.pop_back();
  EXPECT_THAT(error_of(unset.load({"--config", "x.yaml"})),
              HasSubstr("x.yaml:3: backends[1].api_key: found ${SECOND_KEY}, but no such"));
}

TEST(ConfigurationLoader, BlockAndFlowFormsMeanTheSame) {
  const auto flow = load_yaml(
      "backends: [{name: a, base_url: 'http://a', models: [x, 'y, z'], upstream_models: {x: "
      "'u=v'}}]"
      "\nroutes: [{headers: {x-team: r}, features: [image, tools], backends: [a], split: {a: "
      "100}}]");
  const auto block = load_yaml(
      "backends:\n  - name: a\n    base_url: http://a\n    models:\n      - x\n      - y, z\n"
      "    upstream_models:\n      x: u=v\nroutes:\n  - headers:\n      x-team: r\n    features:\n"
      "      - image\n      - tools\n    backends:\n      - a\n    split:\n      a: 100\n");
  ASSERT_TRUE(flow.has_value()) << error_of(flow);
  ASSERT_TRUE(block.has_value()) << error_of(block);
  EXPECT_EQ(flow->values, block->values);
  EXPECT_THAT(flow->values.backends[0].models, ElementsAre("x", "y, z"));
  EXPECT_THAT(flow->values.backends[0].upstream_models, ElementsAre(Pair("x", "u=v")));
  EXPECT_THAT(flow->values.routes[0].features,
              ElementsAre(RouteFeature::image, RouteFeature::tools));
  EXPECT_THAT(flow->values.routes[0].split, ElementsAre(Pair("a", 100u)));
}

TEST(ConfigurationLoader, EnvironmentAndSetReachEveryList) {
  Memory memory = with(two_backends);
  memory.environment.insert(memory.environment.end(),
                            {{"DEEPSEEK_BACKENDS__3__BASE_URL", "http://127.0.0.1:9004"},
                             {"DEEPSEEK_BACKENDS__3__NAME", "fourth"},
                             {"DEEPSEEK_BACKENDS__2__NAME", "third"},
                             {"DEEPSEEK_BACKENDS__2__BASE_URL", "http://127.0.0.1:9003"},
                             {"DEEPSEEK_BACKENDS__0__BASE_URL", "http://127.0.0.1:9000/v1"},
                             {"DEEPSEEK_ROUTES__0__BACKENDS", "third, first,fourth"},
                             {"DEEPSEEK_ACCESS__KEYS__0__KEY", "sk-a"},
                             {"DEEPSEEK_ACCESS__KEYS__0__TENANT", "a"}});
  const auto loaded =
      memory.load({"--config=x.yaml", "--set", "backends[0].weight=2", "--set",
                   "routes[0].split=first=90,third=10", "--set=routes[0].features=image"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  const Configuration& values = loaded->values;
  ASSERT_EQ(values.backends.size(), 4u);
  EXPECT_EQ(values.backends[0].base_url, "http://127.0.0.1:9000/v1");
  EXPECT_EQ(values.backends[0].weight, 2u);
  EXPECT_EQ(values.backends[3].name, "fourth");
  EXPECT_THAT(values.routes[0].backends, ElementsAre("third", "first", "fourth"));
  EXPECT_THAT(values.routes[0].split, ElementsAre(Pair("first", 90u), Pair("third", 10u)));
  ASSERT_EQ(values.access.keys.size(), 1u);
  EXPECT_EQ(values.access.keys[0].key.reveal(), "sk-a");
  EXPECT_THAT(error_of(memory.load({"--config=x.yaml", "--set", "backends[9].weight=2"})),
              HasSubstr("--set: backends[9].weight: found an index behind the list"));
}

TEST(ConfigurationLoader, MistakesInListsNameTheirPlace) {
  EXPECT_THAT(yaml_error("backends:\n  - name: a\n    base_ulr: x\n"),
              AllOf(HasSubstr("x.yaml:3: found the unknown key backends[0].base_ulr"),
                    HasSubstr("allowed in backends are name, type, base_url"),
                    HasSubstr("the nearest known key is backends[].base_url")));
  EXPECT_THAT(yaml_error("access:\n  kyes: []\n"),
              AllOf(HasSubstr("x.yaml:2: "), HasSubstr("allowed in access are keys"),
                    HasSubstr("the nearest known key is access.keys")));
  EXPECT_THAT(yaml_error("access:\n  keys: [{kee: x}]\n"),
              AllOf(HasSubstr("allowed in access.keys are key, tenant"),
                    HasSubstr("the nearest known key is access.keys[].key")));
  EXPECT_THAT(yaml_error("backends: {a: b}"),
              HasSubstr("backends: found a map; allowed is a list with name and base_url of each"));
  EXPECT_THAT(yaml_error("routes: [first]"),
              HasSubstr("routes[0]: found a single value; allowed is a map with backends"));
  EXPECT_THAT(yaml_error("access: {keys: x}"), HasSubstr("access.keys: found a single value"));
  EXPECT_THAT(yaml_error("backends: [{models: {a: b}}]"),
              HasSubstr("backends[0].models: found a map; allowed is a list"));
  EXPECT_THAT(yaml_error("backends: [{upstream_models: [a]}]"),
              HasSubstr("upstream_models: found a list; allowed is a map"));
  EXPECT_THAT(yaml_error("backends: [{models: [[a]]}]"), HasSubstr("backends[0].models: found"));
  EXPECT_THAT(yaml_error("backends: [{name: [a]}]"), HasSubstr("backends[0].name: found a list"));
  std::string many = "backends: [{}";
  for (int i = 0; i < 64; ++i) many += ", {}";
  EXPECT_THAT(yaml_error(many + "]"),
              HasSubstr("backends: found a list of 65; allowed are 0 to 64 entries"));
}

TEST(ConfigurationLoader, RoutesReplaceTheDefaultModelUnlessSomethingNamesIt) {
  const auto models = [](const std::string& yaml) {
    const auto loaded = load_yaml(yaml);
    EXPECT_TRUE(loaded.has_value()) << error_of(loaded);
    return loaded.has_value() ? loaded->values.models.size() : 99;
  };
  EXPECT_EQ(models(one_backend()), 0u);
  EXPECT_EQ(models("routes: [{backends: [local]}]"), 1u);
  EXPECT_EQ(models("routes: [{backends: [smollm2-135m-instruct]}]"), 1u);
  EXPECT_EQ(models(one_backend("  - {backends: [first], shadow: local}\n")), 1u);
  EXPECT_EQ(models(one_backend("models: [{name: a, path: a.gguf}]\n")), 1u);
  EXPECT_EQ(models(one_backend("models: []\n")), 0u);
  EXPECT_EQ(models("routes: []\n"), 1u);
}

TEST(ConfigurationLoader, RoutesReplaceTheDefaultAliases) {
  auto loaded = load_yaml("routes: [{backends: [local]}]");
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_THAT(loaded->values.aliases, IsEmpty());
  EXPECT_EQ(loaded->values.default_model, "smollm2-135m-instruct");
  loaded = load_yaml(one_backend("aliases: {gpt-4o: deepseek-flash}\ndefault_model: b\n"));
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_THAT(loaded->values.aliases, ElementsAre(Pair("gpt-4o", "deepseek-flash")));
  EXPECT_EQ(loaded->values.default_model, "b");
  Memory memory{{{"x.yaml", one_backend()}}, {{"DEEPSEEK_ALIASES__A", "b"}}};
  loaded = memory.load({"--config=x.yaml"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_THAT(loaded->values.aliases, ElementsAre(Pair("a", "b")));
}

TEST(ConfigurationLoader, NamesOfAliasesArePrintable) {
  for (const std::string& name :
       {std::string("a\nb"), std::string("\xff"), std::string(300, 'x')}) {
    const std::string setting = "aliases." + name + "=smollm2-135m-instruct";
    EXPECT_THAT(error_of(Memory{}.load({"--set", setting})),
                HasSubstr("--set: aliases: found a name that cannot be one"));
  }
}

TEST(ConfigurationLoader, RoutesMayComeFromOutsideTheFile) {
  const auto loaded =
      Memory{}.load({"--set=backends[0].name=a", "--set=backends[0].base_url=http://a",
                     "--set=routes[0].backends=a"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_THAT(loaded->values.models, IsEmpty());
  EXPECT_EQ(loaded->values.routes[0].model, "*");
}

TEST(ConfigurationLoader, DeepSeekContinuesByPrefixUnlessToldOtherwise) {
  const auto loaded = load_yaml(
      "backends:\n"
      "  - {name: a, type: deepseek, base_url: 'http://a'}\n"
      "  - {name: b, type: deepseek, base_url: 'http://b', continuation: none}\n"
      "  - {name: c, base_url: 'http://c'}\n"
      "routes: [{backends: [a, b, c]}]\n");
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_EQ(loaded->values.backends[0].continuation, Continuation::prefix);
  EXPECT_EQ(loaded->values.backends[1].continuation, Continuation::none);
  EXPECT_EQ(loaded->values.backends[2].continuation, Continuation::none);
}

TEST(ConfigurationLoader, DeepSeekKnowsMaxTokensUnlessToldOtherwise) {
  const auto loaded = load_yaml(
      "backends:\n"
      "  - {name: a, type: deepseek, base_url: 'http://a'}\n"
      "  - {name: b, type: deepseek, base_url: 'http://b', token_limit_field: ''}\n"
      "  - {name: c, base_url: 'http://c', token_limit_field: max_completion_tokens}\n"
      "routes: [{backends: [a, b, c]}]\n");
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_EQ(loaded->values.backends[0].token_limit_field, "max_tokens");
  EXPECT_EQ(loaded->values.backends[1].token_limit_field, "");
  EXPECT_EQ(loaded->values.backends[2].token_limit_field, "max_completion_tokens");
  const auto wrong = load_yaml(
      "backends: [{name: a, base_url: 'http://a', token_limit_field: tokens}]\n"
      "routes: [{backends: [a]}]\n");
  ASSERT_TRUE(wrong.has_error());
  EXPECT_NE(wrong.error().message.find("max_completion_tokens"), std::string::npos);
}

TEST(ConfigurationLoader, AnEngineBringsItsOwnDefaults) {
  const auto loaded = load_yaml(
      "backends:\n"
      "  - {name: a, type: managed, engine: vllm, model: m, models: [x]}\n"
      "  - {name: b, type: managed, engine: llama-server, model: m, health_path: /up}\n"
      "  - {name: c, type: managed, engine: sglang, model: m, continuation: none}\n"
      "  - {name: d, type: managed, command: [x]}\n"
      "routes: [{backends: [a, b, c, d]}]\n");
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  const auto& backends = loaded->values.backends;
  EXPECT_EQ(backends[0].continuation, Continuation::continue_final_message);
  EXPECT_EQ(backends[0].health_path, "/health");
  EXPECT_EQ(backends[1].continuation, Continuation::assistant_last);
  EXPECT_EQ(backends[1].health_path, "/up");
  EXPECT_EQ(backends[2].continuation, Continuation::none);
  EXPECT_EQ(backends[3].continuation, Continuation::none);
  EXPECT_EQ(backends[3].health_path, "/health");
}

TEST(ConfigurationLoader, AnthropicsFormGoesOnWithTheLastMessage) {
  const auto loaded = load_yaml(
      "backends:\n"
      "  - {name: a, type: anthropic, base_url: 'http://a'}\n"
      "  - {name: b, type: anthropic, base_url: 'http://b', continuation: none}\n"
      "routes: [{backends: [a, b]}]\n");
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_EQ(loaded->values.backends[0].continuation, Continuation::assistant_last);
  EXPECT_EQ(loaded->values.backends[0].answer_tokens, 4096U);
  EXPECT_EQ(loaded->values.backends[1].continuation, Continuation::none);
}

TEST(ConfigurationLoader, PathsAndVariablesOfBackends) {
  Memory memory;
  memory.environment = {{"PORT", "9001"}, {"MODEL", "/srv/m"}};
  memory.files["conf/x.yaml"] =
      "data_dir: state\n"
      "backends:\n"
      "  - {name: a, base_url: 'https://a:${PORT}', trust_file: ca.pem}\n"
      "  - {name: b, type: managed, command: [vllm, serve, '${MODEL}', --port, '{port}']}\n"
      "routes: [{backends: [a, b]}]\n";
  const auto loaded = memory.load({"--config", "conf/x.yaml"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_EQ(loaded->values.data_dir, "conf/state");
  EXPECT_EQ(loaded->values.backends[0].base_url, "https://a:9001");
  EXPECT_EQ(loaded->values.backends[0].trust_file, "conf/ca.pem");
  EXPECT_THAT(loaded->values.backends[1].command,
              ElementsAre("vllm", "serve", "/srv/m", "--port", "{port}"));
}

TEST(ConfigurationLoader, WhatIsPrintedLoadsAgain) {
  Memory memory = with(
      "backends:\n"
      "  - {name: a, type: deepseek, base_url: 'https://a', models: [x, 'y, \"z\"'], api_key: k,\n"
      "     upstream_models: {x: 'a: b', 'y, \"z\"': '#'}, price_input: 0.25, off_peak: "
      "18:00-09:00,\n"
      "     allow_fields: [top_k]}\n"
      "  - {name: b, type: managed, command: [a, '$${X}', '-1', '{port}', 'a\\b']}\n"
      "routes:\n"
      "  - {features: [stream], headers: {x-a: 'b, c'}, hours: 00:00-24:00, backends: [a, b],\n"
      "     split: {a: 60, b: 40}, first_token_goal: 1500ms}\n"
      "retry: {jitter: 0}\n"
      "cache: {enabled: true, store: sqlite, semantic_tenants: [t]}\n");
  const auto first = memory.load({"--config", "x.yaml"});
  ASSERT_TRUE(first.has_value()) << error_of(first);
  EXPECT_THAT(first->values.models, IsEmpty());
  const std::string text = print_configuration(first.value());
  EXPECT_THAT(text, AllOf(HasSubstr("models: []\n"), HasSubstr("default_model: \"\"\n"),
                          HasSubstr("aliases: {}\n"), HasSubstr("api_key: \"***\"")));
  memory.files["x.yaml"] = text;
  const auto again = memory.load({"--config", "x.yaml"});
  ASSERT_TRUE(again.has_value()) << error_of(again) << "\n" << text;
  Configuration expected = first->values;
  expected.backends[0].api_key = Secret("***");
  EXPECT_EQ(again->values, expected) << text;
}

TEST(ConfigurationLoader, KeysAreNeverShown) {
  const std::string keys = "access:\n  keys:\n    - {key: sk-hunter1, tenant: a}\n";
  const auto loaded = load_yaml(keys);
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_THAT(print_configuration(*loaded),
              AllOf(HasSubstr("access:\n  keys:"), HasSubstr("- key: \"***\""),
                    HasSubstr("tenant: a"), Not(HasSubstr("hunter"))));
  EXPECT_THAT(yaml_error(keys + "    - {key: sk-hunter1, tenant: b}\n"),
              AllOf(HasSubstr("x.yaml:4: access.keys[1].key"), Not(HasSubstr("hunter"))));
  EXPECT_THAT(yaml_error(keys + "    - {key: sk hunter2, tenant: b}\n"),
              AllOf(HasSubstr("access.keys[1].key"), Not(HasSubstr("hunter"))));
}

TEST(ConfigurationLoader, TenThousandKeysFit) {
  std::string yaml = "access:\n  keys:\n";
  for (int i = 0; i < 10'000; ++i) {
    const std::string number = std::to_string(i);
    yaml += "    - {key: sk-" + std::string(48 - number.size(), 'x') + number +
            ", tenant: tenant-" + number + ", weight: 1, priority_max: 0}\n";
  }
  const auto loaded = load_yaml(yaml);
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_EQ(loaded->values.access.keys.size(), 10'000u);
  EXPECT_EQ(loaded->values.access.keys.back().tenant, "tenant-9999");
}

}  // namespace
}  // namespace deepseek::server
