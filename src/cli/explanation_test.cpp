#include "cli/explanation.hpp"

#include <gmock/gmock.h>

namespace deepseek::cli {
namespace {

using testing::HasSubstr;

TEST(Explanation, TheQuestionHoldsWhatTheCommandSays) {
  Command command;
  command.model = "m";
  command.prompt = "say \"hi\"";
  EXPECT_EQ(*explain_question(command, ""),
            R"({"body":{"messages":[{"role":"user","content":"say \"hi\""}],"model":"m"}})");
  command.tenant = "acme";
  command.headers = {{"x-tier", "gold"}};
  EXPECT_EQ(*explain_question(command, R"({"messages":[],"model":"other"})"),
            R"({"body":{"messages":[],"model":"m"},"tenant":"acme","headers":{"x-tier":"gold"}})");
  EXPECT_THAT(explain_question(command, "[]").error().message, HasSubstr("no JSON object"));
}

TEST(Explanation, TellsRulesCandidatesAndTheChoice) {
  const auto text = explanation(
      R"({"model":"m","rules":[{"route":"routes[0]","verdict":"the tenant is not \"a\""},
          {"route":"routes[1]","verdict":"fits"},{"route":"routes[2]","verdict":"fits"}],
          "route":"routes[1]","strategy":"cheapest","candidates":[
          {"name":"x","state":"ready","availability":"usable","breaker":"closed","in_flight":3,
           "in_flight_max":10,"first_token_ms":12.5,"price":0.002},
          {"name":"y","state":"starting","availability":"usable","breaker":"closed","in_flight":0,
           "price":0,"why_not":"it is starting","last_failure":"broken"}],
          "chosen":"x","why":"the lowest price"})");
  ASSERT_TRUE(text.has_value()) << text.error().message;
  EXPECT_EQ(*text,
            "model m\n"
            "    routes[0]: the tenant is not \"a\"\n"
            "  → routes[1]: fits\n"
            "    routes[2]: fits, but an earlier one does too\n"
            "candidates, by cheapest\n"
            "  → x: ready, usable, breaker closed, 3 of 10 in flight, first token 12.5 ms, price "
            "0.002\n"
            "    y: starting, usable, breaker closed, 0 in flight, first token unknown, price 0, "
            "last failure broken — not now: it is starting\n"
            "asked first: x (the lowest price)\n");
}

TEST(Explanation, TellsWhyNoRouteTakesIt) {
  const auto text = explanation(
      R"({"model":"m","problem":"No route takes it.","rules":[{"route":"a","verdict":"no"}]})");
  EXPECT_EQ(*text, "model m\n    a: no\nno route: No route takes it.\n");
  EXPECT_THAT(explanation("{}").error().message, HasSubstr("metrics port"));
  EXPECT_THAT(explanation("<html>").error().message, HasSubstr("no explanation"));
}

}  // namespace
}  // namespace deepseek::cli
