#include "server/setting.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::server {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Reads a text into a setting of a configuration with one entry in every list.
struct Reader {
  Configuration values = one_of_each();

  // The message, or nothing.
  std::string read(std::string_view name, std::string_view text) {
    const auto match = find_setting(name);
    if (!match) return "no such setting";
    ValueContext context;
    context.environment = [](std::string_view variable) -> std::optional<std::string> {
      if (variable == "HOST") return "10.0.0.7";
      if (variable == "COMMA") return "a, b";
      return std::nullopt;
    };
    const Field field = match->setting->field(values, match->item);
    const auto read = assign(*match->setting, field, text, context);
    if (read.has_error()) return read.error().message;
    // What is written must read back as the same.
    Configuration again = one_of_each();
    const Field copy = match->setting->field(again, match->item);
    context.expand = false;
    if (!is_secret(*match->setting)) {
      EXPECT_TRUE(assign(*match->setting, copy, format_value(field), context).has_value()) << text;
      EXPECT_TRUE(same_value(field, copy)) << text;
    }
    return "";
  }

  void accept(std::string_view name, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) EXPECT_EQ(read(name, text), "") << text;
  }
  void refuse(std::string_view name, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      EXPECT_THAT(read(name, text), HasSubstr("allowed is")) << text;
    }
  }
};

TEST(SettingValue, Decimals) {
  Reader reader;
  reader.accept("backends[0].price_input", {"0", "0.1", "2", "2.", "1000000", "0.000001", "1.5"});
  EXPECT_EQ(reader.values.backends[0].price_input, 1.5);
  reader.refuse("backends[0].price_input",
                {"", "-1", "1e3", "inf", "nan", "0x1", "1,5", "1 ", "1000000.1", "1.2.3", "."});
  EXPECT_THAT(reader.read("retry.backoff_factor", "0.9"),
              HasSubstr("found \"0.9\"; allowed is a number from 1 to 10 such as 1.5"));
}

TEST(SettingValue, ListsOfTexts) {
  Reader reader;
  reader.accept("backends[0].models", {"", "a", "a, b", R"("a, b", c)", "中文"});
  reader.accept("backends[0].command", {R"(vllm, serve, --host, ${HOST}, --port, {port})"});
  EXPECT_EQ(reader.values.backends[0].command,
            (std::vector<std::string>{"vllm", "serve", "--host", "10.0.0.7", "--port", "{port}"}));
  reader.accept("backends[0].command", {"x, ${COMMA}"});
  EXPECT_EQ(reader.values.backends[0].command, (std::vector<std::string>{"x", "a, b"}));
  EXPECT_THAT(reader.read("backends[0].command", "x, ${NOPE}"), HasSubstr("${NOPE}"));
  reader.refuse("backends[0].models",
                {"a,", ",", "\"\"", "\"a", "a\nb", "\xff", std::string(5'000, 'x')});
  reader.refuse("backends[0].allow_fields", {"top k", "top_k, a:b"});
  std::string many = "x";
  for (int i = 0; i < 64; ++i) many += ", x";
  EXPECT_THAT(reader.read("backends[0].allow_fields", many),
              HasSubstr("a list of 0 to 64 texts, each a name of letters, digits, . _ and -, such "
                        "as top_k, min_p"));
}

TEST(SettingValue, ListsOfChoices) {
  Reader reader;
  reader.accept("routes[0].features", {"", "image", "image, tools, schema, stream, thinking"});
  EXPECT_EQ(reader.values.routes[0].features.size(), 5u);
  reader.refuse("routes[0].features", {"images", "image, image", "image,"});
  EXPECT_THAT(reader.read("routes[0].features", "x"),
              HasSubstr("a list of any of image, tools, schema, stream, thinking"));
}

TEST(SettingValue, MapsOfTexts) {
  Reader reader;
  reader.accept("backends[0].upstream_models", {"", "a=b", R"(a=b=c, "x=y"="1, 2")"});
  EXPECT_EQ(reader.values.backends[0].upstream_models,
            (std::map<std::string, std::string>{{"a", "b=c"}, {"x=y", "1, 2"}}));
  reader.refuse("backends[0].upstream_models", {"a", "a=", "=b", "a=b, a=c", "\"\"=b", "a=\"\"",
                                                "a=\x01", "a=\xff", std::string(300, 'x') + "=b"});
  reader.refuse("routes[0].headers", {"x team=a", "x:=a"});
  EXPECT_THAT(reader.read("routes[0].headers", "a"),
              HasSubstr("a map of 0 to 16 texts, each named as a header field, such as "
                        "x-team=research"));
}

TEST(SettingValue, MapsOfNumbers) {
  Reader reader;
  reader.accept("routes[0].split", {"", "first=90, second=10", "a=0"});
  reader.refuse("routes[0].split",
                {"first", "first=x", "first=101", "first=-1", "first=1.5", "a=1, a=2", "a=90%"});
  EXPECT_THAT(reader.read("routes[0].split", "a"),
              HasSubstr("a map of whole numbers from 0 to 100 such as first=90, second=10"));
}

TEST(SettingValue, HoursOfTheDay) {
  Reader reader;
  reader.accept("routes[0].hours",
                {"", "18:00-09:00", "00:00-24:00", "Mon-Fri 09:00-18:00; UTC+8"});
  reader.refuse("routes[0].hours", {"18-9", "18:00", "25:00-01:00", "Mon-Fri"});
  EXPECT_THAT(reader.read("backends[0].off_peak", "always"),
              HasSubstr("hours of the day, with days and zone if need be, of 0 to 256 bytes"));
}

TEST(SettingValue, Choices) {
  Reader reader;
  reader.accept("backends[0].type", {"openai", "deepseek", "azure", "managed"});
  reader.accept("backends[0].continuation",
                {"none", "prefix", "continue_final_message", "assistant_last"});
  reader.accept("routes[0].strategy",
                {"priority", "weighted_round_robin", "least_in_flight", "power_of_two",
                 "least_work", "cheapest", "fastest", "consistent_hash", "cache_aware"});
  EXPECT_EQ(reader.values.routes[0].strategy, Strategy::cache_aware);
  reader.accept("cache.store", {"sqlite", "memory"});
  reader.refuse("backends[0].type", {"", "OpenAI", "vllm"});
  EXPECT_THAT(reader.read("cache.store", "redis"), HasSubstr("one of memory, sqlite"));
  EXPECT_EQ(to_string(Continuation::assistant_last), "assistant_last");
  EXPECT_EQ(to_string(BackendType::managed), "managed");
  EXPECT_EQ(to_string(RouteFeature::schema), "schema");
  EXPECT_EQ(to_string(CacheStoreKind::sqlite), "sqlite");
}

TEST(SettingValue, TextsOfAForm) {
  Reader reader;
  reader.accept("backends[0].base_url", {"", "https://api.deepseek.com", "http://${HOST}:1/v1"});
  EXPECT_EQ(reader.values.backends[0].base_url, "http://10.0.0.7:1/v1");
  reader.refuse("backends[0].base_url", {"api.deepseek.com", "http://a:0", "http://${COMMA}"});
  // What a variable holds may be secret: messages show the text as it is written.
  EXPECT_THAT(reader.read("backends[0].base_url", "x${HOST}"),
              AllOf(HasSubstr("found \"x${HOST}\""), HasSubstr("a URL that begins with http://")));
  reader.refuse("backends[0].name", {"", "a b", "a,b", std::string(65, 'a')});
  reader.refuse("backends[0].price_currency", {"", "cny", "CN", "CNYY"});
  reader.refuse("routes[0].model", {"", "*a", "a*b"});
  reader.refuse("backends[0].health_path", {"health", "/a b"});
}

TEST(SettingValue, SecretsOfAForm) {
  Reader reader;
  reader.accept("backends[0].api_key", {"", "sk-1"});
  const std::string message = reader.read("backends[0].api_key", "sk 123");
  EXPECT_THAT(message, HasSubstr("a secret without blanks as ${NAME} or file:PATH"));
  EXPECT_EQ(message.find("123"), std::string::npos);
  EXPECT_THAT(reader.read("access.keys[0].key", ""), HasSubstr("of 1 to 512 bytes"));
}

}  // namespace
}  // namespace deepseek::server
