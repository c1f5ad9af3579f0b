#include "gateway/responses/response_repository.hpp"

#include "storage/test_folder.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using base::ErrorCode;

constexpr std::int64_t day_ms = 24 * 3'600'000;

class ResponseRepositoryTest : public ::testing::Test {
 protected:
  ResponseRepository open(const ResponseRepository::Limits& limits = {}) {
    storage::DatabaseOptions options;
    options.file = folder_.path() / "responses.db";
    auto repository = ResponseRepository::open(options, limits);
    EXPECT_TRUE(repository) << repository.error().message;
    return std::move(*repository);
  }

  // Its text is `{"output":[ID],…}` padded to `bytes`.
  static StoredResponse response(const std::string& id, const std::string& previous = {},
                                 std::int64_t now_ms = 1000, std::size_t bytes = 0) {
    StoredResponse made;
    made.id = id;
    made.tenant = "ann";
    made.previous_id = previous;
    made.now_ms = now_ms;
    made.input = "[\"in " + id + "\"]";
    made.text = "{\"output\":[\"" + id + "\"]";
    made.output_begin = 10;
    made.output_end = made.text.size();
    made.text += "}" + std::string(bytes, ' ');
    return made;
  }

  static std::string told(const base::Result<std::vector<ResponseLink>>& links) {
    if (!links) return std::string(base::describe(links.error().code).name);
    std::string out;
    for (const ResponseLink& link : *links) out += link.input + link.output;
    return out;
  }

  storage::TestFolder folder_;
};

TEST_F(ResponseRepositoryTest, FindsWhatWasPutAlsoAfterItWasClosed) {
  {
    EXPECT_TRUE(open().put(response("resp_1")));
  }
  auto repository = open();
  EXPECT_EQ(**repository.find("ann", "resp_1", 1000), response("resp_1").text);
  EXPECT_FALSE(repository.find("ann", "resp_2", 1000)->has_value());
  EXPECT_FALSE(repository.find("bob", "resp_1", 1000)->has_value());
}

TEST_F(ResponseRepositoryTest, AChainIsToldFromItsBeginning) {
  auto repository = open();
  ASSERT_TRUE(repository.put(response("a")));
  ASSERT_TRUE(repository.put(response("b", "a")));
  ASSERT_TRUE(repository.put(response("c", "b")));
  ASSERT_TRUE(repository.put(response("b2", "a")));
  EXPECT_EQ(told(repository.chain("ann", "c", 1000, {})),
            R"(["in a"]["a"]["in b"]["b"]["in c"]["c"])");
  EXPECT_EQ(told(repository.chain("ann", "b2", 1000, {})), R"(["in a"]["a"]["in b2"]["b2"])");
  EXPECT_EQ(told(repository.chain("bob", "c", 1000, {})), "not_found");
  EXPECT_EQ(told(repository.chain("ann", "x", 1000, {})), "not_found");
  EXPECT_EQ(told(repository.chain("ann", "c", 1000, {.links_max = 2})), "invalid_request");
  EXPECT_EQ(told(repository.chain("ann", "c", 1000, {.bytes_max = 30})), "invalid_request");
}

TEST_F(ResponseRepositoryTest, NobodyGoesOnFromWhatIsNotHis) {
  auto repository = open();
  ASSERT_TRUE(repository.put(response("a")));
  StoredResponse foreign = response("b", "a");
  foreign.tenant = "bob";
  const auto done = repository.put(foreign);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::not_found);
  EXPECT_EQ(repository.size_of("bob")->rows, 0);
}

TEST_F(ResponseRepositoryTest, ErasesOneAndNothingElse) {
  auto repository = open();
  ASSERT_TRUE(repository.put(response("a")));
  ASSERT_TRUE(repository.put(response("b", "a")));
  ASSERT_TRUE(repository.put(response("c", "b")));
  EXPECT_FALSE(*repository.erase("bob", "b", 1000));
  EXPECT_TRUE(*repository.erase("ann", "b", 1000));
  EXPECT_FALSE(*repository.erase("ann", "b", 1000));
  EXPECT_TRUE(repository.find("ann", "a", 1000)->has_value());
  EXPECT_TRUE(repository.find("ann", "c", 1000)->has_value());
  EXPECT_EQ(told(repository.chain("ann", "c", 1000, {})), "not_found");
  EXPECT_EQ(told(repository.chain("ann", "c", 1000, {.may_be_broken = true})), R"(["in c"]["c"])");
  EXPECT_EQ(repository.size_of("ann")->rows, 2);
}

TEST_F(ResponseRepositoryTest, TheChainThatWasUsedLongestAgoGoesAsAWhole) {
  ResponseRepository::Limits limits;
  limits.tenant_rows_max = 4;
  auto repository = open(limits);
  ASSERT_TRUE(repository.put(response("old", "", 1)));
  ASSERT_TRUE(repository.put(response("other", "", 2)));
  ASSERT_TRUE(repository.put(response("other2", "other", 3)));
  ASSERT_TRUE(repository.put(response("old2", "old", 4)));  // the old chain is used again
  StoredResponse foreign = response("foreign", "", 0);
  foreign.tenant = "bob";
  ASSERT_TRUE(repository.put(foreign));
  ASSERT_TRUE(repository.put(response("new", "", 5)));
  EXPECT_FALSE(repository.find("ann", "other", 5)->has_value());
  EXPECT_FALSE(repository.find("ann", "other2", 5)->has_value());
  EXPECT_TRUE(repository.find("ann", "old", 5)->has_value());
  EXPECT_TRUE(repository.find("ann", "new", 5)->has_value());
  EXPECT_TRUE(repository.find("bob", "foreign", 5)->has_value());
  EXPECT_EQ(repository.evicted(), 2U);
  EXPECT_EQ(repository.size()->rows, 4);
}

TEST_F(ResponseRepositoryTest, BytesAreBounded) {
  ResponseRepository::Limits limits;
  limits.response_bytes_max = 5000;
  limits.tenant_bytes_max = 10'000;
  auto repository = open(limits);
  const auto refused = repository.put(response("large", "", 1, 6000));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::payload_too_large);
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(repository.put(response("r" + std::to_string(i), "", i + 1, 3200)));
    EXPECT_LE(repository.size_of("ann")->bytes, limits.tenant_bytes_max);
  }
  EXPECT_EQ(repository.size()->rows, 2);
  EXPECT_TRUE(repository.find("ann", "r7", 9)->has_value());
  // A conversation that fills everything alone is not kept further, and is not lost either.
  ASSERT_TRUE(repository.put(response("c1", "r7", 10, 3200)));
  const auto full = repository.put(response("c2", "c1", 11, 3200));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::payload_too_large);
  EXPECT_TRUE(repository.find("ann", "r7", 11)->has_value());
  EXPECT_TRUE(repository.find("ann", "c1", 11)->has_value());
}

TEST_F(ResponseRepositoryTest, WhatIsTooOldIsNotFoundAndIsRemoved) {
  ResponseRepository::Limits limits;
  limits.keep_ms = day_ms;
  auto repository = open(limits);
  ASSERT_TRUE(repository.put(response("a", "", 1)));
  ASSERT_TRUE(repository.put(response("b", "a", day_ms)));  // keeps the chain in use
  ASSERT_TRUE(repository.put(response("z", "", 1)));
  EXPECT_TRUE(repository.find("ann", "a", 2 * day_ms - 1)->has_value());
  EXPECT_FALSE(repository.find("ann", "a", 2 * day_ms)->has_value());
  EXPECT_FALSE(repository.find("ann", "z", day_ms + 1)->has_value());
  EXPECT_EQ(*repository.remove_expired(day_ms + 1, 10), 1);
  EXPECT_EQ(repository.size()->rows, 2);
  EXPECT_EQ(*repository.remove_expired(3 * day_ms, 10), 2);
  EXPECT_EQ(repository.size()->rows, 0);
  EXPECT_EQ(repository.size()->bytes, 0);
}

}  // namespace
}  // namespace deepseek::gateway
