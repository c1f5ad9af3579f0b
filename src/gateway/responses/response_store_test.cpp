#include "gateway/responses/response_store.hpp"

#include "base/clock.hpp"
#include "io/task_group.hpp"
#include "storage/test_folder.hpp"

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

namespace deepseek::gateway {
namespace {

namespace asio = boost::asio;
using base::ErrorCode;

template <class T>
asio::awaitable<void> take(asio::awaitable<T> call, std::optional<T>& into) {
  into.emplace(co_await std::move(call));
}

class ResponseStoreTest : public ::testing::Test {
 protected:
  ResponseStoreTest() { options_.database.file = folder_.path() / "responses.db"; }

  std::unique_ptr<ResponseStore> open() {
    auto store = ResponseStore::open(options_, base::Logger(sink_, "test"));
    EXPECT_TRUE(store) << store.error().message;
    return std::move(*store);
  }

  // Runs one call on this thread to its end.
  template <class T>
  T run(asio::awaitable<T> call) {
    asio::io_context context;
    io::TaskGroup tasks(context.get_executor());
    std::optional<T> result;
    tasks.spawn("call", take(std::move(call), result));
    context.run();
    return std::move(*result);
  }

  static StoredResponse response(const std::string& id, std::size_t bytes = 0) {
    StoredResponse made;
    made.id = id;
    made.tenant = "ann";
    made.input = "[]";
    made.text = "{\"output\":[]}" + std::string(bytes, ' ');
    made.output_begin = 10;
    made.output_end = 12;
    return made;
  }

  storage::TestFolder folder_;
  base::LogSink sink_{{base::LogFormat::text, base::LogLevel::error}};
  ResponseStore::Options options_;
};

TEST_F(ResponseStoreTest, KeepsWhatItSaysItKeepsPastItsEnd) {
  {
    const auto store = open();
    EXPECT_TRUE(run(store->put(response("resp_1"))));
    EXPECT_EQ(store->figures().stored, 1U);
    EXPECT_EQ(store->figures().rows, 1U);
  }
  const auto store = open();
  EXPECT_EQ(store->figures().rows, 1U);
  EXPECT_EQ(run(store->find("ann", "resp_1"))->value_or(""), response("resp_1").text);
  EXPECT_FALSE(run(store->find("bob", "resp_1"))->has_value());
  EXPECT_EQ(run(store->chain("ann", "resp_1", {}))->front().output, "[]");
  EXPECT_TRUE(*run(store->erase("ann", "resp_1")));
  EXPECT_FALSE(*run(store->erase("ann", "resp_1")));
  EXPECT_EQ(store->figures().rows, 0U);
}

TEST_F(ResponseStoreTest, CountsWhatItRefuses) {
  options_.limits.response_bytes_max = 1000;
  const auto store = open();
  const auto refused = run(store->put(response("resp_1", 2000)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::payload_too_large);
  EXPECT_EQ(store->figures().refused, 1U);
  EXPECT_EQ(store->figures().failures, 0U);
}

TEST_F(ResponseStoreTest, NeverLetsMoreWaitThanItMay) {
  options_.waiting_bytes_max = 1000;
  const auto store = open();
  const auto refused = run(store->put(response("resp_1", 2000)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_EQ(store->figures().refused, 1U);
  EXPECT_TRUE(run(store->put(response("resp_2"))));
}

TEST_F(ResponseStoreTest, AFullDiskIsAnErrorAndNotTheEnd) {
  options_.database.pages_max = 40;
  const auto store = open();
  bool failed = false;
  for (int i = 0; i < 40 && !failed; ++i) {
    const auto kept = run(store->put(response("resp_" + std::to_string(i), 10'000)));
    failed = !kept;
    if (failed) {
      EXPECT_EQ(kept.error().code, ErrorCode::unavailable);
    }
  }
  EXPECT_TRUE(failed);
  EXPECT_EQ(store->figures().failures, 1U);
  EXPECT_TRUE(run(store->find("ann", "resp_0"))->has_value());
}

TEST_F(ResponseStoreTest, ThrowsOutWhatIsTooOldWithoutBeingAsked) {
  {
    auto repository = ResponseRepository::open(options_.database, options_.limits);
    ASSERT_TRUE(repository);
    StoredResponse old = response("resp_1");
    old.now_ms = 1;
    ASSERT_TRUE(repository->put(old));
  }
  const auto store = open();
  EXPECT_FALSE(run(store->find("ann", "resp_1"))->has_value());  // behind the first look
  EXPECT_EQ(store->figures().expired, 1U);
  EXPECT_EQ(store->figures().rows, 0U);
}

}  // namespace
}  // namespace deepseek::gateway
