#include "gateway/engine_queue_time.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

EngineLoadFigures measured() {
  EngineLoadFigures load;
  load.prefill_tokens_per_second = 500;
  load.answer_ms = 4'000;
  return load;
}

std::int64_t wait_ms(const EngineLoadFigures& load, std::int32_t live, std::int64_t prompt) {
  return engine_queue_time(load, 4, live, prompt).count();
}

TEST(EngineQueueTime, AnIdleEngineReadsThePrompt) {
  EXPECT_EQ(wait_ms(measured(), 0, 1'000), 2'000);
  EXPECT_EQ(wait_ms(measured(), 0, 0), 0);
}

TEST(EngineQueueTime, NothingMeasuredIsNothingPromised) {
  EXPECT_EQ(wait_ms({}, 0, 1'000), 0);
}

TEST(EngineQueueTime, OtherPromptsAreReadFirst) {
  EngineLoadFigures load = measured();
  load.running = 2;
  load.unread_tokens = 1'500;
  EXPECT_EQ(wait_ms(load, 2, 500), 4'000);
}

TEST(EngineQueueTime, AFullBatchMustHaveAPlaceFree) {
  EngineLoadFigures load = measured();
  load.running = 4;
  EXPECT_EQ(wait_ms(load, 4, 0), 1'000) << "four places of 4 s each: one a second";
  load.waiting = 3;
  EXPECT_EQ(wait_ms(load, 7, 0), 4'000);
}

TEST(EngineQueueTime, ABurstIsSeenBeforeTheEngineTellsOfIt) {
  EXPECT_EQ(wait_ms(measured(), 3, 500), 4'000) << "three like it are on their way";
  EXPECT_EQ(wait_ms(measured(), 4, 0), 1'000);
}

TEST(EngineQueueTime, WaitingBesideFreePlacesMeansNoRoomForThem) {
  EngineLoadFigures load = measured();
  load.running = 2;
  load.waiting = 1;
  EXPECT_EQ(wait_ms(load, 3, 0), 4'000) << "two of 4 s each, and one is before us";
}

TEST(EngineQueueTime, IsBounded) {
  EngineLoadFigures load = measured();
  load.prefill_tokens_per_second = 1e-9;
  EXPECT_EQ(wait_ms(load, 0, 1'000'000), 3'600'000);
}

}  // namespace
}  // namespace deepseek::gateway
