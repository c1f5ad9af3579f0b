#include "gateway/resilience/failure.hpp"

#include <gtest/gtest.h>
#include <set>
#include <vector>

namespace deepseek::gateway {
namespace {

TEST(Failure, StatusCodes) {
  const std::vector<std::pair<int, FailureKind>> expected{
      {400, FailureKind::status_400_client},  {401, FailureKind::status_4xx_ours},
      {402, FailureKind::status_4xx_ours},    {403, FailureKind::status_4xx_there},
      {404, FailureKind::status_4xx_there},   {408, FailureKind::status_408},
      {413, FailureKind::status_400_client},  {415, FailureKind::status_400_client},
      {422, FailureKind::status_400_client},  {429, FailureKind::status_429},
      {431, FailureKind::status_400_client},  {500, FailureKind::status_500},
      {501, FailureKind::status_500},         {502, FailureKind::status_502_503_504},
      {503, FailureKind::status_502_503_504}, {504, FailureKind::status_502_503_504},
      {522, FailureKind::status_502_503_504}, {529, FailureKind::status_502_503_504},
      {302, FailureKind::bad_answer},         {204, FailureKind::bad_answer},
      {0, FailureKind::bad_answer},           {700, FailureKind::bad_answer}};
  for (const auto& [status, kind] : expected) EXPECT_EQ(failure_of_status(status), kind) << status;
}

TEST(Failure, WhatAClientDoesNeverCountsAgainstABackend) {
  for (const FailureKind kind : {FailureKind::client_cancelled, FailureKind::status_400_client,
                                 FailureKind::refused_suspect, FailureKind::status_4xx_there}) {
    EXPECT_FALSE(describe(kind).counts) << describe(kind).name;
    EXPECT_FALSE(describe(kind).same_again) << describe(kind).name;
  }
  EXPECT_FALSE(describe(FailureKind::client_cancelled).elsewhere);
  EXPECT_FALSE(describe(FailureKind::status_400_client).elsewhere);
  EXPECT_FALSE(describe(FailureKind::refused_suspect).elsewhere) << "it would kill the next one";
}

TEST(Failure, WhatMayBeTriedAgainMayBeTriedElsewhere) {
  for (const FailureInfo& row : failure_table) {
    EXPECT_TRUE(row.elsewhere || !row.same_again) << row.name;
    EXPECT_TRUE(row.elsewhere || !row.counts) << row.name;
  }
}

TEST(Failure, LimitsAreRepeatedAfterTheirTimeAndDoNotBreakTheBackend) {
  const FailureInfo& limited = describe(FailureKind::status_429);
  EXPECT_TRUE(limited.same_again);
  EXPECT_TRUE(limited.cools_down);
  EXPECT_FALSE(limited.counts);
  EXPECT_TRUE(describe(FailureKind::status_502_503_504).cools_down);
}

TEST(Failure, NamesAreDistinct) {
  std::set<std::string_view> names;
  for (const FailureInfo& row : failure_table) names.insert(row.name);
  EXPECT_EQ(names.size(), failure_table.size());
}

}  // namespace
}  // namespace deepseek::gateway
