#include "frontend/operator_pages.hpp"

#include <gmock/gmock.h>

namespace deepseek::frontend {
namespace {

using gateway::BackendReport;
using testing::HasSubstr;
using testing::Not;

const protocol::RequestLimits limits{};

std::string error(std::string_view text) {
  const auto decoded = decode_explain(text, limits);
  return decoded.has_error() ? decoded.error().message : "no error";
}

TEST(OperatorPages, TellsHowABackendIs) {
  BackendReport report;
  report.name = "first";
  report.status = {gateway::BackendState::ready, "", 1, 0, 0};
  report.in_flight = 3;
  report.in_flight_max = 9;
  report.health.first_token_average = std::chrono::microseconds(12'340);
  report.health.last_failure = gateway::FailureKind::broken;
  EXPECT_EQ(backends_body(std::span(&report, 1)),
            R"({"backends":[{"name":"first","state":"ready","usable":true,)"
            R"("availability":"usable","breaker":"closed","failures":0,"last_failure":"broken",)"
            R"("health_check":"unknown","in_flight":3,"in_flight_max":9,)"
            R"("first_token_ms":1.23E1}]})");
  report.status.state = gateway::BackendState::restarting;
  report.status.reason = "it is starting";
  report.status.restarts = 4;
  const std::string body = backends_body(std::span(&report, 1));
  EXPECT_THAT(body, HasSubstr(R"("reason":"it is starting","usable":false)"));
  EXPECT_THAT(body, HasSubstr(R"("restarts":4)"));
  EXPECT_EQ(backends_body({}), R"({"backends":[]})");
}

TEST(OperatorPages, ReadsAQuestion) {
  const auto question = decode_explain(
      R"({"body":{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true},)"
      R"("headers":{"x-tier":"gold"},"tenant":"acme"})",
      limits);
  ASSERT_TRUE(question.has_value()) << question.error().message;
  EXPECT_EQ(question->tenant, "acme");
  EXPECT_EQ(question->headers.find("X-Tier"), "gold");
  EXPECT_EQ(question->request.model, "m");
  EXPECT_TRUE(question->request.stream);
}

TEST(OperatorPages, RefusesOtherQuestions) {
  EXPECT_THAT(error("{}"), HasSubstr("body is missing"));
  EXPECT_THAT(error("[]"), Not("no error"));
  EXPECT_THAT(error(R"({"body":{"messages":1}})"), Not("no error"));
  EXPECT_THAT(error(R"({"body":{},"what":1})"), HasSubstr("allowed are body, headers and tenant"));
  EXPECT_THAT(error(R"({"body":{},"headers":{"a":1}})"), HasSubstr("names and texts"));
  EXPECT_THAT(error(R"({"body":{},"headers":[]})"), HasSubstr("names and texts"));
}

TEST(OperatorPages, TellsAnExplanation) {
  gateway::RouteExplanation told;
  told.model = "m";
  told.problem = "none";
  told.rules = {{"routes[0]", "no"}};
  EXPECT_EQ(explanation_body(told),
            R"({"model":"m","problem":"none","rules":[{"route":"routes[0]","verdict":"no"}]})");
  told.problem.clear();
  told.route = "routes[0]";
  told.strategy = "cheapest";
  told.candidates.resize(1);
  told.candidates[0].backend.name = "first";
  told.candidates[0].why_not = "it is busy";
  told.reason = "none of them";
  const std::string body = explanation_body(told);
  EXPECT_THAT(body, HasSubstr(R"("why_not":"it is busy")"));
  EXPECT_THAT(body, HasSubstr(R"("why":"none of them")"));
  EXPECT_THAT(body, Not(HasSubstr("chosen")));
}

}  // namespace
}  // namespace deepseek::frontend
