// Server and client against each other, over loopback.
#include "io/grpc_server.hpp"

#include "io/event.hpp"
#include "io/grpc_client.hpp"
#include "io/task_group.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace deepseek::io {
namespace {

namespace asio = boost::asio;
using base::ErrorCode;
using base::Result;
using testing::HasSubstr;

constexpr std::chrono::seconds patience{30};
const std::string echo_path = "/test.Service/Echo";
const std::string stream_path = "/test.Service/Stream";
const std::string hold_path = "/test.Service/Hold";

std::string framed(const std::string& message) {
  std::string out(5, '\0');
  for (int i = 0; i < 4; ++i) {
    out[static_cast<std::size_t>(4 - i)] = static_cast<char>((message.size() >> (8 * i)) & 0xFF);
  }
  return out + message;
}

base::LogSink& quiet() {
  static base::LogSink sink({base::LogFormat::text, base::LogLevel::error});
  return sink;
}

class EchoHandler final : public HttpHandler {
 public:
  Result<std::uint64_t> accept_head(const HttpRequest& request) override {
    if (request.fields.find("x-refuse")) {
      return base::make_error(ErrorCode::unauthenticated, "no key", "the key");
    }
    return std::uint64_t{1'000'000};
  }

  asio::awaitable<void> handle(HttpRequest request, HttpResponder& responder) override {
    if (request.path == echo_path) {
      HttpResponse response;
      response.fields.add("X-Request-Id", request.fields.find("x-request-id").value_or("none"));
      response.body = std::move(request.body);
      [[maybe_unused]] auto sent = co_await responder.send(std::move(response));
      co_return;
    }
    if (request.path == stream_path) {
      co_await stream(request.body, responder);
      co_return;
    }
    Event gone(responder.executor());
    bool left = false;
    responder.on_client_gone([&] {
      left = true;
      gone.notify();
    });
    ++held;
    while (!left) {
      co_await gone.wait();
    }
    responder.on_client_gone({});
    ++left_count;
  }

  HttpResponse refuse(const HttpRefusal& refusal, const HttpRequest& /*request*/) override {
    HttpResponse response;
    response.error = refusal.error;
    return response;
  }

  std::atomic<int> held{0};
  std::atomic<int> left_count{0};
  std::atomic<int> pieces{0};

 private:
  // "N size": so many pieces, and then the end; "N size fail": a broken answer.
  asio::awaitable<void> stream(std::string body, HttpResponder& responder) {
    const auto count = std::stoul(body);
    const auto size = std::stoul(body.substr(body.find(' ')));
    HttpResponse head;
    [[maybe_unused]] auto started = co_await responder.start(std::move(head));
    for (std::size_t i = 0; i < count; ++i) {
      const std::string piece = framed(std::string(size, static_cast<char>('a' + i % 26)));
      auto written = co_await responder.write(piece);
      if (written.has_error()) co_return;
      ++pieces;
    }
    if (body.ends_with("fail")) {
      const base::Error error = base::make_error(ErrorCode::queue_full, "it broke", "n");
      [[maybe_unused]] auto failed = co_await responder.fail(error);
    } else {
      [[maybe_unused]] auto finished = co_await responder.finish();
    }
  }
};

class GrpcServerTest : public testing::Test {
 public:
  GrpcServerTest() {
    options.service = "test.Service";
    options.paths = {echo_path, stream_path, hold_path};
    options.reflection = false;
    options.calls_max = 4;
  }

  void start() {
    server = std::make_unique<GrpcServer>(threads, handler, options, base::Logger(quiet(), "grpc"));
    auto listened = server->listen("127.0.0.1", 0);
    ASSERT_TRUE(listened.has_value()) << listened.error().message;
    port = *listened;
    GrpcChannelOptions to;
    to.address = "127.0.0.1:" + std::to_string(port);
    channel = std::move(*GrpcChannel::make(to));
    threads.start();
  }

  void TearDown() override {
    if (!server) return;
    run(drain());
    server.reset();
    channel.reset();
    threads.stop();
    threads.join();
  }

  asio::awaitable<void> drain() {
    const bool ended = co_await server->drain(std::chrono::milliseconds(200));
    drained_in_time = ended;
  }

  void run(asio::awaitable<void> task) {
    std::string failed;
    TaskGroup group(context.get_executor(),
                    [&](std::string_view, std::string_view what) { failed = what; });
    group.spawn("test", std::move(task));
    context.restart();
    context.run_for(patience);
    ASSERT_EQ(group.size(), 0u) << "the test did not end in time";
    EXPECT_EQ(failed, "");
  }

  std::unique_ptr<GrpcClientCall> call(const std::string& path, std::string message,
                                       HttpFields fields = {},
                                       base::TimePoint by = base::TimePoint::max()) {
    return std::make_unique<GrpcClientCall>(*channel, context.get_executor(), path, fields,
                                            std::move(message), by);
  }

  static base::TimePoint soon() { return base::now() + patience; }

  asio::awaitable<void> wait_for(const std::atomic<int>& count, int wanted) {
    while (count < wanted) {
      asio::steady_timer step(context, std::chrono::milliseconds(2));
      co_await step.async_wait(asio::use_awaitable);
    }
  }

  asio::io_context context{1};
  IoThreads threads{2};
  EchoHandler handler;
  GrpcServerOptions options;
  std::unique_ptr<GrpcServer> server;
  std::unique_ptr<GrpcChannel> channel;
  std::uint16_t port = 0;
  bool drained_in_time = false;
};

TEST_F(GrpcServerTest, EchoesBytesAndFields) {
  start();
  run([](GrpcServerTest& test) -> asio::awaitable<void> {
    for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{500'000}}) {
      const std::string message(size, 'x');
      auto one = test.call(echo_path, message);
      auto answer = co_await one->read(soon());
      EXPECT_TRUE(answer.has_value() && answer->has_value() && **answer == message) << size;
      auto end = co_await one->read(soon());
      EXPECT_TRUE(end.has_value() && !end->has_value());
      EXPECT_EQ(one->end().code, 0);
    }
  }(*this));
}

TEST_F(GrpcServerTest, RefusesWithTheTablesCode) {
  start();
  run([](GrpcServerTest& test) -> asio::awaitable<void> {
    HttpFields fields;
    fields.add("x-refuse", "1");
    auto one = test.call(echo_path, "x", fields);
    auto end = co_await one->read(soon());
    EXPECT_TRUE(end.has_value() && !end->has_value());
    EXPECT_EQ(one->end().code, 16);
    EXPECT_EQ(one->end().message, "no key");
    EXPECT_EQ(one->end().trailers.find("deepseek-error"), "invalid_api_key");
    EXPECT_EQ(one->end().trailers.find("deepseek-param"), "the key");
    auto unknown = test.call("/test.Service/Nothing", "x");
    end = co_await unknown->read(soon());
    EXPECT_EQ(unknown->end().code, 12);
  }(*this));
}

TEST_F(GrpcServerTest, StreamsAndEndsWithAStatus) {
  start();
  run([](GrpcServerTest& test) -> asio::awaitable<void> {
    for (const std::string end : {"", " fail"}) {
      auto one = test.call(stream_path, "50 10" + end);
      std::string heard;
      for (;;) {
        auto piece = co_await one->read(soon());
        if (piece.has_error() || !piece->has_value()) break;
        heard += (**piece)[0];
      }
      EXPECT_EQ(heard.substr(0, 5), "abcde");
      EXPECT_EQ(heard.size(), 50u);
      EXPECT_EQ(one->end().code, end.empty() ? 0 : 8);
    }
  }(*this));
}

// Nobody reads: what gRPC has room for is bounded, and another call is answered.
TEST_F(GrpcServerTest, ASlowClientSlowsItself) {
  start();
  run([](GrpcServerTest& test) -> asio::awaitable<void> {
    auto slow = test.call(stream_path, "1000 100000");
    auto first = co_await slow->read(soon());
    EXPECT_TRUE(first.has_value() && first->has_value());
    auto other = test.call(echo_path, "x");
    auto answer = co_await other->read(soon());
    EXPECT_TRUE(answer.has_value() && answer->has_value());
    EXPECT_LT(test.handler.pieces, 500) << "100 MB were taken from the handler unread";
    slow->cancel();
    auto cancelled = co_await slow->read(soon());
    EXPECT_EQ(cancelled.error().code, ErrorCode::cancelled);
  }(*this));
}

TEST_F(GrpcServerTest, CancelAndDeadlineReachTheHandler) {
  start();
  run([](GrpcServerTest& test) -> asio::awaitable<void> {
    auto one = test.call(hold_path, "x");
    co_await test.wait_for(test.handler.held, 1);
    one->cancel();
    co_await test.wait_for(test.handler.left_count, 1);
    auto two = test.call(hold_path, "x", {}, base::now() + std::chrono::seconds(2));
    co_await test.wait_for(test.handler.held, 2);
    auto end = co_await two->read(soon());
    EXPECT_TRUE(end.has_value() && !end->has_value());
    EXPECT_EQ(two->end().code, 4);
    co_await test.wait_for(test.handler.left_count, 2);
    auto three = test.call(hold_path, "x");
    co_await test.wait_for(test.handler.held, 3);
    auto late = co_await three->read(base::now() + std::chrono::milliseconds(50));
    EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded);
    co_await test.wait_for(test.handler.left_count, 3);
    // Gone without a word.
    test.call(hold_path, "x").reset();
  }(*this));
}

TEST_F(GrpcServerTest, OneCallTooManyIsRefused) {
  start();
  run([](GrpcServerTest& test) -> asio::awaitable<void> {
    std::vector<std::unique_ptr<GrpcClientCall>> held;
    for (int i = 0; i < 4; ++i) held.push_back(test.call(hold_path, "x"));
    co_await test.wait_for(test.handler.held, 4);
    auto one = test.call(echo_path, "x");
    auto end = co_await one->read(soon());
    EXPECT_EQ(one->end().code, 8);
    EXPECT_THAT(one->end().message, HasSubstr("grpc.calls_max"));
  }(*this));
}

TEST_F(GrpcServerTest, DrainCutsWhatDoesNotEnd) {
  start();
  run([](GrpcServerTest& test) -> asio::awaitable<void> {
    auto one = test.call(hold_path, "x");
    co_await test.wait_for(test.handler.held, 1);
    co_await test.drain();
    EXPECT_FALSE(test.drained_in_time);
    EXPECT_EQ(test.handler.left_count, 1);
    EXPECT_EQ(test.server->calls(), 0u);
    auto end = co_await one->read(soon());
    EXPECT_TRUE(end.has_value() && !end->has_value());
    EXPECT_NE(one->end().code, 0);
  }(*this));
}

TEST_F(GrpcServerTest, APortIsNeverShared) {
  start();
  GrpcServer second(threads, handler, options, base::Logger(quiet(), "grpc"));
  const auto listened = second.listen("127.0.0.1", port);
  ASSERT_TRUE(listened.has_error());
  EXPECT_THAT(listened.error().message, HasSubstr("in use"));
  GrpcServer nowhere(threads, handler, options, base::Logger(quiet(), "grpc"));
  EXPECT_THAT(nowhere.listen("no.such.host.invalid", 0).error().message,
              HasSubstr("not an address"));
}

TEST_F(GrpcServerTest, ConnectionRefused) {
  start();
  GrpcChannelOptions to;
  to.address = "127.0.0.1:1";
  channel = std::move(*GrpcChannel::make(to));
  run([](GrpcServerTest& test) -> asio::awaitable<void> {
    auto one = test.call(echo_path, "x");
    auto end = co_await one->read(soon());
    EXPECT_EQ(one->end().code, 14);
    EXPECT_FALSE(one->end().answered);
  }(*this));
}

}  // namespace
}  // namespace deepseek::io
