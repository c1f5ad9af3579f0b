#include "server/configuration.hpp"

#include "server/configuration_loader.hpp"
#include "server/configuration_test_support.hpp"
#include "server/setting.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace deepseek::server {
namespace {

using base::Result;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

std::filesystem::path repository() {
  return DEEPSEEK_SOURCE_DIR;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

// DEEPSEEK_UPDATE_FILES=1 writes the file instead of comparing.
void expect_file(const std::string& path, const std::string& text) {
  if (std::getenv("DEEPSEEK_UPDATE_FILES") != nullptr) std::ofstream(repository() / path) << text;
  EXPECT_EQ(read(repository() / path), text)
      << path << " is out of date: run server_test with DEEPSEEK_UPDATE_FILES=1";
}

TEST(Configuration, NothingAtAllIsTheDefaults) {
  const auto loaded = Memory{}.load();
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_EQ(loaded->values, Configuration{});
  EXPECT_TRUE(loaded->origins.empty());
}

TEST(Configuration, DevelopmentFileIsTheDefaultsAndComplete) {
  const std::string text = development_configuration();
  expect_file("config/dev.yaml", text);
  auto loaded = load_yaml(text);
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  loaded->values.models[0].directory.clear();
  EXPECT_EQ(loaded->values, Configuration{});
  for (const Setting* setting : settings()) {
    EXPECT_THAT(text, HasSubstr(std::string(setting->help).substr(0, 20)));
  }
}

TEST(Configuration, DocumentIsUpToDate) {
  expect_file("docs/configuration.md", configuration_document());
}

TEST(Configuration, ExamplesInTheRepositoryLoad) {
  Memory memory;
  memory.files["production.yaml"] = read(repository() / "config/production.yaml");
  memory.files["system.ini"] = read(repository() / "config/system.ini");
  auto loaded = memory.load({"--config", "production.yaml", "--system", "system.ini"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_TRUE(loaded->values.tls.enabled());
  EXPECT_TRUE(loaded->origins.contains("memory.max_cache_size"));
}

TEST(Configuration, PresetsLoad) {
  Memory memory{{}, {{"DEEPSEEK_API_KEY", "sk-1"}}};
  memory.files["relay.yaml"] = read(repository() / "config/relay.yaml");
  memory.files["hybrid.yaml"] = read(repository() / "config/hybrid.yaml");
  auto loaded = memory.load({"--config", "relay.yaml"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  ASSERT_EQ(loaded->values.backends.size(), 2u);
  EXPECT_EQ(loaded->values.backends[0].api_key.reveal(), "sk-1");
  EXPECT_EQ(loaded->values.backends[0].continuation, Continuation::prefix);
  EXPECT_EQ(loaded->values.backends[1].continuation, Continuation::continue_final_message);
  EXPECT_THAT(loaded->values.routes[0].backends, ElementsAre("official", "second"));
  EXPECT_TRUE(loaded->values.models.empty());

  loaded = memory.load({"--config", "hybrid.yaml"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  ASSERT_EQ(loaded->values.models.size(), 1u);
  EXPECT_EQ(loaded->values.default_model, loaded->values.models[0].name);
  EXPECT_THAT(loaded->values.routes.back().backends, ElementsAre("local", "official"));
  EXPECT_EQ(loaded->values.routes.back().first_token_goal, milliseconds(2'000));
}

TEST(Configuration, EveryRowReadsItsOwnDefaultAndExample) {
  for (const Setting* setting : settings()) {
    EXPECT_FALSE(setting->help.empty()) << setting->name;
    EXPECT_FALSE(setting->example.empty()) << setting->name;
    Configuration scratch = one_of_each();
    const Field field = setting->field(scratch, Item{0, "alias"});
    ValueContext context;
    context.environment = [](std::string_view) { return std::string("x"); };
    context.read_file = [](const std::string&) -> Result<std::string> { return std::string("x"); };
    auto assigned = assign(*setting, field, setting->example, context);
    EXPECT_TRUE(assigned.has_value()) << setting->name;
    // Where something must be given the default is nothing, which cannot be read.
    if (setting->in_map() || (setting->in_list() && default_text(*setting).empty())) continue;
    assigned = assign(*setting, field, default_text(*setting), context);
    EXPECT_TRUE(assigned.has_value()) << setting->name << " " << default_text(*setting);
    Configuration defaults = one_of_each();
    EXPECT_TRUE(same_value(field, setting->field(defaults, Item{}))) << setting->name;
  }
}

TEST(Configuration, NoFieldHasTwoRowsButForAliases) {
  Configuration scratch = one_of_each();
  std::map<const void*, std::string_view> seen;
  for (const Setting* setting : settings()) {
    if (!setting->alias_of.empty() || setting->in_map()) continue;
    const Field field = setting->field(scratch, Item{});
    const void* address = std::visit(
        [](const auto& member) -> const void* {
          if constexpr (std::is_same_v<std::decay_t<decltype(member)>, PathField>) {
            return member.path;
          } else {
            return member;
          }
        },
        field);
    EXPECT_TRUE(seen.emplace(address, setting->name).second)
        << setting->name << " and " << seen[address];
  }
}

TEST(Configuration, LaterSourcesAreStronger) {
  Memory memory;
  memory.files["a.yaml"] = "server:\n  port: 1001\n";
  memory.files["b.ini"] = "[server]\nport = 1002\n";
  const auto port = [&memory](std::vector<std::string_view> arguments) {
    const auto loaded = memory.load(std::move(arguments));
    EXPECT_TRUE(loaded.has_value()) << error_of(loaded);
    return loaded.has_value() ? loaded->values.server.port : 0;
  };
  EXPECT_EQ(port({}), 8080u);
  EXPECT_EQ(port({"--config", "a.yaml"}), 1001u);
  EXPECT_EQ(port({"--config=a.yaml", "--system=b.ini"}), 1002u);
  memory.environment = {{"DEEPSEEK_SERVER__PORT", "1003"}};
  EXPECT_EQ(port({"--config=a.yaml", "--system=b.ini"}), 1003u);
  EXPECT_EQ(port({"--set", "server.port=1004"}), 1004u);
  EXPECT_EQ(port({"--port", "1005", "--set=server.port=1004"}), 1005u);
}

TEST(Configuration, LeftOutSectionsKeepTheirDefaults) {
  const auto loaded = load_yaml("http:\n  # body_max: 1MB\nlog:\n  level: debug\n");
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  Configuration expected;
  expected.log.level = base::LogLevel::debug;
  EXPECT_EQ(loaded->values, expected);
  EXPECT_EQ(loaded->origins.at("log.level"), "config/x.yaml:4");
}

TEST(Configuration, OwnModelsBringTheirNames) {
  const auto loaded = load_yaml(
      "models:\n  - name: gpt-4o\n    path: a.gguf\n  - name: b\n    path: /b.gguf\n    preload: "
      "no\n");
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  const auto& values = loaded->values;
  ASSERT_EQ(values.models.size(), 2u);
  EXPECT_EQ(values.models[0].directory, "config");
  EXPECT_TRUE(values.models[0].preload);
  EXPECT_FALSE(values.models[1].preload);
  EXPECT_EQ(values.default_model, "gpt-4o");
  EXPECT_EQ(values.aliases.at("deepseek-chat"), "gpt-4o");
  EXPECT_FALSE(values.aliases.contains("gpt-4o"));
  EXPECT_TRUE(load_yaml("aliases: {}")->values.aliases.empty());
}

TEST(Configuration, UnknownKeyNamesPlaceAndNearest) {
  EXPECT_THAT(yaml_error("server:\n  host: x\n  prot: 1\n"),
              AllOf(HasSubstr("config/x.yaml:3: "), HasSubstr("server.prot"),
                    HasSubstr("allowed in server are host, port"),
                    HasSubstr("the nearest known key is server.port")));
  EXPECT_THAT(yaml_error("sever:\n  port: 1\n"),
              AllOf(HasSubstr("config/x.yaml:1: "), HasSubstr("sever"),
                    HasSubstr("the nearest known key is server")));
  EXPECT_THAT(yaml_error("server:\n  rpc_timeout: 1s\n"), HasSubstr("is network.rpc_timeout"));
  EXPECT_THAT(yaml_error("models:\n  - nam: x\n    path: y\n"),
              AllOf(HasSubstr("x.yaml:2: "), HasSubstr("models[].name")));
  EXPECT_THAT(error_of(Memory{}.load({"--set", "server.prt=1"})),
              AllOf(HasSubstr("--set: "), HasSubstr("server.port")));
  EXPECT_THAT(error_of(Memory{{}, {{"DEEPSEEK_SERVER__PRT", "1"}}}.load()),
              AllOf(HasSubstr("DEEPSEEK_SERVER__PRT"), HasSubstr("server.port")));
}

TEST(Configuration, WrongTypeAndBoundsNameFoundAndAllowed) {
  EXPECT_THAT(yaml_error("server:\n  port: 70000\n"),
              AllOf(HasSubstr("config/x.yaml:2: server.port: found \"70000\""),
                    HasSubstr("a whole number from 0 to 65535")));
  for (const char* wrong :
       {"port: -1", "port: eight", "port: [1]", "port: {a: 1}", "port:", "port: 80.5", "port: 0x50",
        "port: 4294967297", "drain_timeout: 30", "drain_timeout: 2000d", "host: ''"}) {
    EXPECT_THAT(yaml_error(std::string("server:\n  ") + wrong + "\n"),
                AllOf(HasSubstr("x.yaml:2: server."), HasSubstr("allowed is")))
        << wrong;
  }
  EXPECT_THAT(yaml_error("http: {body_max: 2GB}"), HasSubstr("a size from 1KB to 1GB"));
  EXPECT_THAT(yaml_error("log: {level: loud}"), HasSubstr("debug, info, warning, error"));
  EXPECT_THAT(yaml_error("server: 8080"), HasSubstr("a map of settings"));
  EXPECT_THAT(yaml_error("models: {}"), HasSubstr("found a map; allowed is a list"));
  EXPECT_THAT(yaml_error("models: []"), HasSubstr("allowed are 1 to 64 models"));
  EXPECT_THAT(yaml_error("- a"), HasSubstr("a map of sections"));
}

TEST(Configuration, SeveralMistakesAreToldAtOnce) {
  const auto message = yaml_error("server:\n  port: x\n  prot: 1\nlog:\n  level: y\n");
  EXPECT_THAT(message, AllOf(HasSubstr(":2: "), HasSubstr(":3: "), HasSubstr(":5: ")));
}

TEST(Configuration, YamlThatIsRefused) {
  EXPECT_THAT(yaml_error("server:\n  port: 1\n  port: 2\n"),
              AllOf(HasSubstr("x.yaml:3: "), HasSubstr("again"), HasSubstr("line 2")));
  EXPECT_THAT(yaml_error("server: {}\nserver: {}\n"), HasSubstr("again"));
  EXPECT_THAT(yaml_error("a: &a [x]\nb: [*a, *a]\n"), HasSubstr("anchor"));
  EXPECT_THAT(yaml_error("server:\n\tport: 1\n"), HasSubstr("x.yaml:2: this is not YAML"));
  EXPECT_THAT(yaml_error("server: [\n"), HasSubstr("this is not YAML"));
  EXPECT_THAT(yaml_error("log: {}\n---\nlog: {}\n"), HasSubstr("several YAML documents"));
  EXPECT_THAT(yaml_error("a: \xff\n"), HasSubstr("UTF-8"));
  EXPECT_THAT(yaml_error(std::string(20, '[') + std::string(20, ']')), HasSubstr("nested deeper"));
  EXPECT_THAT(yaml_error(std::string(100'000, '[')), Not(HasSubstr("no error")));
  EXPECT_THAT(yaml_error(std::string(2'100'000, ' ')), HasSubstr("larger than 2MB"));
  EXPECT_THAT(yaml_error("network:\n  batch_size: 8\nengine:\n  prefill_chunk: 9\n"),
              HasSubstr("engine.prefill_chunk again"));
  EXPECT_TRUE(load_yaml("").has_value());
  EXPECT_TRUE(load_yaml("# only a comment\n").has_value());
}

TEST(Configuration, NamesOfArticlesWorkInIniToo) {
  Memory memory;
  memory.files["config/system.ini"] =
      "; comment\n# comment\n\n[memory]\r\nmax_cache_size = 16GB ; inline\n"
      "[network]\nrpc_timeout=500ms\nbatch_size = \"64\" # inline\n";
  const auto loaded = memory.load({"--system", "config/system.ini"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_EQ(loaded->values.memory.max_cache_size.resolve(0), 16ull << 30);
  EXPECT_EQ(loaded->values.network.rpc_timeout, milliseconds(500));
  EXPECT_EQ(loaded->values.engine.prefill_chunk, 64u);
  EXPECT_EQ(loaded->origins.at("memory.max_cache_size"), "config/system.ini:5");

  memory.files["config/system.ini"] = "[memory]\nmax_cach_size = 1GB\nrubbish\n[open\n";
  EXPECT_THAT(
      error_of(memory.load({"--system", "config/system.ini"})),
      AllOf(HasSubstr("system.ini:2: "), HasSubstr("memory.max_cache_size"),
            HasSubstr("system.ini:3: found a line without ="), HasSubstr("system.ini:4: ")));
  memory.files["config/system.ini"] = "[memory]\nmax_cache_size=1GB\nmax_cache_size=2GB\n";
  EXPECT_THAT(error_of(memory.load({"--system", "config/system.ini"})), HasSubstr("again"));
}

TEST(Configuration, CacheMayBeAShareOfTheMemory) {
  const auto loaded = load_yaml("memory: {max_cache_size: 25%}");
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_EQ(loaded->values.memory.max_cache_size.resolve(1000), 250u);
  EXPECT_THAT(yaml_error("memory: {max_cache_size: 0%}"), HasSubstr("allowed is a size"));
  EXPECT_THAT(yaml_error("memory: {max_cache_size: 101%}"), HasSubstr("allowed is a size"));
}

TEST(Configuration, EnvironmentReachesListsAndIgnoresStrangers) {
  Memory memory;
  memory.environment = {{"DEEPSEEK_API_KEY", "sk-secret"},
                        {"DEEPSEEK_SERVER_PORT", "tcp://10.0.0.1:80"},
                        {"DEEPSEEK_MODELS__0__CONTEXT_MAX", "4096"},
                        {"DEEPSEEK_DEFAULT_MODEL", "smollm2-135m-instruct"}};
  const auto loaded = memory.load();
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_EQ(loaded->values.models[0].context_max, 4096u);
  EXPECT_EQ(loaded->values.server.port, 8080u);
  memory.environment = {{"DEEPSEEK_MODELS__7__NAME", "x"}};
  EXPECT_THAT(error_of(memory.load()), HasSubstr("index behind the list"));
}

TEST(Configuration, SecretsAreReadAndNeverShown) {
  Memory memory;
  memory.files["config/x.yaml"] =
      "tls:\n  certificate: a.crt\n  key: ${KEYS}/a.key\n  key_password: file:pass\n";
  memory.files["config/pass"] = "hunter2\n";
  memory.environment = {{"KEYS", "/keys"}, {"PASS", "hunter3"}};
  auto loaded = memory.load({"--config", "config/x.yaml"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_EQ(loaded->values.tls.key_password.reveal(), "hunter2");
  EXPECT_EQ(loaded->values.tls.certificate, "config/a.crt");
  EXPECT_EQ(loaded->values.tls.key, "/keys/a.key");
  EXPECT_THAT(print_configuration(loaded.value()),
              AllOf(HasSubstr("key_password: \"***\""), Not(HasSubstr("hunter2"))));

  loaded = memory.load({"--config=config/x.yaml", "--set", "tls.key_password=${PASS}"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_EQ(loaded->values.tls.key_password.reveal(), "hunter3");
  loaded = memory.load({"--config=config/x.yaml", "--set", "tls.key_password=${NOPE}"});
  EXPECT_THAT(error_of(loaded), HasSubstr("${NOPE}"));

  const std::string secret(2000, 'x');
  loaded = memory.load({"--config=config/x.yaml", "--set", "tls.key_password=" + secret});
  EXPECT_THAT(error_of(loaded), Not(HasSubstr("xx")));
  EXPECT_THAT(yaml_error("tls:\n  key_password: [hunter4]\n"), Not(HasSubstr("hunter4")));
  EXPECT_THAT(yaml_error("tls:\n  key_pasword: hunter4\n"), Not(HasSubstr("hunter4")));
  EXPECT_THAT(yaml_error("tls:\n  key_password: hunter4\n"),
              AllOf(HasSubstr("without tls.key"), Not(HasSubstr("hunter4"))));
  EXPECT_THAT(yaml_error("tls:\n  key_password: \"hunter4\n"), Not(HasSubstr("hunter4")));
}

TEST(Configuration, SettingsMustFitEachOther) {
  EXPECT_THAT(yaml_error("tls:\n  key: a\n"), HasSubstr("x.yaml:2: tls.key"));
  EXPECT_THAT(yaml_error("tls:\n  certificate: a\n"), HasSubstr("both or neither"));
  EXPECT_THAT(yaml_error("default_model: nope\n"), HasSubstr("x.yaml:1: default_model"));
  EXPECT_THAT(yaml_error("aliases:\n  a: nope\n"), HasSubstr("x.yaml:2: aliases.a"));
  EXPECT_THAT(yaml_error("aliases:\n  smollm2-135m-instruct: smollm2-135m-instruct\n"),
              HasSubstr("the name of a model"));
  EXPECT_THAT(yaml_error("models: [{name: a, path: x}, {name: a, path: y}]"), HasSubstr("again"));
  EXPECT_THAT(yaml_error("models:\n  - path: x\n"), HasSubstr("models[0].name: found nothing"));
  EXPECT_THAT(yaml_error("models:\n  - name: x\n"), HasSubstr("models[0].path: found nothing"));
  EXPECT_THAT(yaml_error("engine: {kv_type: q8_0, flash_attention: off}"), HasSubstr("f16"));
  EXPECT_THAT(error_of(Memory{}.load({"--port", "8081"})), HasSubstr("metrics.port"));
}

TEST(Configuration, FlagsOfArticles) {
  const auto two = "models: [{name: a, path: x, preload: false}, {name: b, path: y, preload: no}]";
  const Memory memory{{{"x.yaml", two}}, {}};
  auto loaded = memory.load({"--config", "x.yaml", "--preload_model", "b", "--enable_flash_attn"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_FALSE(loaded->values.models[0].preload);
  EXPECT_TRUE(loaded->values.models[1].preload);
  EXPECT_EQ(loaded->values.engine.flash_attention, FlashAttention::on);
  loaded = memory.load({"--config=x.yaml", "--preload_model", "--enable_flash_attn", "false"});
  ASSERT_TRUE(loaded.has_value()) << error_of(loaded);
  EXPECT_TRUE(loaded->values.models[0].preload);
  EXPECT_EQ(loaded->values.engine.flash_attention, FlashAttention::off);
  loaded = memory.load({"--config=x.yaml", "--preload_model=c"});
  EXPECT_THAT(error_of(loaded), HasSubstr("one of the models a, b"));
}

TEST(Configuration, PrintedConfigurationLoadsAgain) {
  const auto first = load_yaml(
      "server: {port: 0, host: '::1'}\nmodels:\n  - name: 'a \"b\" \\c'\n    path: /x y.gguf\n"
      "aliases: {'x: y': 'a \"b\" \\c'}\nmemory: {max_cache_size: 12.5%}\n"
      "engine: {program: '#x'}\n");
  ASSERT_TRUE(first.has_value()) << error_of(first);
  const std::string text = print_configuration(first.value());
  EXPECT_THAT(text, HasSubstr("# config/x.yaml:1"));
  const auto again = load_yaml(text);
  ASSERT_TRUE(again.has_value()) << error_of(again) << "\n" << text;
  Configuration expected = first->values;
  expected.engine.program = "config/" + expected.engine.program;
  EXPECT_EQ(again->values, expected);
}

Result<LoadedConfiguration> load_file(const std::string& path) {
  CommandLine line;
  line.config_path = path;
  return load_configuration(line, system_outside());
}

TEST(Configuration, MissingFileIsOneLine) {
  const auto loaded = load_file("/nonexistent/x.yaml");
  EXPECT_THAT(error_of(loaded),
              AllOf(HasSubstr("/nonexistent/x.yaml: cannot read this file: No such file"),
                    Not(HasSubstr("\n"))));
  const auto folder = load_file("/tmp");
  EXPECT_THAT(error_of(folder), HasSubstr("it is a directory"));
}

TEST(Configuration, ModelFileIsLookedForInOrder) {
  Configuration::Model model;
  model.path = "configuration_test.cpp";
  const std::string folder = DEEPSEEK_SOURCE_DIR "/src/server";
  const auto found = resolve_model_path(model, {"/nonexistent", folder});
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found.value(), folder + "/configuration_test.cpp");
  model.path = "nope.gguf";
  const auto missing = resolve_model_path(model, {"/nonexistent"});
  ASSERT_TRUE(missing.has_error());
  EXPECT_THAT(missing.error().message, HasSubstr("/nonexistent/nope.gguf"));
}

}  // namespace
}  // namespace deepseek::server
