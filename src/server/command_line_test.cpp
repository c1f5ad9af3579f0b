#include "server/command_line.hpp"

#include "server/setting.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::server {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Action = CommandLine::Action;

base::Result<CommandLine> parse(std::vector<std::string_view> arguments) {
  return parse_command_line(arguments);
}

std::string error_of(std::vector<std::string_view> arguments) {
  const auto line = parse(std::move(arguments));
  return line.has_error() ? line.error().message : "no error";
}

TEST(CommandLine, BothFormsOfAFlag) {
  for (const auto& arguments :
       {std::vector<std::string_view>{"--config", "a.yaml", "--system", "b.ini", "--port", "1"},
        std::vector<std::string_view>{"--config=a.yaml", "--system=b.ini", "--port=1"}}) {
    const auto line = parse(arguments);
    ASSERT_TRUE(line.has_value());
    EXPECT_EQ(line->action, Action::serve);
    EXPECT_EQ(line->config_path, "a.yaml");
    EXPECT_EQ(line->system_path, "b.ini");
    ASSERT_EQ(line->flags.size(), 1u);
    EXPECT_EQ(line->flags[0].name, "server.port");
    EXPECT_EQ(line->flags[0].value, "1");
    EXPECT_EQ(line->flags[0].source, "--port");
  }
}

TEST(CommandLine, Actions) {
  EXPECT_EQ(parse({})->action, Action::serve);
  EXPECT_EQ(parse({"--help"})->action, Action::help);
  EXPECT_EQ(parse({"-h"})->action, Action::help);
  EXPECT_EQ(parse({"--version", "--nonsense"})->action, Action::version);
  EXPECT_EQ(parse({"--check-config"})->action, Action::check_config);
  EXPECT_EQ(parse({"--check_config"})->action, Action::check_config);
  EXPECT_EQ(parse({"--print-config"})->action, Action::print_config);
  EXPECT_EQ(parse({"--print-config-docs"})->action, Action::print_config_docs);
}

TEST(CommandLine, OptionalValues) {
  const auto flash = [](std::vector<std::string_view> arguments) {
    return parse(std::move(arguments))->flags.at(0).value;
  };
  EXPECT_EQ(flash({"--enable_flash_attn"}), "on");
  EXPECT_EQ(flash({"--enable_flash_attn", "--port", "1"}), "on");
  EXPECT_EQ(flash({"--enable_flash_attn=true"}), "on");
  EXPECT_EQ(flash({"--enable-flash-attn", "off"}), "off");
  EXPECT_EQ(flash({"--preload_model"}), "true");
  EXPECT_EQ(flash({"--preload_model", "deepseek-chat"}), "deepseek-chat");
}

TEST(CommandLine, MistakesAreNamed) {
  EXPECT_THAT(error_of({"--prot", "1"}), AllOf(HasSubstr("--prot"), HasSubstr("flag is --port")));
  EXPECT_THAT(error_of({"--config"}), HasSubstr("--config needs a value"));
  EXPECT_THAT(error_of({"--config="}), HasSubstr("--config needs a value"));
  EXPECT_THAT(error_of({"--help=x"}), HasSubstr("takes no value"));
  EXPECT_THAT(error_of({"serve"}), HasSubstr("\"serve\""));
  EXPECT_THAT(error_of({"--"}), HasSubstr("allowed are flags only"));
  EXPECT_THAT(error_of({"--set", "tls.key_password hunter2"}),
              AllOf(HasSubstr("NAME=VALUE"), Not(HasSubstr("hunter2"))));
}

TEST(CommandLine, HelpNamesEverySetting) {
  const std::string text = help_text();
  for (const Setting* setting : settings()) {
    EXPECT_THAT(text, HasSubstr("  " + std::string(setting->name) + " "));
  }
  EXPECT_THAT(text, AllOf(HasSubstr("--preload_model"), HasSubstr("Default: 8080")));
}

}  // namespace
}  // namespace deepseek::server
