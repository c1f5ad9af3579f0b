#include "engine/engine_loop.hpp"

#include "engine/job_builder.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <algorithm>
#include <filesystem>
#include <map>
#include <thread>

namespace deepseek::engine {
namespace {

constexpr std::int32_t kVocabulary = 256;
constexpr Token kEnd = 0;

// Tokens are bytes; the answer counts on from the last token: "a" is followed by "b".
class FakeText final : public TextModel {
 public:
  base::Result<RenderedPrompt> render(const wire::Chat& chat) const override {
    RenderedPrompt prompt;
    for (const char c : chat.messages(0).content()) prompt.tokens.push_back(c);
    return prompt;
  }
  base::Result<std::vector<Token>> tokenize(std::string_view text, bool) const override {
    return std::vector<Token>(text.begin(), text.end());
  }
  base::Result<std::vector<Token>> infill(std::string_view prefix,
                                          std::string_view suffix) const override {
    return tokenize("<" + std::string(prefix) + "|" + std::string(suffix) + ">", false);
  }
  std::string piece(Token token, bool) const override {
    return std::string(1, static_cast<char>(token));
  }
  bool is_end(Token token) const override { return token == kEnd; }
  std::size_t longest_piece() const override { return 1; }
  std::int32_t vocabulary() const override { return kVocabulary; }
  ReasoningTags reasoning_tags() const override { return {}; }
  ToolFormat tool_format() const override { return ToolFormat::hermes; }
  base::Result<std::unique_ptr<TokenSampler>> make_sampler(const wire::Sampling&) const override {
    class Greedy final : public TokenSampler {
      Token sample(std::span<const float> logits) override {
        return static_cast<Token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
      }
      void replay(std::span<const Token>) override {}
    };
    return std::unique_ptr<TokenSampler>(std::make_unique<Greedy>());
  }
};

class FakeDecoder final : public Decoder {
 public:
  Outcome decode(std::span<const BatchSlice> slices) override {
    logits_.clear();
    for (const BatchSlice& slice : slices) {
      const auto size = static_cast<std::int32_t>(slice.tokens.size());
      if (hang_on > 0 && size >= hang_on) {  // A long prefill: only an interruption ends it.
        hanging.store(true);
        hanging.notify_all();
        while (!abort_.load()) std::this_thread::yield();
        return Outcome::aborted;
      }
      const auto drafted = static_cast<std::int32_t>(slice.draft.size());
      cells_[slice.slot] = slice.position + size + drafted;
      guesses += drafted;
      logits_.emplace_back();
      const auto outputs = static_cast<std::size_t>(slice.outputs);
      for (const Token token : slice.tokens.last(outputs)) {
        logits_.back().push_back(row_behind(token));
      }
      for (const Token token : slice.draft) logits_.back().push_back(row_behind(token));
    }
    return fails ? Outcome::failed : Outcome::done;
  }
  std::span<const float> logits(std::size_t index, std::size_t guess) override {
    return logits_[index].at(guess);
  }
  std::int32_t cells(std::int32_t slot) override { return cells_[slot]; }
  void clear(std::int32_t slot) override { cells_[slot] = 0; }
  void share(std::int32_t slot, std::int32_t, std::int32_t length) override {
    cells_[slot] = length;
  }
  std::string save(std::int32_t slot) override { return std::to_string(cells_[slot]); }
  bool restore(std::int32_t slot, std::string_view state) override {
    if (refuses_states) return false;
    ++restored;
    cells_[slot] = std::stoi(std::string(state));
    return true;
  }
  void keep(std::int32_t slot, std::int32_t cells) override { cells_[slot] = cells; }
  void slide(std::int32_t slot, std::int32_t, std::int32_t count) override {
    cells_[slot] -= count;
    ++slides;
  }
  std::atomic<bool>& abort_flag() override { return abort_; }

  std::int32_t hang_on = 0;
  bool fails = false;
  bool refuses_states = false;
  int restored = 0;
  int slides = 0;
  int guesses = 0;
  std::atomic<bool> hanging{false};

 private:
  // The alphabet goes on.
  static std::vector<float> row_behind(Token last) {
    std::vector<float> row(kVocabulary, 0);
    row[static_cast<std::size_t>(last == 'z' ? kEnd : last + 1)] = 1;
    return row;
  }

  std::map<std::int32_t, std::int32_t> cells_;
  std::vector<std::vector<std::vector<float>>> logits_;
  std::atomic<bool> abort_{false};
};

// The embedding of a text is its length; each step takes one token of the longest.
class FakeEmbedder final : public Embedder {
 public:
  std::int32_t dimensions() const override { return 1; }
  void start(std::vector<std::vector<Token>> inputs) override {
    inputs_ = std::move(inputs);
    left_ = 0;
    for (const auto& input : inputs_) left_ = std::max(left_, input.size());
    ++starts;
  }
  Progress step() override {
    if (on_step) on_step();
    return --left_ > 0 ? Progress::working : Progress::done;
  }
  std::vector<std::vector<float>> take() override {
    std::vector<std::vector<float>> lengths;
    for (const auto& input : inputs_) lengths.push_back({static_cast<float>(input.size())});
    return lengths;
  }

  std::function<void()> on_step;
  int starts = 0;

 private:
  std::vector<std::vector<Token>> inputs_;
  std::size_t left_ = 0;
};

// Knows the alphabet, too, but for the letter `x`.
class FakeDrafter final : public Drafter {
 public:
  Guesses guess(std::span<const Wish> wishes) override {
    Guesses guesses;
    for (const Wish& wish : wishes) {
      std::vector<Token>& tokens = guesses.tokens.emplace_back();
      for (Token next = wish.tokens.back() + 1; std::ssize(tokens) < wish.count; ++next) {
        tokens.push_back(next == 'x' ? 'a' : next);
      }
      guesses.rounds = std::max(guesses.rounds, wish.count);
      ++asked;
    }
    return guesses;
  }

  int asked = 0;
};

struct Told {
  std::map<SequenceId, std::string> text;
  std::map<SequenceId, wire::Delta> echo;
  std::map<SequenceId, wire::Finished> finished;
  std::map<SequenceId, wire::Failed> failed;
  std::vector<wire::FromEngine> others;

  void take(const wire::FromEngine& message) {
    if (!message.has_step()) others.push_back(message);
    for (const wire::SequenceEvent& event : message.step().events()) {
      if (event.has_delta()) text[event.request()] += event.delta().content();
      if (event.has_delta() && event.delta().echo()) echo[event.request()].MergeFrom(event.delta());
      if (event.has_finished()) finished[event.request()] = event.finished();
      if (event.has_failed()) failed[event.request()] = event.failed();
    }
  }
};

class EngineLoopTest : public testing::Test {
 protected:
  SubmitJob job(SequenceId id, const std::string& text, std::int32_t tokens_max = 0,
                std::vector<std::string> stops = {}) {
    wire::Submit submit;
    submit.set_request(id);
    submit.set_text(text);
    submit.set_tokens_max(tokens_max);
    submit.set_count_prompt(true);
    for (const std::string& stop : stops) submit.add_stop(stop);
    return std::move(build_job(submit, text_, JobLimits{}, base::now()).value());
  }

  FakeText text_;
  FakeDecoder decoder_;
  FakeEmbedder embedder_;
  Told told_;
  EngineLoop loop_{EngineLoop::Options{},
                   text_,
                   decoder_,
                   &embedder_,
                   [this](const wire::FromEngine& message) { told_.take(message); },
                   base::Logger()};
};

TEST_F(EngineLoopTest, AnswersSeveralAndShutsDownWhenTheyEnded) {
  loop_.post(job(1, "hello w"));
  loop_.post(job(2, "a", 3));
  loop_.post(job(3, "a", 0, {"ef"}));
  loop_.post(ShutdownJob{});
  loop_.run();
  EXPECT_EQ(told_.text[1], "xyz");
  EXPECT_EQ(told_.finished[1].reason(), wire::Finished::STOP);
  EXPECT_EQ(told_.finished[1].prompt_tokens(), 7);
  EXPECT_EQ(told_.finished[1].completion_tokens(), 4);
  EXPECT_EQ(told_.text[2], "bcd");
  EXPECT_EQ(told_.finished[2].reason(), wire::Finished::LENGTH);
  EXPECT_EQ(told_.text[3], "bcd");
  EXPECT_EQ(told_.finished[3].reason(), wire::Finished::STOP);
}

TEST_F(EngineLoopTest, TellsAPromptWithTheProbabilitiesOfItsTokens) {
  const auto asked = [&](SequenceId id, std::int32_t tokens_max, bool as_tokens) {
    wire::Submit submit;
    submit.set_request(id);
    std::string prompt;
    for (int i = 0; i < 200; ++i) prompt += "abx";
    if (as_tokens) {
      for (const char c : prompt) submit.mutable_tokens()->add_ids(c);
    } else {
      submit.set_text(prompt);
    }
    submit.set_tokens_max(tokens_max);
    submit.set_echo(true);
    submit.set_logprobs(1);
    loop_.post(std::move(build_job(submit, text_, JobLimits{}, base::now()).value()));
    return prompt;
  };
  const std::string prompt = asked(1, 2, false);
  asked(2, -1, true);
  loop_.post(job(3, "a", 4));
  loop_.post(ShutdownJob{});
  loop_.run();
  EXPECT_EQ(told_.text[1], prompt + "yz");
  EXPECT_EQ(told_.text[2], prompt);
  EXPECT_EQ(told_.text[3], "bcde");
  for (const SequenceId id : {1, 2}) {
    const wire::Delta& echo = told_.echo[id];
    ASSERT_EQ(echo.logprobs_size(), static_cast<int>(prompt.size())) << id;
    EXPECT_TRUE(echo.logprobs(0).first());
    const double likely = echo.logprobs(1).logprob();    // "b" behind "a"
    const double unlikely = echo.logprobs(2).logprob();  // "x" behind "b"
    EXPECT_GT(likely, unlikely + 0.9);
    for (int at = 1; at < echo.logprobs_size(); ++at) {
      EXPECT_EQ(echo.logprobs(at).text(), prompt.substr(static_cast<std::size_t>(at), 1));
      EXPECT_EQ(echo.logprobs(at).logprob(), at % 3 == 1 ? likely : unlikely) << at;
      EXPECT_FALSE(echo.logprobs(at).first());
    }
  }
  EXPECT_EQ(told_.finished[1].completion_tokens(), 2);
  EXPECT_EQ(told_.finished[2].completion_tokens(), 0);
  EXPECT_EQ(told_.finished[2].reason(), wire::Finished::LENGTH);
}

TEST_F(EngineLoopTest, TellsAPromptOfTokensAsText) {
  wire::Submit submit;
  submit.set_request(1);
  for (const char c : std::string("xyz")) submit.mutable_tokens()->add_ids(c);
  submit.set_tokens_max(1);
  submit.set_echo(true);
  loop_.post(std::move(build_job(submit, text_, JobLimits{}, base::now()).value()));
  loop_.post(ShutdownJob{});
  loop_.run();
  EXPECT_EQ(told_.echo[1].content(), "xyz");
  EXPECT_EQ(told_.echo[1].logprobs_size(), 0);
}

TEST_F(EngineLoopTest, NamesTheStopThatEndedAnAnswer) {
  loop_.post(job(1, "a", 0, {"q", "gh"}));
  loop_.post(job(2, "a", 3, {"q"}));
  loop_.post(ShutdownJob{});
  loop_.run();
  EXPECT_EQ(told_.text[1], "bcdef");
  EXPECT_EQ(told_.finished[1].stop_sequence(), "gh");
  EXPECT_EQ(told_.finished[2].stop_sequence(), "");
}

TEST_F(EngineLoopTest, AnAnswerGoesOnBeyondItsWindow) {
  EngineLoop::Options options;
  options.scheduler.cells = 512;
  options.scheduler.context_max = 100'000;
  options.scheduler.window.tokens = 96;
  EngineLoop loop(
      options, text_, decoder_, nullptr,
      [&](const wire::FromEngine& message) { told_.take(message); }, base::Logger());
  loop.post(job(1, std::string(900, 'b') + "a", 20));
  loop.post(job(2, "a", 20));
  loop.post(ShutdownJob{});
  loop.run();
  EXPECT_EQ(told_.text[1], "bcdefghijklmnopqrstu");
  EXPECT_EQ(told_.text[2], "bcdefghijklmnopqrstu");
  EXPECT_EQ(told_.finished[1].prompt_tokens(), 901) << "all of it was sent";
  EXPECT_EQ(told_.finished[1].completion_tokens(), 20);
}

TEST_F(EngineLoopTest, ADraftModelChangesNothingButTheSteps) {
  EngineLoop::Options options;
  options.scheduler.draft_max = 8;
  options.scheduler.draft_model = true;
  FakeDrafter drafter;
  EngineLoop loop(
      options, text_, decoder_, nullptr,
      [&](const wire::FromEngine& message) { told_.take(message); }, base::Logger());
  loop.use_drafter(drafter);
  loop.post(job(1, "a", 6));
  loop.post(job(2, "s"));
  loop.post(ShutdownJob{});
  loop.run();
  EXPECT_EQ(told_.text[1], "bcdefg");
  EXPECT_EQ(told_.finished[1].completion_tokens(), 6);
  EXPECT_EQ(told_.text[2], "tuvwxyz") << "behind a wrong guess the model's own goes on";
  EXPECT_EQ(told_.finished[2].reason(), wire::Finished::STOP);
  EXPECT_GT(drafter.asked, 0);
  EXPECT_GT(decoder_.guesses, 4);
}

TEST_F(EngineLoopTest, GuessesChangeNothingButTheSteps) {
  EngineLoop::Options options;
  options.scheduler.draft_max = 8;
  EngineLoop loop(
      options, text_, decoder_, nullptr,
      [&](const wire::FromEngine& message) { told_.take(message); }, base::Logger());
  loop.post(job(1, "abcdefgh, uvwxyz, abc"));
  loop.post(job(2, "abcdefgh, abc", 4));
  loop.post(job(3, "abcdefgh, abc", 0, {"gh"}));
  loop.post(ShutdownJob{});
  loop.run();
  EXPECT_EQ(told_.text[1], "defghijklmnopqrstuvwxyz");
  EXPECT_EQ(told_.finished[1].reason(), wire::Finished::STOP);
  EXPECT_EQ(told_.finished[1].completion_tokens(), 24);
  EXPECT_EQ(told_.text[2], "defg");
  EXPECT_EQ(told_.finished[2].reason(), wire::Finished::LENGTH);
  EXPECT_EQ(told_.text[3], "def");
  EXPECT_GT(decoder_.guesses, 0);
}

TEST_F(EngineLoopTest, CancelInterruptsALongPrefill) {
  decoder_.hang_on = 100;
  loop_.post(job(1, std::string(300, 'a')));
  std::thread thread([this] { loop_.run(); });
  decoder_.hanging.wait(false);
  const EngineLoop::Pulse pulse = loop_.pulse(base::now() + std::chrono::hours(1));
  ASSERT_TRUE(pulse.step);
  EXPECT_GE(*pulse.step, std::chrono::hours(1));
  loop_.cancel(1);
  loop_.post(ShutdownJob{});
  thread.join();
  EXPECT_EQ(told_.failed[1].code(), wire::Failed::CANCELLED);
  EXPECT_EQ(told_.finished.size(), 0U);
  EXPECT_FALSE(loop_.pulse(base::now()).step);
}

TEST_F(EngineLoopTest, EmbedsAndForgetsACancelledCall) {
  embedder_.on_step = [this] {
    loop_.cancel(5);  // It is being computed.
    loop_.cancel(6);  // It waits.
    embedder_.on_step = {};
  };
  loop_.post(EmbedJob{5, {{1, 2, 3}}});
  loop_.post(EmbedJob{6, {{1}}});
  loop_.post(EmbedJob{7, {{1, 2}, {1, 2, 3, 4}}});
  loop_.post(ShutdownJob{});
  loop_.run();
  ASSERT_EQ(told_.others.size(), 3U);
  EXPECT_EQ(told_.others[0].call_failed().call(), 5U);
  EXPECT_EQ(told_.others[0].call_failed().failure().code(), wire::Failed::CANCELLED);
  EXPECT_EQ(told_.others[1].call_failed().call(), 6U);
  const wire::EmbedReply& reply = told_.others[2].embed_reply();
  EXPECT_EQ(reply.call(), 7U);
  EXPECT_EQ(reply.prompt_tokens(), 6);
  ASSERT_EQ(reply.vectors_size(), 2);
  EXPECT_EQ(reply.vectors(0).values(0), 2.0F);
  EXPECT_EQ(reply.vectors(1).values(0), 4.0F);
  EXPECT_EQ(embedder_.starts, 1) << "all of them were computed together";
}

TEST_F(EngineLoopTest, AFailedStepEndsItsRequestsOnly) {
  decoder_.fails = true;
  loop_.post(job(1, "a"));
  loop_.post(ShutdownJob{});
  loop_.run();
  EXPECT_EQ(told_.failed[1].code(), wire::Failed::INTERNAL);
}

TEST_F(EngineLoopTest, AFailedGpuFailsNoRequest) {
  EngineLoop::Options options;
  options.on_gpu = true;
  decoder_.fails = true;
  EngineLoop loop(
      options, text_, decoder_, nullptr,
      [&](const wire::FromEngine& message) { told_.take(message); }, base::Logger());
  loop.post(job(1, "a"));
  loop.post(PingJob{1});
  loop.post(CancelJob{1});  // in the place of the server, which ends the process
  loop.post(ShutdownJob{});
  loop.run();
  EXPECT_FALSE(told_.finished.contains(1));
}

class StoringLoopTest : public EngineLoopTest {
 protected:
  StoringLoopTest() {
    std::string name = (std::filesystem::temp_directory_path() / "loop_XXXXXX").string();
    options_.folder = ::mkdtemp(name.data());
    options_.bytes_max = 1 << 20;
    options_.tokens_min = 64;
  }
  ~StoringLoopTest() override { std::filesystem::remove_all(options_.folder); }

  // An engine that lives for these jobs.
  void run(std::vector<SubmitJob> jobs) {
    EngineLoop::Options options;
    options.state_bytes_max = 1 << 20;
    EngineLoop loop(
        options, text_, decoder_, nullptr,
        [this](const wire::FromEngine& message) { told_.take(message); }, base::Logger());
    const auto store = std::move(PrefixStore::open(options_, base::Logger()).value());
    loop.use_store(*store);
    for (SubmitJob& one : jobs) loop.post(std::move(one));
    loop.post(ShutdownJob{});
    loop.run();
    store->flush();
  }
  std::vector<SubmitJob> one(SequenceId id, const std::string& text) {
    std::vector<SubmitJob> jobs;
    jobs.push_back(job(id, text, 3));
    return jobs;
  }

  PrefixStoreOptions options_;
};

TEST_F(StoringLoopTest, WhatWasReadOnceIsRestoredByTheNextEngine) {
  run(one(1, std::string(150, 'a')));
  EXPECT_EQ(told_.finished[1].cached_tokens(), 0);
  run(one(2, std::string(150, 'a') + "bcd"));
  EXPECT_EQ(decoder_.restored, 1);
  EXPECT_EQ(told_.finished[2].cached_tokens(), 152);
  EXPECT_EQ(told_.text[2], "efg");
}

TEST_F(StoringLoopTest, AStateThatTheModelRefusesIsReadAgain) {
  run(one(1, std::string(150, 'a')));
  decoder_.refuses_states = true;
  run(one(2, std::string(150, 'a') + "bcd"));
  EXPECT_EQ(told_.text[2], "efg");
  EXPECT_EQ(told_.finished[2].completion_tokens(), 3);
}

TEST_F(EngineLoopTest, RefusesAfterShutdownAndAnswersPings) {
  loop_.post(PingJob{9});
  loop_.post(ShutdownJob{});
  loop_.post(job(1, "a"));
  loop_.post(EmbedJob{4, {{1}}});
  loop_.run();
  EXPECT_EQ(told_.failed[1].code(), wire::Failed::CANCELLED);
  ASSERT_EQ(told_.others.size(), 2U);
  EXPECT_EQ(told_.others[0].pong().number(), 9U);
  EXPECT_EQ(told_.others[1].call_failed().call(), 4U);
}

TEST(JobBuilder, RefusesWhatIsWrong) {
  const FakeText text;
  JobLimits limits;
  limits.context_max = 10;
  wire::Submit submit;
  submit.set_text("far too long for ten tokens");
  submit.set_prompt_field("prompt");
  const auto refused = build_job(submit, text, limits, base::now());
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, base::ErrorCode::context_length);
  EXPECT_EQ(refused.error().param, "prompt");
  submit.mutable_tokens()->add_ids(300);
  EXPECT_EQ(build_job(submit, text, limits, base::now()).error().param, "prompt");
  submit.set_text("a");
  submit.set_logprobs(1000);
  EXPECT_EQ(build_job(submit, text, limits, base::now()).error().param, "logprobs");
}

}  // namespace
}  // namespace deepseek::engine
