#include "frontend/endpoint_table.hpp"
#include "frontend/test_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::frontend {
namespace {

using testing::delta;
using testing::finished;
using testing::Harness;
using ::testing::HasSubstr;
using testing::make_request;
using ::testing::Not;

const std::string hello = R"({"messages": [{"role": "user", "content": "Hi"}]})";

TEST(Frontend, AnswersAChat) {
  Harness harness;
  harness.script.steps = {std::vector{delta("Hel"), delta("lo")}, std::vector{finished()}};
  harness.run(make_request("POST", "/v1/chat/completions", hello));
  EXPECT_EQ(harness.responder.head.status, 200);
  EXPECT_EQ(harness.responder.field("content-type"), "application/json; charset=utf-8");
  EXPECT_THAT(harness.responder.text(), HasSubstr("Hello"));
  EXPECT_THAT(harness.responder.text(), HasSubstr("chat.completion"));
  EXPECT_THAT(harness.responder.text(), HasSubstr("\"tiny\""));
  ASSERT_EQ(harness.observer.records.size(), 1u);
  const RequestRecord& record = harness.observer.records[0];
  EXPECT_EQ(record.status, 200);
  EXPECT_EQ(record.label, "/v1/chat/completions");
  EXPECT_EQ(record.model, "tiny");
  EXPECT_EQ(record.usage.completion_tokens, 2);
  EXPECT_EQ(record.usage.prompt_tokens, 5);
  EXPECT_TRUE(record.first_token.has_value());
}

TEST(Frontend, AnswersEveryFormOfAnAnswer) {
  const std::vector<std::pair<std::string, std::string>> requests{
      {"/v1/chat/completions", hello},
      {"/chat/completions", hello},
      {"/v1/completions", R"({"prompt": "Hi"})"},
      {"/completions", hello},
      {"/api/v1/infer", R"({"query": "Hi"})"},
      {"/generate", R"({"prompt": "Hi"})"},
      {"/generate?prompt=Hi", ""}};
  for (const auto& [target, body] : requests) {
    Harness harness;
    harness.script.steps = {std::vector{delta("Hello")}, std::vector{finished()}};
    harness.run(make_request("POST", target, body));
    EXPECT_EQ(harness.responder.head.status, 200) << target << harness.responder.text();
    EXPECT_THAT(harness.responder.text(), HasSubstr("Hello")) << target;
  }
}

TEST(Frontend, KeepsTheBodyForARelay) {
  Harness harness;
  harness.script.steps = {std::vector{delta("Hello")}, std::vector{finished()}};
  harness.run(make_request("POST", "/v1/chat/completions", hello));
  ASSERT_EQ(harness.script.requests.size(), 1u);
  EXPECT_EQ(harness.script.requests[0].raw_body, hello);
  EXPECT_EQ(harness.script.requests[0].form, protocol::ClientForm::chat);
}

TEST(Frontend, StreamsEveryFormOfAnAnswer) {
  const std::vector<std::pair<std::string, std::string>> requests{
      {"/v1/chat/completions",
       R"({"stream": true, "messages": [{"role": "user", "content": "Hi"}]})"},
      {"/v1/completions", R"({"prompt": "Hi", "stream": true})"},
      {"/api/v1/infer", R"({"query": "Hi", "stream": true})"},
      {"/generate", R"({"prompt": "Hi", "stream": true})"}};
  for (const auto& [target, body] : requests) {
    Harness harness;
    harness.script.steps = {std::vector{delta("Hello")}, std::vector{finished()}};
    harness.run(make_request("POST", target, body));
    EXPECT_EQ(harness.responder.field("content-type"), "text/event-stream; charset=utf-8");
    EXPECT_THAT(harness.responder.text(), HasSubstr("Hello")) << target;
    EXPECT_TRUE(harness.responder.text().ends_with("data: [DONE]\n\n")) << target;
    EXPECT_TRUE(harness.responder.finished);
  }
}

TEST(Frontend, EmbedsTexts) {
  Harness harness;
  harness.run(make_request("POST", "/v1/embeddings", R"({"input": "Hi"})"));
  EXPECT_EQ(harness.responder.head.status, 200);
  EXPECT_THAT(harness.responder.text(), HasSubstr("\"embedding\""));
  EXPECT_THAT(harness.responder.text(), HasSubstr("0.5"));
  ASSERT_EQ(harness.observer.records.size(), 1u);
  EXPECT_EQ(harness.observer.records[0].usage.prompt_tokens, 3);
}

TEST(Frontend, RanksByVectorsWhereTheBackendGivesNoScores) {
  Harness harness;
  harness.script.embedding = gateway::EmbeddingResult{{{1, 0}, {0, 1}, {1, 1}, {2, 0}}, 9, {}};
  harness.run(make_request("POST", "/v1/rerank",
                           R"({"query": "q", "documents": ["a", "b", "c"], "top_n": 2,)"
                           R"( "return_documents": true})"));
  EXPECT_EQ(harness.responder.head.status, 200);
  EXPECT_THAT(harness.responder.text(),
              HasSubstr(R"("results":[{"index":2,"relevance_score":1,"document":{"text":"c"}},)"
                        R"({"index":1,"relevance_score":0.70710)"));
  EXPECT_THAT(harness.responder.text(),
              HasSubstr(R"("usage":{"prompt_tokens":9,"total_tokens":9})"));
  ASSERT_EQ(harness.script.embedding_requests.size(), 1U);
  EXPECT_TRUE(harness.script.embedding_requests[0].ranks);
  ASSERT_EQ(harness.observer.records.size(), 1U);
  EXPECT_EQ(harness.observer.records[0].usage.prompt_tokens, 9);
}

TEST(Frontend, TakesTheScoresOfABackendThatRanks) {
  Harness harness;
  harness.script.embedding = gateway::EmbeddingResult{{}, 9, {0.1, 0.8}};
  harness.run(make_request("POST", "/rerank", R"({"query": "q", "documents": ["a", "b"]})"));
  EXPECT_THAT(harness.responder.text(),
              HasSubstr(R"("results":[{"index":1,"relevance_score":0.8},{"index":0,)"));
}

TEST(Frontend, CancelsAnEmbeddingWhoseClientLeaves) {
  Harness harness;
  harness.script.on_wait = [&harness] { harness.responder.gone(); };
  harness.run(make_request("POST", "/v1/embeddings", R"({"input": "Hi"})"));
  EXPECT_EQ(harness.script.cancelled, 1);
  EXPECT_FALSE(harness.responder.gone) << "the callback must not outlive the call";
  ASSERT_EQ(harness.observer.records.size(), 1u);
  EXPECT_EQ(harness.observer.records[0].status, 499);
}

TEST(Frontend, GivesTokensAndTheirText) {
  Harness harness;
  harness.script.tokens = gateway::TokenizeResult{{0, 7}, "", 64};
  harness.run(make_request("POST", "/v1/tokenize", R"({"prompt": "Hi"})"));
  EXPECT_EQ(harness.responder.text(), R"({"count":2,"max_model_len":64,"tokens":[0,7]})");
  harness.script.tokens = gateway::TokenizeResult{{}, "a\xFF", 64};
  harness.run(make_request("POST", "/detokenize", R"({"tokens": [0, 7]})"));
  EXPECT_EQ(harness.responder.text(), "{\"prompt\":\"a\uFFFD\"}");
  harness.script.tokens.reset();
  harness.run(make_request("POST", "/v1/tokenize", R"({"prompt": "Hi"})"));
  EXPECT_EQ(harness.responder.head.status, 400);
  EXPECT_THAT(harness.responder.text(), HasSubstr("does not tell its tokens"));
}

TEST(Frontend, TellsTheBalanceOfTheKey) {
  Harness harness;
  harness.run(make_request("GET", "/user/balance", ""));
  EXPECT_EQ(harness.responder.text(), R"({"is_available":true,"balance_infos":[]})");
}

TEST(Frontend, PassesOnWhyNothingCanBeEmbedded) {
  Harness harness;
  harness.script.embedding = base::make_error(base::ErrorCode::invalid_request, "not allowed");
  harness.run(make_request("POST", "/embeddings", R"({"input": "Hi"})"));
  EXPECT_EQ(harness.responder.head.status, 400);
  EXPECT_THAT(harness.responder.text(), HasSubstr("not allowed"));
}

TEST(Frontend, ListsModelsAndAliases) {
  Harness harness;
  harness.run(make_request("GET", "/v1/models"));
  EXPECT_THAT(harness.responder.text(), HasSubstr("\"tiny\""));
  EXPECT_THAT(harness.responder.text(), HasSubstr("vendor/tiny"));
  Harness one;
  one.run(make_request("GET", "/v1/models/vendor%2Ftiny"));
  EXPECT_EQ(one.responder.head.status, 200);
  EXPECT_THAT(one.responder.text(), HasSubstr("vendor/tiny"));
  Harness none;
  none.run(make_request("GET", "/models/absent"));
  EXPECT_EQ(none.responder.head.status, 404);
  EXPECT_THAT(none.responder.text(), HasSubstr("model_not_found"));
  EXPECT_THAT(none.responder.text(), HasSubstr("absent"));
}

TEST(Frontend, TakesTheModelFromBodyThenHeaderThenDefault) {
  Harness header;
  header.script.steps = {std::vector{finished()}};
  auto request = make_request("POST", "/v1/chat/completions", hello);
  request.fields.add("DeepSeek-Model", "vendor/tiny");
  header.run(request);
  ASSERT_EQ(header.script.requests.size(), 1u);
  EXPECT_EQ(header.script.requests[0].model, "tiny");
  Harness unknown;
  request = make_request("POST", "/v1/chat/completions", hello);
  request.fields.add("DeepSeek-Model", "absent");
  unknown.run(request);
  EXPECT_EQ(unknown.responder.head.status, 404);
  EXPECT_TRUE(unknown.script.requests.empty());
}

TEST(Frontend, GivesTheRequestIdBack) {
  Harness harness;
  auto request = make_request("GET", "/health");
  request.fields.add("x-request-id", "trace-1");
  harness.run(request);
  EXPECT_EQ(harness.responder.field("X-Request-Id"), "trace-1");
  Harness made;
  request = make_request("GET", "/health");
  request.fields.add("x-request-id", "a b");
  made.run(request);
  EXPECT_THAT(made.responder.field("X-Request-Id"), ::testing::StartsWith("req_"));
}

TEST(Frontend, RefusesHeads) {
  struct Row {
    const char* method;
    const char* target;
    const char* type;
    int status;
    const char* code;
  };
  for (const Row& row :
       {Row{"GET", "/nothing", "", 404, "not_found"}, Row{"POST", "/", "", 404, "not_found"},
        Row{"GET", "/v1/completions", "", 405, "method_not_allowed"},
        Row{"POST", "/v1/completions", "text/html", 415, "unsupported_media_type"}}) {
    Harness harness;
    auto request = make_request(row.method, row.target);
    if (*row.type != 0) request.fields.add("Content-Type", row.type);
    harness.run(request);
    EXPECT_EQ(harness.responder.head.status, row.status) << row.target;
    EXPECT_THAT(harness.responder.text(), HasSubstr(row.code));
    EXPECT_EQ(harness.responder.field("Allow"), row.status == 405 ? "POST" : "<absent>");
    ASSERT_EQ(harness.observer.records.size(), 1u);
    EXPECT_EQ(harness.observer.records[0].status, row.status);
  }
}

TEST(Frontend, NamesTheLimitInARefusal) {
  Harness harness;
  const io::HttpRefusal refusal{
      base::make_error(base::ErrorCode::payload_too_large, "the body is too large"),
      "http.body_max"};
  auto response = harness.frontend->refuse(refusal, {});
  EXPECT_EQ(response.status, 413);
  EXPECT_THAT(response.body, HasSubstr("http.body_max"));
}

TEST(Frontend, TakesSmallBodiesWhereNoneIsNeeded) {
  Harness harness;
  EXPECT_EQ(harness.frontend->accept_head(make_request("GET", "/health")).value(), 64u << 10);
  EXPECT_EQ(harness.frontend->accept_head(make_request("POST", "/generate")).value(), 16u << 20);
}

TEST(Frontend, RefusesBodies) {
  for (const char* body : {"", "{", "[1]", R"({"messages": []})", R"({"messages": 5})"}) {
    Harness harness;
    harness.run(make_request("POST", "/v1/chat/completions", body));
    EXPECT_EQ(harness.responder.head.status, 400) << body;
    EXPECT_THAT(harness.responder.text(), HasSubstr("invalid_request_error")) << body;
    EXPECT_TRUE(harness.script.requests.empty());
  }
}

TEST(Frontend, PassesOnEarlyErrorsOfStreamsWithTheirStatus) {
  using enum base::ErrorCode;
  for (const auto& [code, status] :
       {std::pair{queue_full, 429}, std::pair{unavailable, 503}, std::pair{context_length, 400},
        std::pair{upstream_failed, 502}}) {
    Harness harness;
    auto error = base::make_error(code, "words");
    if (code == queue_full) error.retry_after = std::chrono::milliseconds(1500);
    harness.script.steps = {std::vector<protocol::Event>{protocol::Started{}}, error};
    harness.run(
        make_request("POST", "/v1/chat/completions",
                     R"({"stream": true, "messages": [{"role": "user", "content": "Hi"}]})"));
    EXPECT_EQ(harness.responder.head.status, status);
    EXPECT_THAT(harness.responder.text(), HasSubstr("words"));
    EXPECT_EQ(harness.responder.field("Content-Type"), "application/json; charset=utf-8");
    if (code == queue_full) {
      EXPECT_EQ(harness.responder.field("Retry-After"), "2");
      EXPECT_EQ(harness.responder.field("Retry-After-Ms"), "1500");
    }
  }
}

TEST(Frontend, SaysSoWhenItMadeAMistake) {
  Harness harness;
  harness.script.steps = {testing::Throw{}};
  harness.run(make_request("POST", "/v1/chat/completions", hello));
  EXPECT_EQ(harness.responder.head.status, 500);
  EXPECT_THAT(harness.responder.text(), HasSubstr("internal_error"));
  EXPECT_THAT(harness.responder.text(), Not(HasSubstr("a mistake\"")));
  ASSERT_EQ(harness.observer.records.size(), 1u);
  EXPECT_EQ(harness.observer.records[0].status, 500);
}

TEST(Frontend, KeepsItsSnapshotDuringAReload) {
  Harness harness;
  harness.script.steps = {testing::Wait{}, std::vector{delta("Hello")}, std::vector{finished()}};
  harness.script.on_wait = [&harness] {
    auto other = std::make_shared<Snapshot>(harness.snapshot);
    other->gateway = std::make_shared<gateway::Gateway>(gateway::Gateway::Options{});
    harness.snapshot.gateway.reset();
    harness.frontend->replace(other);
    harness.script.resume();
  };
  harness.run(make_request("POST", "/v1/chat/completions", hello));
  EXPECT_EQ(harness.responder.head.status, 200);
  EXPECT_THAT(harness.responder.text(), HasSubstr("Hello"));
}

TEST(Pages, SayHowTheModelsAre) {
  Harness ready;
  ready.run(make_request("GET", "/ready"));
  EXPECT_EQ(ready.responder.head.status, 200);
  EXPECT_THAT(ready.responder.text(), HasSubstr(R"("status": "ready")"));
  Harness loading;
  loading.script.status = {gateway::BackendState::loading, "loading the model, 43 %", 0.43, 0, 1};
  loading.run(make_request("GET", "/ready"));
  EXPECT_EQ(loading.responder.head.status, 503);
  EXPECT_EQ(loading.responder.field("Retry-After"), "1");
  EXPECT_THAT(loading.responder.text(), HasSubstr(R"("status": "loading")"));
  EXPECT_THAT(loading.responder.text(), HasSubstr("43 %"));
  EXPECT_THAT(loading.responder.text(), HasSubstr(R"("progress": 0.43)"));
  loading.run(make_request("GET", "/health"));
  EXPECT_EQ(loading.responder.head.status, 200);
  EXPECT_THAT(loading.responder.text(), HasSubstr(R"("status": "ok")"));
  EXPECT_THAT(loading.responder.text(), HasSubstr("1.2.3"));
  ready.frontend->set_draining();
  ready.run(make_request("GET", "/ready"));
  EXPECT_EQ(ready.responder.head.status, 503);
  EXPECT_THAT(ready.responder.text(), HasSubstr("draining"));
}

TEST(Pages, TheRootListsTheEndpoints) {
  Harness harness;
  harness.run(make_request("GET", "/"));
  EXPECT_EQ(harness.responder.head.status, 200);
  for (const EndpointRow& row : endpoint_table()) {
    EXPECT_THAT(harness.responder.text(), HasSubstr(std::string(row.path)));
  }
}

}  // namespace
}  // namespace deepseek::frontend
