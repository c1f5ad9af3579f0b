#include "gateway/answer_progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using protocol::Delta;
using protocol::Event;
using protocol::Finished;
using protocol::Restarted;
using protocol::Resumed;
using protocol::Started;
using protocol::Verbatim;
using Events = std::vector<Event>;

constexpr std::size_t bytes_max = 1000;

Event delta(std::string text, std::vector<std::int32_t> ids = {}) {
  Delta delta;
  delta.content = std::move(text);
  delta.token_ids = std::move(ids);
  return delta;
}

Event finished(std::int64_t prompt, std::int64_t completion) {
  Finished finished;
  finished.usage.prompt_tokens = prompt;
  finished.usage.completion_tokens = completion;
  return finished;
}

Event frames(std::string text) {
  Verbatim verbatim;
  verbatim.bytes =
      "data: {\"id\":\"chatcmpl-1\",\"model\":\"m-2\",\"created\":7,\"choices\":[]}\n\n";
  verbatim.content = std::move(text);
  verbatim.deltas = 1;
  return verbatim;
}

protocol::Request streamed() {
  protocol::Request request;
  request.stream = true;
  return request;
}

TEST(AnswerProgress, KeepsTextAndIdsOfAnEngine) {
  const protocol::Request request = streamed();
  AnswerProgress progress(request, bytes_max);
  progress.begin_leg(0);
  Events events{Started{}, delta("Hel", {1, 2}), delta("lo", {3})};
  progress.take(events);
  EXPECT_EQ(events.size(), 3u);
  EXPECT_EQ(progress.text().content, "Hello");
  EXPECT_THAT(progress.text().token_ids, ::testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(progress.text().tokens, 3);
  EXPECT_TRUE(progress.spoken());
  EXPECT_EQ(progress.cannot_continue(), "");
}

TEST(AnswerProgress, IdsOfAPartAreOfNoUse) {
  const protocol::Request request = streamed();
  AnswerProgress progress(request, bytes_max);
  progress.begin_leg(0);
  Events events{delta("Hel")};
  progress.take(events);
  progress.end_leg({});
  progress.begin_leg(0);
  events = {delta("lo", {3})};
  progress.take(events);
  EXPECT_EQ(progress.text().content, "Hello");
  EXPECT_TRUE(progress.text().token_ids.empty());
}

TEST(AnswerProgress, ASecondLegIsTheSameAnswer) {
  const protocol::Request request = streamed();
  AnswerProgress progress(request, bytes_max);
  progress.begin_leg(0);
  Events events{Started{}, delta("a", {1})};
  progress.take(events);
  protocol::Usage cost;
  cost.prompt_tokens = 5;
  cost.completion_tokens = 1;
  progress.end_leg(cost);
  progress.begin_leg(0);
  events = {Started{}, delta("b", {2}), finished(6, 1)};
  progress.take(events);
  ASSERT_EQ(events.size(), 2u) << "the answer starts once";
  EXPECT_EQ(std::get<Delta>(events[0]).content, "b");
  EXPECT_EQ(std::get<Finished>(events[1]).usage.prompt_tokens, 11);
  EXPECT_EQ(std::get<Finished>(events[1]).usage.completion_tokens, 2);
  EXPECT_TRUE(progress.finished());
}

TEST(AnswerProgress, FramesOfBlocksGoOnInTheOneThatIsOpen) {
  using Open = protocol::MessageBlocks::Open;
  const protocol::Request request = streamed();
  AnswerProgress progress(request, bytes_max);
  progress.begin_leg(0);
  protocol::Verbatim first;
  first.bytes = "event: message_start\ndata: {}\n\n";
  first.head = Resumed{"msg_1", "claude"};
  protocol::Verbatim second;
  second.content = "a";
  second.blocks = {3, Open::text};
  Events events{first, second};
  progress.take(events);
  progress.end_leg({});
  progress.begin_leg(1);
  events = {Started{}, delta("b")};
  progress.take(events);
  ASSERT_EQ(events.size(), 2u);
  const auto& head = std::get<Resumed>(events[0]);
  EXPECT_EQ(head.id, "msg_1");
  EXPECT_EQ(head.model, "claude");
  EXPECT_EQ(head.blocks, (protocol::MessageBlocks{3, Open::text}));
}

TEST(AnswerProgress, FramesGoOnAsEventsWithTheirHead) {
  const protocol::Request request = streamed();
  AnswerProgress progress(request, bytes_max);
  progress.begin_leg(0);
  Events events{frames("a")};
  progress.take(events);
  progress.end_leg({});
  progress.begin_leg(0);
  events = {Started{}, delta("b")};
  progress.take(events);
  ASSERT_EQ(events.size(), 2u);
  const auto& head = std::get<Resumed>(events[0]);
  EXPECT_EQ(head.id, "chatcmpl-1");
  EXPECT_EQ(head.model, "m-2");
  EXPECT_EQ(head.created, 7);
  events = {delta("c")};
  progress.take(events);
  EXPECT_EQ(events.size(), 1u) << "the head is told once";
  EXPECT_EQ(progress.text().content, "abc");
}

TEST(AnswerProgress, WhatCannotBeContinuedIsKnownBeforeItBreaks) {
  protocol::Request request = streamed();
  request.choices = 2;
  EXPECT_NE(AnswerProgress(request, bytes_max).cannot_continue(), "");
  request = streamed();
  request.logprobs = 0;
  EXPECT_NE(AnswerProgress(request, bytes_max).cannot_continue(), "");
  request = streamed();
  request.features = {{protocol::Feature::response_format, "response_format"}};
  EXPECT_NE(AnswerProgress(request, bytes_max).cannot_continue(), "");
  request = streamed();
  request.features = {{protocol::Feature::tools, "tools"}};
  AnswerProgress progress(request, bytes_max);
  EXPECT_EQ(progress.cannot_continue(), "") << "tools alone do not matter, a call does";
  progress.begin_leg(0);
  Events events{protocol::ToolCallDelta{}};
  progress.take(events);
  EXPECT_NE(progress.cannot_continue(), "");
}

TEST(AnswerProgress, ALongTextIsNotKept) {
  const protocol::Request request = streamed();
  AnswerProgress progress(request, 10);
  progress.begin_leg(0);
  Events events{delta("0123456789")};
  progress.take(events);
  EXPECT_EQ(progress.cannot_continue(), "");
  events = {delta("x")};
  progress.take(events);
  EXPECT_NE(progress.cannot_continue(), "");
  EXPECT_TRUE(progress.text().content.empty());
  EXPECT_TRUE(progress.spoken());
}

TEST(AnswerProgress, AWholeAnswerCanBeginAnew) {
  protocol::Request request;
  request.choices = 2;
  AnswerProgress progress(request, bytes_max);
  progress.begin_leg(0);
  Events events{delta("a"), finished(1, 1)};
  progress.take(events);
  progress.restart();
  EXPECT_FALSE(progress.spoken());
  progress.begin_leg(0);
  Finished second = std::get<Finished>(finished(1, 2));
  second.sequence = 1;
  events = {delta("b"), finished(1, 2), second};
  progress.take(events);
  EXPECT_TRUE(std::holds_alternative<Restarted>(events[0]));
  EXPECT_TRUE(progress.finished());
}

TEST(AnswerProgress, TokenIdsAreNothingToAnotherModel) {
  protocol::Request request;
  AnswerProgress progress(request, bytes_max);
  const auto with_ids = [](std::string text, std::vector<std::int32_t> ids) {
    protocol::Delta delta;
    delta.content = std::move(text);
    delta.token_ids = std::move(ids);
    return Events{delta};
  };
  progress.begin_leg(0);
  Events events = with_ids("Once", {5, 6});
  progress.take(events);
  progress.end_leg({});
  progress.begin_leg(0);
  EXPECT_EQ(progress.text().token_ids.size(), 2u) << "the same engine, after its restart";
  progress.begin_leg(1);
  EXPECT_TRUE(progress.text().token_ids.empty());
  EXPECT_EQ(progress.text().tokens, 2) << "still counted";
  events = with_ids(" upon", {7});
  progress.take(events);
  EXPECT_TRUE(progress.text().token_ids.empty()) << "they would not stand for all of the text";
  EXPECT_EQ(progress.text().content, "Once upon");
}

}  // namespace
}  // namespace deepseek::gateway
