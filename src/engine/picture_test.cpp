#include "engine/picture.hpp"

#include "engine/scheduler.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <map>

namespace deepseek::engine {
namespace {

using std::chrono::milliseconds;

const base::TimePoint kStart{std::chrono::hours(1)};

// Sees a mark, as many rows as the file has bytes, each of its byte's value, and another mark.
class FakeVision final : public VisionModel {
 public:
  base::Result<Sight> see(std::string_view file, const std::string& param) override {
    ++seen;
    if (file.empty()) return base::make_error(base::ErrorCode::invalid_request, "empty", param);
    Sight sight;
    sight.width = 2;
    sight.pieces = {{{7}, 0}, {{}, static_cast<std::int32_t>(file.size())}, {{8, 9}, 0}};
    for (const char byte : file) sight.values.insert(sight.values.end(), 2, byte);
    return sight;
  }
  int seen = 0;
};

PicturePointer look(PictureStore& store, std::string_view file) {
  return store.look(file, "messages").value();
}

TEST(Picture, ARunIsOfOneKind) {
  EXPECT_EQ(one_kind({}), 0);
  EXPECT_EQ(one_kind(std::vector<Token>{1, 2, 3}), 3);
  EXPECT_EQ(one_kind(std::vector<Token>{1, 2, -2, 3}), 2);
  EXPECT_EQ(one_kind(std::vector<Token>{-2, -3, 3, -4}), 2);
  EXPECT_FALSE(is_row(-1)) << "llama.cpp's word for no token";
}

TEST(Picture, ItsRowsHaveIdsOfTheirOwn) {
  FakeVision vision;
  PictureStore store(vision);
  const PicturePointer first = look(store, "abc");
  EXPECT_EQ(first->tokens, (std::vector<Token>{7, -2, -3, -4, 8, 9}));
  const PicturePointer second = look(store, "de");
  EXPECT_EQ(second->tokens, (std::vector<Token>{7, -5, -6, 8, 9}));
  const Pictures both{first, second};
  EXPECT_EQ(row_of(both, -4)[0], 'c');
  EXPECT_EQ(row_of(both, -5)[1], 'd');
  EXPECT_TRUE(row_of(both, -7).empty());
  EXPECT_TRUE(row_of(both, 3).empty());
}

TEST(PictureStore, TheSameImageIsSeenOnceAndHasTheSameIds) {
  FakeVision vision;
  PictureStore store(vision);
  const PicturePointer first = look(store, "abc");
  look(store, "de");
  EXPECT_EQ(look(store, "abc"), first);
  EXPECT_EQ(vision.seen, 2);
  EXPECT_EQ(store.figures().seen, 2U);
  EXPECT_EQ(store.figures().bytes, 5 * 2 * sizeof(float));
}

TEST(PictureStore, WhatCannotBeSeenIsTriedAgain) {
  FakeVision vision;
  PictureStore store(vision);
  const auto refused = store.look("", "messages[3]");
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().param, "messages[3]");
  EXPECT_TRUE(store.look("", "x").has_error());
  EXPECT_EQ(vision.seen, 2);
  EXPECT_EQ(look(store, "a")->first, kRowFirst);
}

TEST(PictureStore, RowsAreForgottenBeforeIds) {
  FakeVision vision;
  PictureStore::Options options;
  options.bytes_max = 4 * 2 * sizeof(float);
  PictureStore store(vision, options);
  const std::vector<Token> ids = look(store, "abc")->tokens;
  look(store, "de");
  EXPECT_EQ(store.figures().bytes, 2 * 2 * sizeof(float)) << "the longest unused one went";
  EXPECT_EQ(look(store, "abc")->tokens, ids) << "so cells are found again";
  EXPECT_EQ(vision.seen, 3);
  look(store, "a much larger one stays alone");
  EXPECT_EQ(store.figures().bytes, 29 * 2 * sizeof(float));
}

TEST(PictureStore, WhatRequestsHoldIsBounded) {
  FakeVision vision;
  PictureStore::Options options;
  options.bytes_max = 0;  // only the last one is remembered
  options.live_bytes_max = 6 * 2 * sizeof(float);
  PictureStore store(vision, options);
  Pictures held{look(store, "abc"), look(store, "def")};
  const auto refused = store.look("ghi", "x");
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code, base::ErrorCode::queue_full);
  EXPECT_TRUE(refused.error().retry_after.has_value());
  EXPECT_EQ(look(store, "def"), held[1]) << "what is there is given";
  held.erase(held.begin());
  EXPECT_EQ(store.figures().live_bytes, 3 * 2 * sizeof(float));
  look(store, "ghi");
}

TEST(PictureStore, WhenIdsEndThoseOfRememberedImagesAreLeftOut) {
  FakeVision vision;
  PictureStore::Options options;
  options.row_last = kRowFirst - 19;  // twenty rows
  options.known_max = 2;
  PictureStore store(vision, options);
  look(store, "aaa");
  std::map<Token, std::string> holder;
  for (int round = 0; round < 50; ++round) {
    const PicturePointer kept = look(store, "aaa");
    const PicturePointer other = look(store, std::string(1 + round % 4, static_cast<char>(round)));
    EXPECT_TRUE(other->first < kept->first ? other->first <= kept->first - kept->rows
                                           : kept->first <= other->first - other->rows);
    EXPECT_GE(other->first - other->rows + 1, options.row_last);
  }
  EXPECT_TRUE(store.look("more rows than there are ids", "x").has_error());
}

SequenceSpec spec_with_rows() {
  SequenceSpec spec;
  spec.id = 1;
  spec.prompt = {1, 2, 3, -2, -3, -4, -5, 4, 5};
  spec.has_rows = true;
  spec.arrival = kStart;
  return spec;
}

std::vector<Sampled> sample(const StepPlan& plan, Token token) {
  std::vector<Sampled> sampled;
  for (const Slice& slice : plan.slices) {
    if (slice.wants_logits) sampled.push_back({slice.id, token, false, true});
  }
  return sampled;
}

TEST(PictureSteps, ASliceHoldsOneKind) {
  Scheduler scheduler(SchedulerOptions{});
  ASSERT_TRUE(scheduler.submit(spec_with_rows()).has_value());
  std::vector<std::pair<int, int>> slices;
  for (int step = 0; step < 3; ++step) {
    const StepPlan plan = scheduler.plan(kStart);
    ASSERT_EQ(plan.slices.size(), 1U);
    slices.emplace_back(plan.slices[0].begin, plan.slices[0].end);
    EXPECT_EQ(plan.slices[0].wants_logits, step == 2);
    scheduler.complete(plan, sample(plan, 6), kStart, milliseconds(1));
  }
  EXPECT_EQ(slices, (std::vector<std::pair<int, int>>{{0, 3}, {3, 7}, {7, 9}}));
}

TEST(PictureSteps, NoRowIsEverGuessed) {
  SchedulerOptions options;
  options.draft_max = 8;
  Scheduler scheduler(options);
  SequenceSpec spec = spec_with_rows();
  // What the answer repeats was followed by an image.
  spec.prompt = {1, 2, 3, 4, -2, -3, -4, 1, 2, 3};
  spec.tokens_max = 30;
  ASSERT_TRUE(scheduler.submit(std::move(spec)).has_value());
  for (int step = 0; step < 30 && !scheduler.idle(); ++step) {
    const StepPlan plan = scheduler.plan(kStart);
    for (const Slice& slice : plan.slices) {
      EXPECT_TRUE(std::ranges::none_of(slice.draft, is_row));
      EXPECT_EQ(slice.draft_wanted, 0);
    }
    scheduler.complete(plan, sample(plan, 1 + step % 4), kStart, milliseconds(1));
  }
}

TEST(PictureSteps, OnlyTheSameImageSharesCells) {
  Scheduler scheduler(SchedulerOptions{});
  const auto run = [&](SequenceId id, std::vector<Token> prompt) {
    SequenceSpec spec = spec_with_rows();
    spec.id = id;
    spec.prompt = std::move(prompt);
    spec.tokens_max = 1;
    EXPECT_TRUE(scheduler.submit(std::move(spec)).has_value());
    std::int64_t cached = -1;
    while (!scheduler.idle()) {
      const StepPlan plan = scheduler.plan(kStart);
      for (const Ended& ended :
           scheduler.complete(plan, sample(plan, 6), kStart, milliseconds(1))) {
        cached = ended.facts.cached_tokens;
      }
    }
    return cached;
  };
  EXPECT_EQ(run(1, {1, 2, 3, -2, -3, -4, 5}), 0);
  EXPECT_EQ(run(2, {1, 2, 3, -2, -3, -4, 5}), 6);
  EXPECT_EQ(run(3, {1, 2, 3, -2, -3, -4, 9, 9}), 6);
  EXPECT_EQ(run(4, {1, 2, 3, -7, -8, -9, 5}), 3) << "another image";
  EXPECT_EQ(run(5, {-2, -3, -4, 5}), 0) << "in another place";
}

}  // namespace
}  // namespace deepseek::engine
