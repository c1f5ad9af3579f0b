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
using testing::Wait;

constexpr std::string_view keep_alive = ": keep-alive\n\n";

io::HttpRequest streamed() {
  return make_request("POST", "/v1/chat/completions",
                      R"({"stream": true, "messages": [{"role": "user", "content": "Hi"}]})");
}
io::HttpRequest whole() {
  return make_request("POST", "/v1/chat/completions",
                      R"({"messages": [{"role": "user", "content": "Hi"}]})");
}

TEST(AnswerSession, WritesOnePieceForTheEventsOfOneRead) {
  Harness harness;
  harness.script.steps = {std::vector{delta("a"), delta("b")}, std::vector{delta("c")},
                          std::vector{finished()}};
  harness.run(streamed());
  ASSERT_EQ(harness.responder.pieces.size(), 4u);
  EXPECT_THAT(harness.responder.pieces[0], HasSubstr("\"a\""));
  EXPECT_THAT(harness.responder.pieces[0], HasSubstr("\"b\""));
  EXPECT_THAT(harness.responder.pieces[1], HasSubstr("\"c\""));
  EXPECT_THAT(harness.responder.pieces[2], HasSubstr("\"stop\""));
  EXPECT_EQ(harness.responder.pieces[3], "data: [DONE]\n\n");
  EXPECT_EQ(harness.responder.field("Cache-Control"), "no-cache");
  EXPECT_EQ(harness.responder.field("X-Accel-Buffering"), "no");
}

TEST(AnswerSession, CommentsWhileItWaits) {
  Harness harness;
  harness.snapshot.keep_alive_comment = std::chrono::milliseconds(1);
  harness.rebuild();
  harness.script.steps = {Wait{}, std::vector{delta("late")}, std::vector{finished()}};
  harness.responder.on_piece = [&harness](const std::string& piece) {
    if (piece == keep_alive && harness.responder.pieces.size() == 3) harness.script.resume();
  };
  harness.run(streamed());
  ASSERT_GE(harness.responder.pieces.size(), 6u);
  for (std::size_t at = 0; at < 3; ++at) EXPECT_EQ(harness.responder.pieces[at], keep_alive);
  EXPECT_THAT(harness.responder.text(), HasSubstr("late"));
  EXPECT_TRUE(harness.responder.text().ends_with("data: [DONE]\n\n"));
}

TEST(AnswerSession, AnthropicsClientsGetPings) {
  Harness harness;
  harness.snapshot.keep_alive_comment = std::chrono::milliseconds(1);
  harness.rebuild();
  harness.script.steps = {Wait{}, std::vector{delta("late")}, std::vector{finished()}};
  harness.responder.on_piece = [&harness](const std::string& piece) {
    if (piece.starts_with("event: ping\n")) harness.script.resume();
  };
  harness.run(make_request(
      "POST", "/v1/messages",
      R"({"stream": true, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]})"));
  EXPECT_EQ(harness.responder.pieces[0], "event: ping\ndata: {\"type\": \"ping\"}\n\n");
  EXPECT_THAT(harness.responder.text(), HasSubstr("late"));
  EXPECT_THAT(harness.responder.text(), Not(HasSubstr(": keep-alive")));
}

TEST(AnswerSession, TellsAnErrorAsAFrameOnceACommentWasSent) {
  Harness harness;
  harness.snapshot.keep_alive_comment = std::chrono::milliseconds(1);
  harness.rebuild();
  harness.script.steps = {Wait{}, base::make_error(base::ErrorCode::unavailable, "gone")};
  harness.responder.on_piece = [&harness](const std::string& piece) {
    if (piece == keep_alive) harness.script.resume();
  };
  harness.run(streamed());
  EXPECT_EQ(harness.responder.head.status, 200);
  EXPECT_THAT(harness.responder.pieces.back(), HasSubstr("data: {\"error\""));
  EXPECT_THAT(harness.responder.text(), Not(HasSubstr("[DONE]")));
  EXPECT_TRUE(harness.responder.finished);
}

TEST(AnswerSession, AWholeAnswerThatIsLateSendsEmptyLines) {
  Harness harness;
  harness.snapshot.keep_alive_line = std::chrono::milliseconds(1);
  harness.rebuild();
  harness.script.steps = {Wait{}, std::vector{delta("late")}, std::vector{finished()}};
  harness.responder.on_piece = [&harness](const std::string& piece) {
    if (piece == "\n" && harness.responder.pieces.size() == 3) harness.script.resume();
  };
  harness.run(whole());
  const auto& pieces = harness.responder.pieces;
  ASSERT_GE(pieces.size(), 4u);
  for (std::size_t at = 0; at + 1 < pieces.size(); ++at) EXPECT_EQ(pieces[at], "\n");
  EXPECT_THAT(pieces.back(), HasSubstr("\"late\""));
  EXPECT_EQ(harness.responder.head.status, 200);
  EXPECT_EQ(harness.responder.field("Content-Type"), "application/json; charset=utf-8");
  EXPECT_TRUE(harness.responder.finished);
  EXPECT_EQ(harness.observer.records.at(0).status, 200);
}

TEST(AnswerSession, AWholeAnswerThatFailsBehindEmptyLinesHasNoEnd) {
  Harness harness;
  harness.snapshot.keep_alive_line = std::chrono::milliseconds(1);
  harness.rebuild();
  harness.script.steps = {Wait{}, base::make_error(base::ErrorCode::unavailable, "gone")};
  harness.responder.on_piece = [&harness](const std::string& piece) {
    if (piece == "\n") harness.script.resume();
  };
  harness.run(whole());
  EXPECT_THAT(harness.responder.pieces.back(), HasSubstr("{\"error\":"));
  EXPECT_FALSE(harness.responder.finished);
  EXPECT_EQ(harness.observer.records.at(0).status, 503);
}

TEST(AnswerSession, SendsNoCommentForAWholeAnswer) {
  Harness harness;
  harness.snapshot.keep_alive_comment = std::chrono::milliseconds(1);
  harness.rebuild();
  harness.script.steps = {std::vector{delta("a")}, std::vector{finished()}};
  harness.run(whole());
  EXPECT_TRUE(harness.responder.pieces.empty());
}

TEST(AnswerSession, TellsAFailureInTheMiddleAsAFrameWithoutDone) {
  Harness harness;
  harness.script.steps = {std::vector{delta("half")},
                          base::make_error(base::ErrorCode::upstream_failed, "the engine died")};
  harness.run(streamed());
  EXPECT_EQ(harness.responder.head.status, 200);
  EXPECT_THAT(harness.responder.pieces.back(), HasSubstr("the engine died"));
  EXPECT_THAT(harness.responder.pieces.back(), HasSubstr("server_error"));
  EXPECT_THAT(harness.responder.text(), Not(HasSubstr("[DONE]")));
  ASSERT_EQ(harness.observer.records.size(), 1u);
  EXPECT_EQ(harness.observer.records[0].status, 502);
  EXPECT_EQ(harness.observer.records[0].tokens_seen, 1);
}

TEST(AnswerSession, TellsAFailureOfAWholeAnswerWithItsStatus) {
  Harness harness;
  harness.script.steps = {std::vector{delta("half")},
                          base::make_error(base::ErrorCode::upstream_failed, "the engine died")};
  harness.run(whole());
  EXPECT_EQ(harness.responder.head.status, 502);
  EXPECT_THAT(harness.responder.text(), Not(HasSubstr("half")));
}

TEST(AnswerSession, CancelsWhenTheClientLeaves) {
  for (const bool stream : {true, false}) {
    Harness harness;
    harness.script.steps = {std::vector{delta("a")}, Wait{}, std::vector{finished()}};
    harness.script.on_wait = [&harness] { harness.responder.gone(); };
    harness.run(stream ? streamed() : whole());
    EXPECT_EQ(harness.script.cancelled, 1);
    EXPECT_FALSE(harness.responder.finished);
    EXPECT_FALSE(harness.responder.gone) << "the callback must not outlive the answer";
    ASSERT_EQ(harness.observer.records.size(), 1u);
    EXPECT_EQ(harness.observer.records[0].status, 499);
  }
}

TEST(AnswerSession, CancelsWhenTheClientTakesNoMore) {
  Harness harness;
  harness.script.steps = {std::vector{delta("a")}, std::vector{delta("b")}, Wait{}};
  harness.responder.pieces_until_gone = 1;
  harness.run(streamed());
  EXPECT_EQ(harness.script.cancelled, 1);
  EXPECT_EQ(harness.responder.pieces.size(), 1u);
  ASSERT_EQ(harness.observer.records.size(), 1u);
  EXPECT_EQ(harness.observer.records[0].status, 499);
}

TEST(AnswerSession, CancelsWhenAClientThatOnlyGetsCommentsLeaves) {
  Harness harness;
  harness.snapshot.keep_alive_comment = std::chrono::milliseconds(1);
  harness.rebuild();
  harness.script.steps = {Wait{}, std::vector{finished()}};
  harness.responder.pieces_until_gone = 2;
  harness.run(streamed());
  EXPECT_EQ(harness.script.cancelled, 1);
  EXPECT_EQ(harness.observer.records.size(), 1u);
}

TEST(AnswerSession, EndsAtItsDeadline) {
  for (const bool stream : {true, false}) {
    Harness harness;
    harness.snapshot.request_timeout = std::chrono::milliseconds(1);
    harness.rebuild();
    harness.script.steps = {Wait{}, std::vector{finished()}};
    harness.run(stream ? streamed() : whole());
    EXPECT_EQ(harness.script.cancelled, 1);
    EXPECT_EQ(harness.responder.head.status, 504);
    EXPECT_THAT(harness.responder.text(), HasSubstr("network.rpc_timeout"));
  }
}

TEST(AnswerSession, CountsBeforeTheLastPieceIsWritten) {
  Harness harness;
  harness.script.steps = {std::vector{delta("a")}, std::vector{finished(7)}};
  bool counted = false;
  harness.responder.on_piece = [&](const std::string& piece) {
    if (piece.ends_with("data: [DONE]\n\n")) counted = !harness.observer.records.empty();
  };
  harness.run(streamed());
  EXPECT_TRUE(counted);
  EXPECT_EQ(harness.observer.records[0].usage.completion_tokens, 7);
}

TEST(AnswerSession, EndsItsCompanionWhenAReadThrows) {
  Harness harness;
  harness.script.steps = {std::vector{delta("a")}, testing::Throw{}};
  harness.run(streamed());
  EXPECT_FALSE(harness.responder.finished);
  EXPECT_EQ(harness.observer.records[0].status, 500);
}

}  // namespace
}  // namespace deepseek::frontend
