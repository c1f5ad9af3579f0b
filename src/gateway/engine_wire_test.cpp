#include "gateway/engine_wire.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using base::ErrorCode;

protocol::Request completion(std::vector<protocol::Prompt> prompts, std::int32_t choices) {
  protocol::Request request;
  request.operation = protocol::Operation::completion;
  request.prompts = std::move(prompts);
  request.choices = choices;
  request.id = "req-1";
  return request;
}

TEST(EngineWire, FragmentationIsTheShareOfCellsLookedAtForNothing) {
  wire::EngineLoad told;
  EXPECT_EQ(fragmentation(to_load(told)), 0) << "not known";
  told.set_kv_cells_taken(75);
  told.set_kv_cells_span(100);
  EXPECT_DOUBLE_EQ(fragmentation(to_load(told)), 0.25);
  told.set_kv_cells_span(75);
  EXPECT_EQ(fragmentation(to_load(told)), 0);
}

TEST(EngineWire, AnAdaptersNameIsToldToTheEngine) {
  EngineBackendOptions options;
  options.command.adapters = {{"legal", "/legal.gguf"}};
  protocol::Request request = completion({std::string("a")}, 1);
  request.model = "base";
  EXPECT_EQ(make_submits(request, options)[0].adapter(), "");
  request.model = "legal";
  EXPECT_EQ(make_submits(request, options)[0].adapter(), "legal");
}

TEST(EngineWire, OneSubmitPerPromptAndChoice) {
  protocol::Request request = completion({std::string("a"), protocol::TokenIds{5, 6}}, 2);
  request.sampling.seed = 10;
  request.tokens_max = 7;
  request.stop = {"x"};
  request.logprobs = 3;
  request.user = "u";
  EngineBackendOptions options;
  options.stream_credits = 9;
  const auto submits = make_submits(request, options);
  ASSERT_EQ(submits.size(), 4u);
  EXPECT_EQ(submits[0].text(), "a");
  EXPECT_EQ(submits[1].text(), "a");
  EXPECT_EQ(submits[2].tokens().ids_size(), 2);
  EXPECT_TRUE(submits[0].count_prompt());
  EXPECT_FALSE(submits[1].count_prompt());
  EXPECT_TRUE(submits[2].count_prompt());
  EXPECT_EQ(submits[0].sampling().seed(), 10u);
  EXPECT_EQ(submits[1].sampling().seed(), 11u) << "or both choices would be the same";
  EXPECT_EQ(submits[0].tokens_max(), 7);
  EXPECT_EQ(submits[0].stop(0), "x");
  EXPECT_EQ(submits[0].logprobs(), 3);
  EXPECT_EQ(submits[0].credits(), 9);
  EXPECT_EQ(submits[0].user_id(), "u");
  EXPECT_EQ(submits[0].request_id(), "req-1");
}

TEST(EngineWire, ChatKeepsRolesAndPrefix) {
  protocol::Request request;
  request.messages.push_back({protocol::Role::user, {protocol::TextPart{"Hi"}}, {}, {}, {}, {}});
  request.messages.push_back(
      {protocol::Role::assistant, {protocol::TextPart{"Hel"}}, {}, {}, {}, {}});
  request.messages.back().prefix = true;
  const auto submits = make_submits(request, {});
  ASSERT_EQ(submits.size(), 1u);
  const wire::Chat& chat = submits[0].chat();
  EXPECT_EQ(chat.messages(0).role(), "user");
  EXPECT_EQ(chat.messages(1).content(), "Hel");
  EXPECT_TRUE(chat.continue_final_message());
  EXPECT_FALSE(submits[0].sampling().has_temperature());
}

TEST(EngineWire, FingerprintIsOfTheWorkAlone) {
  const auto of = [](const char* text, const char* id) {
    protocol::Request request = completion({std::string(text)}, 1);
    request.id = id;
    request.sampling.logit_bias = {{1, 2}, {3, 4}, {5, 6}};
    auto submits = make_submits(request, {});
    submits[0].set_request(static_cast<std::uint64_t>(id[0]));
    return fingerprint(submits[0]);
  };
  EXPECT_EQ(of("a", "x"), of("a", "y"));
  EXPECT_NE(of("a", "x"), of("b", "x"));
}

TEST(EngineWire, WhatWasSpokenGoesToALoneSequence) {
  protocol::Request request = completion({std::string("a")}, 1);
  request.tokens_max = 9;
  const protocol::Spoken spoken{"text", "thought", {4, 5}, 2};
  const auto submits = make_submits(request, {}, &spoken);
  ASSERT_EQ(submits.size(), 1u);
  const wire::Resume& resume = submits[0].resume();
  EXPECT_EQ(resume.content(), "text");
  EXPECT_EQ(resume.reasoning(), "thought");
  EXPECT_EQ(std::vector<std::int32_t>(resume.token_ids().begin(), resume.token_ids().end()),
            (std::vector<std::int32_t>{4, 5}));
  EXPECT_EQ(submits[0].tokens_max(), 9) << "the engine counts the spoken tokens itself";
  EXPECT_EQ(submits[0].text(), "a");
  const protocol::Spoken nothing;
  EXPECT_FALSE(make_submits(request, {}, &nothing)[0].has_resume());
  EXPECT_FALSE(make_submits(request, {})[0].has_resume());
  for (const wire::Submit& submit : make_submits(completion({std::string("a")}, 2), {}, &spoken)) {
    EXPECT_FALSE(submit.has_resume());
  }
}

TEST(EngineWire, AResumedRequestHasTheFingerprintOfTheWhole) {
  const protocol::Request request = completion({std::string("a")}, 1);
  const protocol::Spoken some{"te", "", {4}, 1};
  const protocol::Spoken more{"text", "", {}, 2};
  const auto of = [&request](const protocol::Spoken* spoken) {
    return fingerprint(make_submits(request, {}, spoken).front());
  };
  EXPECT_EQ(of(&some), of(nullptr));
  EXPECT_EQ(of(&more), of(nullptr));
}

TEST(EngineWire, ImagesStandBetweenTexts) {
  protocol::Request request;
  protocol::Message& said = request.messages.emplace_back();
  said.content = {protocol::TextPart{"this"}, protocol::ImagePart{"data:1"},
                  protocol::TextPart{"or"}, protocol::ImagePart{"data:2"}};
  request.messages.emplace_back().content = {protocol::TextPart{"one"}};
  const ImageFiles images{{"first", "a", 1}, {"second", "b", 2}};
  auto submits = make_submits(request, {}, nullptr, images);
  const wire::ChatMessage& told = submits[0].chat().messages(0);
  ASSERT_EQ(told.parts_size(), 4);
  EXPECT_EQ(told.content(), "");
  EXPECT_EQ(told.parts(0).text(), "this");
  EXPECT_EQ(told.parts(1).image().file(), "first");
  EXPECT_EQ(told.parts(1).image().param(), "a");
  EXPECT_EQ(told.parts(3).image().file(), "second");
  EXPECT_EQ(submits[0].chat().messages(1).content(), "one");
  EXPECT_EQ(make_submits(request, {})[0].chat().messages(0).content(), "thisor");

  const std::uint64_t whole = fingerprint(submits[0], images);
  EXPECT_EQ(told.parts(3).image().file(), "second") << "it is put back";
  const ImageFiles others{{"first", "a", 1}, {"other", "b", 3}};
  EXPECT_NE(fingerprint(make_submits(request, {}, nullptr, others).front(), others), whole);
  EXPECT_EQ(fingerprint(make_submits(request, {}, nullptr, images).front(), images), whole);
}

TEST(EngineWire, ToolsAndConstraintsReachTheEngine) {
  protocol::Request request;
  protocol::Message& said = request.messages.emplace_back();
  said.role = protocol::Role::assistant;
  said.tool_calls.push_back({"call_1", "f", "{}"});
  request.tools.push_back({"f", "adds", R"({"type":"object"})", true});
  request.tool_choice = {protocol::ToolChoice::Kind::named, "f"};
  request.parallel_tool_calls = false;
  request.reasoning_effort = "xhigh";
  request.constraint = {protocol::Constraint::Kind::choice, {}, {"a", "b"}, "choice"};
  const wire::Submit submit = make_submits(request, {}, nullptr).at(0);
  EXPECT_EQ(submit.chat().messages(0).tool_calls(0).id(), "call_1");
  EXPECT_EQ(submit.chat().tools(0).parameters(), R"({"type":"object"})");
  EXPECT_TRUE(submit.chat().tools(0).strict());
  EXPECT_EQ(submit.chat().tool_choice(), wire::NAMED);
  EXPECT_EQ(submit.chat().tool_name(), "f");
  EXPECT_FALSE(submit.chat().parallel_tool_calls());
  EXPECT_EQ(submit.chat().reasoning_effort(), "high");
  EXPECT_EQ(submit.constraint().choice().texts_size(), 2);
  EXPECT_EQ(submit.constraint().param(), "choice");
}

TEST(EngineWire, ASuffixAsksForWhatStandsBetween) {
  protocol::Request request;
  request.operation = protocol::Operation::completion;
  request.prompts = {std::string("a ")};
  request.suffix = " c";
  const wire::Submit submit = make_submits(request, {}, nullptr).at(0);
  EXPECT_EQ(submit.infill().prefix(), "a ");
  EXPECT_EQ(submit.infill().suffix(), " c");
}

TEST(EngineWire, FailuresKeepCodeParamAndTime) {
  wire::Failed failed;
  failed.set_code(wire::Failed::CONTEXT_LENGTH);
  failed.set_message("9000 tokens, 8192 fit");
  failed.set_param("messages");
  base::Error error = to_error(failed, "m");
  EXPECT_EQ(error.code, ErrorCode::context_length);
  EXPECT_EQ(error.message, "9000 tokens, 8192 fit");
  EXPECT_EQ(error.param, "messages");
  EXPECT_EQ(error.retry_after, std::nullopt);
  failed.set_code(wire::Failed::QUEUE_FULL);
  failed.set_retry_after_ms(2500);
  error = to_error(failed, "m");
  EXPECT_EQ(error.code, ErrorCode::queue_full);
  EXPECT_EQ(error.retry_after, std::chrono::milliseconds(2500));
  failed.set_code(wire::Failed::CANCELLED);
  EXPECT_EQ(to_error(failed, "m").code, ErrorCode::unavailable);
}

TEST(EngineWire, EventsCarryEverything) {
  wire::SequenceEvent event;
  wire::Delta& delta = *event.mutable_delta();
  delta.set_content("é");
  delta.add_token_ids(7);
  wire::TokenLogprob& logprob = *delta.add_logprobs();
  logprob.set_token_id(7);
  logprob.set_text("\xC3");
  logprob.add_alternatives()->set_token_id(8);
  const auto told = std::get<protocol::Delta>(to_event(std::move(event), 3));
  EXPECT_EQ(told.sequence, 3);
  EXPECT_EQ(told.content, "é");
  EXPECT_EQ(told.token_ids, (std::vector<std::int32_t>{7}));
  EXPECT_EQ(told.logprobs.at(0).bytes, "\xC3");
  EXPECT_EQ(told.logprobs.at(0).alternatives.at(0).token_id, 8);
  wire::SequenceEvent call;
  call.mutable_tool_call()->set_index(1);
  call.mutable_tool_call()->set_name("f");
  call.mutable_tool_call()->set_arguments("{");
  const auto called = std::get<protocol::ToolCallDelta>(to_event(std::move(call), 2));
  EXPECT_EQ(called.sequence, 2);
  EXPECT_EQ(called.index, 1);
  EXPECT_EQ(called.name, "f");
  EXPECT_EQ(called.arguments, "{");
  wire::SequenceEvent last;
  last.mutable_finished()->set_reason(wire::Finished::LENGTH);
  last.mutable_finished()->set_completion_tokens(4);
  last.mutable_finished()->set_cached_tokens(2);
  last.mutable_finished()->set_decode_ms(1.5);
  const auto finished = std::get<protocol::Finished>(to_event(std::move(last), 0));
  EXPECT_EQ(finished.reason, protocol::FinishReason::length);
  EXPECT_EQ(finished.usage.completion_tokens, 4);
  EXPECT_EQ(finished.usage.prompt_cache_hit_tokens, 2);
  EXPECT_EQ(finished.timings.decode_ms, 1.5);
}

}  // namespace
}  // namespace deepseek::gateway
