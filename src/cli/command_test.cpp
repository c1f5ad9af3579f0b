#include "cli/command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vector>

namespace deepseek::cli {
namespace {

using testing::HasSubstr;
using Action = Command::Action;

base::Result<Command> parse(std::vector<std::string_view> arguments) {
  return parse_command(arguments);
}

TEST(Command, AskWithFlagsInBothForms) {
  for (const auto& arguments : {std::vector<std::string_view>{"ask", "Hi", "--model", "m",
                                                              "--url=http://x:1", "--no-stream"},
                                std::vector<std::string_view>{"--url", "http://x:1", "--model=m",
                                                              "--no-stream", "ask", "--", "Hi"}}) {
    const auto command = parse(arguments);
    ASSERT_TRUE(command.has_value()) << command.error().message;
    EXPECT_EQ(command->action, Action::ask);
    EXPECT_EQ(command->prompt, "Hi");
    EXPECT_EQ(command->model, "m");
    EXPECT_EQ(command->url, "http://x:1");
    EXPECT_FALSE(command->stream);
  }
}

TEST(Command, Actions) {
  EXPECT_EQ(parse({"models"})->action, Action::models);
  EXPECT_EQ(parse({"health"})->action, Action::health);
  EXPECT_EQ(parse({"ask", "--help"})->action, Action::help);
  EXPECT_EQ(parse({"--version"})->action, Action::version);
  EXPECT_EQ(parse({"ask", "-"})->prompt, "-");
}

TEST(Command, RouteExplain) {
  const auto command =
      parse({"route", "explain", "--model", "m", "--message=Hi", "--tenant", "acme", "--header",
             "X-Tier=gold=1", "--header", "x-other=", "--config", "c.yaml"});
  ASSERT_TRUE(command.has_value()) << command.error().message;
  EXPECT_EQ(command->action, Action::explain_route);
  EXPECT_EQ(command->url, "http://127.0.0.1:8081") << "the metrics port";
  EXPECT_EQ(command->prompt, "Hi");
  EXPECT_EQ(command->tenant, "acme");
  EXPECT_EQ(command->config, "c.yaml");
  EXPECT_THAT(command->headers, testing::ElementsAre(testing::Pair("x-tier", "gold=1"),
                                                     testing::Pair("x-other", "")));
  EXPECT_EQ(parse({"route", "explain", "--body", "f", "--url", "http://x:1"})->body_path, "f");
  EXPECT_EQ(parse({"ask", "x"})->url, "http://127.0.0.1:8080");
}

TEST(Command, Mistakes) {
  const auto message = [](std::vector<std::string_view> arguments) {
    const auto command = parse(std::move(arguments));
    return command.has_error() ? command.error().message : "no error";
  };
  EXPECT_THAT(message({}), HasSubstr("nothing to do"));
  EXPECT_THAT(message({"ask"}), HasSubstr("needs a prompt"));
  EXPECT_THAT(message({"ask", "two", "words"}), HasSubstr("in quotes"));
  EXPECT_THAT(message({"aks", "x"}), HasSubstr("\"aks\""));
  EXPECT_THAT(message({"models", "x"}), HasSubstr("\"x\""));
  EXPECT_THAT(message({"route"}), HasSubstr("route needs explain"));
  EXPECT_THAT(message({"route", "x"}), HasSubstr("\"x\""));
  EXPECT_THAT(message({"route", "explain"}), HasSubstr("needs --message TEXT or --body FILE"));
  EXPECT_THAT(message({"models", "--tenant", "t"}), HasSubstr("flags of route explain"));
  EXPECT_THAT(message({"route", "explain", "--header", "x"}), HasSubstr("NAME=VALUE"));
  EXPECT_THAT(message({"--nope"}), HasSubstr("unknown flag"));
  EXPECT_THAT(message({"models", "--url"}), HasSubstr("--url needs a value"));
  EXPECT_THAT(message({"models", "--model"}), HasSubstr("needs a value"));
}

}  // namespace
}  // namespace deepseek::cli
