#include "engine/resumption.hpp"

#include "engine/fake_constraint.hpp"
#include "engine/job_builder.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <functional>
#include <map>
#include <random>

namespace deepseek::engine {
namespace {

constexpr Token kEnd = 0;

// Tokens 1 to 255 are bytes, those behind them these pieces.
const std::vector<std::string> kPieces{"<th",      "ink>", "</th",  "ink>\n", "\xE4\xBD", "\xA0",
                                       "\xF0\x9F", "\x99", "\x82x", "EN",     "D",        "two"};
enum : Token {
  kOpen = 256,
  kOpenRest,
  kClose,
  kCloseRest,
  kYou,
  kYouRest,
  kSmile,
  kSmileMore,
  kSmileRest,
  kStop,
  kStopRest,
  kWord,
  kVocabulary
};

// Random by seed, with a penalty for what was said; else the largest logit.
class FakeSampler final : public TokenSampler {
 public:
  explicit FakeSampler(const wire::Sampling& sampling) : sampling_(sampling) {
    random_.seed(static_cast<std::uint32_t>(sampling.seed()));
  }
  Token sample(std::span<const float> logits) override {
    std::vector<float> weights(logits.begin(), logits.end());
    for (const auto& [token, count] : counts_) {
      const auto penalty = static_cast<float>(count * sampling_.frequency_penalty());
      float& weight = weights[static_cast<std::size_t>(token)];
      if (weight < 0) continue;  // it may not come
      weight = std::max(0.0F, weight - penalty);
    }
    Token token =
        static_cast<Token>(std::max_element(weights.begin(), weights.end()) - weights.begin());
    if (sampling_.has_seed()) token = draw(weights);
    ++counts_[token];
    return token;
  }
  void replay(std::span<const Token> tokens) override {
    for (const Token token : tokens) {
      if (sampling_.has_seed()) random_();
      ++counts_[token];
    }
  }

 private:
  Token draw(const std::vector<float>& weights) {
    float sum = 0;
    for (const float weight : weights) sum += weight;
    float left = sum * static_cast<float>(random_()) / static_cast<float>(std::mt19937::max());
    Token token = 0;
    while (token + 1 < kVocabulary && left >= weights[static_cast<std::size_t>(token)]) {
      left -= weights[static_cast<std::size_t>(token++)];
    }
    return token;
  }

  wire::Sampling sampling_;
  std::mt19937 random_;
  std::map<Token, int> counts_;
};

class FakeText final : public TextModel {
 public:
  base::Result<RenderedPrompt> render(const wire::Chat& chat) const override {
    RenderedPrompt prompt;
    for (const wire::ChatMessage& message : chat.messages()) {
      const bool last = &message == &chat.messages(chat.messages_size() - 1);
      if (last && chat.continue_final_message()) {
        prompt.text += "|A:" + opening;
        const JoinedAnswer answer =
            join_answer(prompt.text, tags, message.reasoning_content(), message.content());
        prompt.text += answer.text;
        prompt.place = answer.place;
      } else {
        prompt.text += "|" + message.role().substr(0, 1) + ":" + message.content();
        if (last) prompt.text += "|A:" + opening;
      }
    }
    if (ends_with_tag(prompt.text, tags.open)) prompt.place = AnswerPlace::inside;
    prompt.tokens = tokenize(prompt.text, true).value();
    return prompt;
  }
  base::Result<std::vector<Token>> tokenize(std::string_view text, bool) const override {
    std::vector<Token> tokens;
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
  }
  base::Result<std::vector<Token>> infill(std::string_view prefix,
                                          std::string_view suffix) const override {
    return tokenize("<" + std::string(prefix) + "|" + std::string(suffix) + ">", false);
  }
  std::string piece(Token token, bool) const override {
    if (token == kEnd) return {};
    if (token < 256) return std::string(1, static_cast<char>(token));
    return kPieces[static_cast<std::size_t>(token) - 256];
  }
  bool is_end(Token token) const override { return token == kEnd; }
  std::size_t longest_piece() const override { return 1; }
  std::int32_t vocabulary() const override { return kVocabulary; }
  ReasoningTags reasoning_tags() const override { return tags; }
  ToolFormat tool_format() const override { return ToolFormat::hermes; }
  base::Result<std::unique_ptr<TokenSampler>> make_sampler(
      const wire::Sampling& sampling) const override {
    return std::unique_ptr<TokenSampler>(std::make_unique<FakeSampler>(sampling));
  }

  ReasoningTags tags{"<think>", "</think>"};
  std::string opening;  // what the template opens the answer with
};

// Logits are a function of all tokens so far.
class FakeDecoder final : public Decoder {
 public:
  using Model = std::function<std::vector<float>(std::span<const Token>)>;
  explicit FakeDecoder(Model model) : model_(std::move(model)) {}

  Outcome decode(std::span<const BatchSlice> slices) override {
    logits_.clear();
    for (const BatchSlice& slice : slices) {
      std::vector<Token>& tokens = tokens_[slice.slot];
      tokens.resize(static_cast<std::size_t>(slice.position));
      tokens.insert(tokens.end(), slice.tokens.begin(), slice.tokens.end());
      logits_.push_back({model_(tokens)});
      for (const Token token : slice.draft) {
        tokens.push_back(token);
        logits_.back().push_back(model_(tokens));
      }
    }
    return Outcome::done;
  }
  std::span<const float> logits(std::size_t index, std::size_t guess) override {
    return logits_[index][guess];
  }
  std::int32_t cells(std::int32_t slot) override {
    return static_cast<std::int32_t>(tokens_[slot].size());
  }
  void clear(std::int32_t slot) override { tokens_[slot].clear(); }
  void share(std::int32_t slot, std::int32_t source, std::int32_t length) override {
    const std::vector<Token>& tokens = tokens_[source];
    tokens_[slot].assign(tokens.begin(), tokens.begin() + length);
  }
  std::string save(std::int32_t) override { return {}; }
  bool restore(std::int32_t, std::string_view) override { return false; }
  void slide(std::int32_t, std::int32_t, std::int32_t) override {}
  void keep(std::int32_t slot, std::int32_t cells) override {
    tokens_[slot].resize(static_cast<std::size_t>(cells));
  }
  std::atomic<bool>& abort_flag() override { return abort_; }

 private:
  Model model_;
  std::map<std::int32_t, std::vector<Token>> tokens_;
  std::vector<std::vector<std::vector<float>>> logits_;
  std::atomic<bool> abort_{false};
};

struct Said {
  std::string content;
  std::string reasoning;
  std::vector<Token> ids;
};
struct Answer : Said {
  std::vector<Said> deltas;  // but for those that come in one message with the end
  wire::Started started;
  wire::Finished finished;
};

class ResumptionTest : public testing::Test {
 protected:
  static wire::Submit chat(const std::string& question) {
    wire::Submit submit;
    submit.set_request(1);
    submit.set_count_prompt(true);
    wire::ChatMessage* message = submit.mutable_chat()->add_messages();
    message->set_role("user");
    message->set_content(question);
    return submit;
  }
  static wire::Submit resumed(wire::Submit submit, const Said& said) {
    submit.mutable_resume()->set_content(said.content);
    submit.mutable_resume()->set_reasoning(said.reasoning);
    submit.mutable_resume()->mutable_token_ids()->Assign(said.ids.begin(), said.ids.end());
    return submit;
  }

  base::Result<SubmitJob> build(const wire::Submit& submit) const {
    auto constraint = only_.empty() ? nullptr : only(only_, kVocabulary, kEnd);
    return build_job(submit, text_, limits_, base::now(), std::move(constraint));
  }
  std::string prompt_of(const wire::Submit& submit) const {
    std::string text;
    for (const Token token : build(submit).value().spec.prompt) text += text_.piece(token, true);
    return text;
  }

  Answer run(const wire::Submit& submit) const {
    Answer answer;
    const auto take = [&](const wire::FromEngine& message) {
      for (const wire::SequenceEvent& event : message.step().events()) {
        EXPECT_FALSE(event.has_failed()) << event.failed().message();
        if (event.has_started()) answer.started = event.started();
        if (event.has_finished()) answer.finished = event.finished();
        if (!event.has_delta()) continue;
        const wire::Delta& delta = event.delta();
        answer.deltas.push_back({delta.content(),
                                 delta.reasoning(),
                                 {delta.token_ids().begin(), delta.token_ids().end()}});
        answer.content += delta.content();
        answer.reasoning += delta.reasoning();
        answer.ids.insert(answer.ids.end(), delta.token_ids().begin(), delta.token_ids().end());
      }
      const auto& events = message.step().events();
      if (events.empty() || !events.rbegin()->has_finished()) return;
      for (const auto& event : events) {
        if (event.has_delta()) answer.deltas.pop_back();
      }
    };
    FakeDecoder decoder(model_);
    EngineLoop::Options options;
    options.scheduler.context_max = limits_.context_max;
    EngineLoop loop(options, text_, decoder, nullptr, take, base::Logger());
    loop.post(std::move(build(submit).value()));
    loop.post(ShutdownJob{});
    loop.run();
    return answer;
  }

  // The model says the script behind the prompt and then ends.
  void say(const wire::Submit& submit, const std::vector<Token>& script) {
    const std::size_t begin = build(submit).value().spec.prompt.size();
    model_ = [begin, script](std::span<const Token> tokens) {
      std::vector<float> row(kVocabulary, 0);
      const std::size_t said = tokens.size() < begin ? script.size() : tokens.size() - begin;
      row[static_cast<std::size_t>(said < script.size() ? script[said] : kEnd)] = 1;
      return row;
    };
  }

  void check_every_cut(const wire::Submit& submit);
  void check_cut(const wire::Submit& submit, const Answer& whole, const Said& said);

  FakeText text_;
  JobLimits limits_;
  std::string only_;  // all that the content may be; empty: anything
  FakeDecoder::Model model_;
};

// The text by one character less, the last that was said first; false when none is left.
bool take_back(Said& said) {
  std::string& text = said.content.empty() ? said.reasoning : said.content;
  if (text.empty()) return false;
  while (text.size() > 1 && (static_cast<unsigned char>(text.back()) & 0xC0U) == 0x80U) {
    text.pop_back();
  }
  text.pop_back();
  return true;
}

void ResumptionTest::check_cut(const wire::Submit& submit, const Answer& whole, const Said& said) {
  const Answer rest = run(resumed(submit, said));
  EXPECT_EQ(said.content + rest.content, whole.content);
  EXPECT_EQ(said.reasoning + rest.reasoning, whole.reasoning);
  std::vector<Token> ids = said.ids;
  ids.insert(ids.end(), rest.ids.begin(), rest.ids.end());
  EXPECT_EQ(ids, whole.ids);
  const auto count = static_cast<std::int64_t>(said.ids.size());
  EXPECT_EQ(rest.finished.reason(), whole.finished.reason());
  EXPECT_EQ(count + rest.finished.completion_tokens(), whole.finished.completion_tokens());
  const bool ended = rest.finished.completion_tokens() == 0;
  const std::int64_t read = ended ? 0 : whole.finished.prompt_tokens() + count;
  EXPECT_EQ(rest.finished.prompt_tokens(), read);
  EXPECT_EQ(rest.started.prompt_tokens(), read);
  if (count > 0) return;
  EXPECT_EQ(rest.finished.reasoning_tokens(), whole.finished.reasoning_tokens());
}

// At every token, also in the middle of what is held back, and with every beginning of the text
// that had come out by then.
void ResumptionTest::check_every_cut(const wire::Submit& submit) {
  const Answer whole = run(submit);
  for (std::size_t cut = 0; cut <= whole.ids.size(); ++cut) {
    Said said;
    std::size_t told = 0;
    for (const Said& delta : whole.deltas) {
      told += delta.ids.size();
      if (told > cut) break;
      said.content += delta.content;
      said.reasoning += delta.reasoning;
    }
    said.ids.assign(whole.ids.begin(), whole.ids.begin() + static_cast<std::ptrdiff_t>(cut));
    do {
      SCOPED_TRACE("cut behind token " + std::to_string(cut) + ", sent \"" + said.reasoning +
                   "\" and \"" + said.content + "\"");
      check_cut(submit, whole, said);
    } while (!HasFailure() && take_back(said));
  }
}

TEST_F(ResumptionTest, ByIdsAtEveryCut) {
  wire::Submit submit = chat("q");
  submit.add_stop("END");
  const std::vector<std::vector<Token>> scripts{
      {kOpen, kOpenRest, 'w', kYou, kYouRest, kClose, kCloseRest, '\n', 'y', kSmile, kSmileMore,
       kSmileRest, kStop, 'x', kStop, 'D', 'z'},
      {kStop, kStop, kStopRest, 'x'},
      {'a', kStop},
      {'a', kYou},
      {kYou, 'a', kSmile, kStop},
      {kOpen, kOpenRest, kClose},
      {kOpen, 'x', '<', kStop, '\n'},
      {kOpen, kOpenRest, 'w', kClose, kCloseRest, '\n', '\n'},
      {},
  };
  for (const std::vector<Token>& script : scripts) {
    SCOPED_TRACE("script " + std::to_string(&script - scripts.data()));
    say(submit, script);
    check_every_cut(submit);
  }
  submit.set_tokens_max(6);
  say(submit, scripts[0]);
  EXPECT_EQ(run(submit).finished.reason(), wire::Finished::LENGTH);
  check_every_cut(submit);
}

TEST_F(ResumptionTest, ByIdsWhereTheTemplateOpensTheTag) {
  text_.opening = "<think>\n";
  const wire::Submit submit = chat("q");
  say(submit, {'w', 'h', kClose, kCloseRest, '\n', 'y'});
  EXPECT_EQ(run(submit).reasoning, "wh");
  check_every_cut(submit);
}

TEST_F(ResumptionTest, ByIdsToTheEndOfTheContext) {
  limits_.context_max = 14;
  const wire::Submit submit = chat("a");  // with its roles 7 tokens
  say(submit, std::vector<Token>(20, kWord));
  EXPECT_EQ(run(submit).finished.completion_tokens(), 7);
  check_every_cut(submit);
}

TEST_F(ResumptionTest, SeedsAndPenaltiesGoOn) {
  model_ = [](std::span<const Token> tokens) {
    std::uint32_t hash = 2166136261U;
    for (const Token token : tokens) hash = (hash ^ static_cast<std::uint32_t>(token)) * 16777619U;
    std::vector<float> row(kVocabulary, 0);
    std::mt19937 random(hash);
    for (Token token = 'a'; token <= 'h'; ++token) {
      row[static_cast<std::size_t>(token)] = static_cast<float>(1 + random() % 8);
    }
    row[kEnd] = 1;
    return row;
  };
  std::map<std::string, int> texts;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    wire::Submit submit = chat("q");
    submit.set_tokens_max(24);
    submit.mutable_sampling()->set_frequency_penalty(1.5);
    if (seed > 0) submit.mutable_sampling()->set_seed(seed);
    ++texts[run(submit).content];
    check_every_cut(submit);
  }
  EXPECT_GT(texts.size(), 4U);
}

TEST_F(ResumptionTest, RefusesTokensThatSayOtherText) {
  const wire::Submit submit = chat("q");
  for (const Said& said : std::vector<Said>{{"other", "", {'a', 'b'}},
                                            {"abc", "", {'a', 'b'}},
                                            {"", "ab", {'a', 'b'}},
                                            {"ab", "", {'a', 'b', kVocabulary}},
                                            {"ab", "", {'a', 'b', -1}}}) {
    const auto refused = build(resumed(submit, said));
    ASSERT_TRUE(refused.has_error());
    EXPECT_EQ(refused.error().code, base::ErrorCode::not_implemented);
    EXPECT_NE(refused.error().message.find("cannot go on"), std::string::npos);
  }
}

TEST_F(ResumptionTest, ByTextTheAnswerIsTheLastMessage) {
  wire::Submit submit = chat("q");
  EXPECT_EQ(prompt_of(resumed(submit, {"yes", "", {}})), "|u:q|A:yes");
  EXPECT_EQ(prompt_of(resumed(submit, {"yes", "why", {}})), "|u:q|A:<think>\nwhy\n</think>\n\nyes");
  EXPECT_EQ(prompt_of(resumed(submit, {"", "why", {}})), "|u:q|A:<think>\nwhy");
  EXPECT_EQ(prompt_of(resumed(submit, {})), "|u:q|A:");
  wire::ChatMessage* begun = submit.mutable_chat()->add_messages();
  begun->set_role("assistant");
  begun->set_content("Oh, ");
  submit.mutable_chat()->set_continue_final_message(true);
  EXPECT_EQ(prompt_of(resumed(submit, {"yes", "", {}})), "|u:q|A:Oh, yes");
}

TEST_F(ResumptionTest, ByTextThinkingGoesOnWhereItStood) {
  const wire::Submit thinking = resumed(chat("q"), {"", "why", {}});
  say(thinking, {'!', kClose, kCloseRest, 'y'});
  Answer rest = run(thinking);
  EXPECT_EQ(rest.reasoning, "!");
  EXPECT_EQ(rest.content, "y");
  const wire::Submit answering = resumed(chat("q"), {"y", "why", {}});
  say(answering, {kOpen, kOpenRest, 'e'});
  rest = run(answering);
  EXPECT_EQ(rest.reasoning, "");
  EXPECT_EQ(rest.content, "<think>e") << "text can no longer be a tag";
}

TEST_F(ResumptionTest, ByTextACompletionGrowsItsPrompt) {
  wire::Submit submit;
  submit.set_text("one ");
  EXPECT_EQ(prompt_of(resumed(submit, {"two", "", {}})), "one two");
  submit.mutable_tokens()->add_ids('1');
  EXPECT_EQ(prompt_of(resumed(submit, {"two", "", {}})), "1two");
  EXPECT_EQ(prompt_of(submit), "1");
}

TEST_F(ResumptionTest, ByTextSpokenTokensCount) {
  wire::Submit submit = chat("q");
  submit.set_tokens_max(6);
  say(submit, std::vector<Token>(99, 'x'));
  const wire::Submit begun = resumed(submit, {"abc", "w", {}});
  const Answer rest = run(begun);
  EXPECT_EQ(rest.content, "xx");
  EXPECT_EQ(rest.finished.completion_tokens(), 2);
  EXPECT_EQ(rest.finished.reason(), wire::Finished::LENGTH);
  EXPECT_EQ(rest.finished.prompt_tokens(), static_cast<std::int64_t>(prompt_of(begun).size()));
  const Answer none = run(resumed(submit, {"abcdef", "", {}}));
  EXPECT_EQ(none.content, "");
  EXPECT_EQ(none.finished.reason(), wire::Finished::LENGTH);
  EXPECT_EQ(none.finished.prompt_tokens(), 0);
  limits_.context_max = 10;
  submit.set_tokens_max(0);
  EXPECT_EQ(run(resumed(submit, {"abcdef", "", {}})).finished.reason(), wire::Finished::LENGTH);
  const auto refused = build(resumed(chat("far too long"), {"x", "", {}}));
  EXPECT_TRUE(refused.has_error()) << "the prompt alone does not fit";
}

TEST_F(ResumptionTest, ByTextAStopStringMayHaveBegun) {
  wire::Submit submit = chat("q");
  submit.add_stop("END");
  wire::Submit begun = resumed(submit, {"xEN", "", {}});
  say(begun, {'D', 'z'});
  Answer rest = run(begun);
  EXPECT_EQ(rest.content, "");
  EXPECT_EQ(rest.finished.reason(), wire::Finished::STOP);
  EXPECT_EQ(rest.finished.completion_tokens(), 1);
  say(begun, {'E', kStop, 'y'});
  EXPECT_EQ(run(begun).content, "EENy") << "what was held back was sent already";
  const Answer none = run(resumed(submit, {"xEND", "", {}}));
  EXPECT_EQ(none.content, "");
  EXPECT_EQ(none.finished.reason(), wire::Finished::STOP);
}

TEST_F(ResumptionTest, WhatStandsBetweenGoesOnBehindItsMark) {
  wire::Submit submit;
  submit.mutable_infill()->set_prefix("a");
  submit.mutable_infill()->set_suffix("c");
  EXPECT_EQ(prompt_of(submit), "<a|c>");
  submit.mutable_resume()->set_content("b");
  EXPECT_EQ(prompt_of(submit), "<a|c>b");
}

TEST_F(ResumptionTest, AConstrainedAnswerIsHeldToItsEnd) {
  only_ = "the answer";
  const wire::Submit submit = chat("q");
  say(submit, {'o', 't', 'h', 'e', 'r'});
  EXPECT_EQ(run(submit).content, "the answer");
  check_every_cut(submit);
}

TEST_F(ResumptionTest, ThinkingIsFreeAndContentIsHeld) {
  only_ = "yes";
  const wire::Submit submit = chat("q");
  text_.opening = "<think>";
  say(submit, {'h', 'm', kClose, kCloseRest, 'n', 'o'});
  const Answer whole = run(submit);
  EXPECT_EQ(whole.reasoning, "hm");
  EXPECT_EQ(whole.content, "yes");
  check_every_cut(submit);
}

TEST_F(ResumptionTest, WhatWasSaidMustBeWhatIsAskedFor) {
  only_ = "yes";
  Said said;
  said.content = "no";
  const auto refused = build(resumed(chat("q"), said));
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, base::ErrorCode::not_implemented);
}

}  // namespace
}  // namespace deepseek::engine
