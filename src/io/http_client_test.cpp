#include "io/http_client.hpp"

#include "io/task_group.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>

namespace deepseek::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::ErrorCode;
using base::Result;
using testing::AllOf;
using testing::HasSubstr;

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

// What the tiny server does with one connection: for each answer, read a request, write the bytes.
struct Script {
  std::vector<std::string> answers;
  bool hold = false;  // keep the connection open and silent after the last answer
};

asio::awaitable<void> serve(tcp::acceptor& acceptor, Script script, std::string& received) {
  auto [failed, socket] = co_await acceptor.async_accept(as_result);
  if (failed) co_return;
  for (const std::string& answer : script.answers) {
    std::string request;
    auto [code, size] = co_await asio::async_read_until(socket, asio::dynamic_buffer(request),
                                                        "\r\n\r\n", as_result);
    received += request;
    if (code) co_return;
    auto [written, count] = co_await asio::async_write(socket, asio::buffer(answer), as_result);
    if (written) co_return;
  }
  if (!script.hold) co_return;
  std::array<char, 1> byte{};
  co_await socket.async_read_some(asio::buffer(byte), as_result);
}

struct Outcome {
  std::string body;
  int pieces = 0;
  HttpClientHead head;
  std::vector<int> statuses;
  std::optional<base::Error> error;
  bool reusable = false;
};

struct Plan {
  HttpUrl url;
  HttpClientOptions options;
  std::vector<HttpClientRequest> requests;
  std::chrono::milliseconds deadline{10'000};
};

asio::awaitable<Result<void>> exchange(HttpClient& client, const HttpClientRequest& request,
                                       base::TimePoint deadline, Outcome& outcome) {
  auto sent = co_await client.send(request, deadline);
  if (sent.has_error()) co_return sent.error();
  auto head = co_await client.read_head(deadline);
  if (head.has_error()) co_return head.error();
  outcome.head = head.value();
  outcome.statuses.push_back(head->status);
  while (true) {
    auto piece = co_await client.read_piece(deadline);
    if (piece.has_error()) co_return piece.error();
    if (piece->empty()) break;
    outcome.body += piece.value();
    ++outcome.pieces;
  }
  outcome.reusable = client.reusable();
  co_return Result<void>{};
}

asio::awaitable<void> run_plan(asio::any_io_executor executor, const Plan& plan, Outcome& outcome) {
  const auto deadline = base::now() + plan.deadline;
  auto client = co_await HttpClient::connect(executor, plan.url, plan.options, deadline);
  if (client.has_error()) {
    outcome.error = client.error();
    co_return;
  }
  for (const HttpClientRequest& request : plan.requests) {
    auto result = co_await exchange(*client.value(), request, deadline, outcome);
    if (result.has_error()) {
      outcome.error = result.error();
      co_return;
    }
  }
}

struct HttpClientTest : testing::Test {
  asio::io_context context;
  tcp::acceptor acceptor{context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::string received;
  Plan plan;

  void SetUp() override {
    plan.url.host = "127.0.0.1";
    plan.url.port = acceptor.local_endpoint().port();
    plan.requests.push_back({.method = "GET", .target = "/x", .fields = {}, .body = {}});
  }

  Outcome run(Script script) {
    Outcome outcome;
    TaskGroup group(context.get_executor());
    group.spawn("serve", serve(acceptor, std::move(script), received));
    group.spawn("client", run_plan(context.get_executor(), plan, outcome));
    context.run();
    return outcome;
  }
  Outcome run(const std::string& answer, bool hold = false) { return run(Script{{answer}, hold}); }
};

TEST_F(HttpClientTest, ReadsABodyOfKnownLength) {
  plan.requests[0].fields.add("X-Test", "yes");
  const auto outcome = run("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello", true);
  EXPECT_FALSE(outcome.error) << outcome.error->message;
  EXPECT_EQ(outcome.body, "hello");
  EXPECT_EQ(outcome.head.status, 200);
  EXPECT_EQ(outcome.head.fields.find("a"), "b");
  EXPECT_FALSE(outcome.reusable);
  EXPECT_EQ(received, "GET /x HTTP/1.1\r\nHost: " + plan.url.authority() +
                          "\r\nX-Test: yes\r\nConnection: close\r\n\r\n");
}

TEST_F(HttpClientTest, ReadsChunksAsTheyCome) {
  plan.options.piece_max = 4;
  const auto outcome =
      run("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n "
          "world\r\n0\r\n\r\n");
  EXPECT_FALSE(outcome.error) << outcome.error->message;
  EXPECT_EQ(outcome.body, "hello world");
  EXPECT_GT(outcome.pieces, 2);
}

TEST_F(HttpClientTest, ReadsUntilTheServerCloses) {
  const auto outcome = run("HTTP/1.0 200 OK\r\n\r\nall of it");
  EXPECT_FALSE(outcome.error) << outcome.error->message;
  EXPECT_EQ(outcome.body, "all of it");
}

TEST_F(HttpClientTest, KeepsTheConnectionForAnotherRequest) {
  plan.requests[0].keep_alive = true;
  plan.requests.push_back(
      {.method = "POST", .target = "/y", .fields = {}, .body = "", .keep_alive = true});
  const auto outcome = run(Script{{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
                                   "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\ncd"}});
  EXPECT_FALSE(outcome.error) << outcome.error->message;
  EXPECT_EQ(outcome.body, "abcd");
  EXPECT_THAT(outcome.statuses, testing::ElementsAre(200, 404));
  EXPECT_TRUE(outcome.reusable);
  EXPECT_THAT(received, HasSubstr("POST /y HTTP/1.1"));
  EXPECT_THAT(received, HasSubstr("Content-Length: 0"));
}

TEST_F(HttpClientTest, SkipsInterimAnswersAndBodiesOfHead) {
  plan.requests[0].method = "HEAD";
  const auto outcome =
      run("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", true);
  EXPECT_FALSE(outcome.error) << outcome.error->message;
  EXPECT_EQ(outcome.head.status, 200);
  EXPECT_EQ(outcome.body, "");
}

TEST_F(HttpClientTest, NobodyListens) {
  acceptor.close();
  Outcome outcome;
  TaskGroup group(context.get_executor());
  group.spawn("client", run_plan(context.get_executor(), plan, outcome));
  context.run();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::unavailable);
  EXPECT_THAT(outcome.error->message, AllOf(HasSubstr(plan.url.authority()),
                                            HasSubstr("cannot connect: Connection refused")));
}

TEST_F(HttpClientTest, BrokenAnswersAreErrors) {
  for (const std::string& answer : {
           std::string("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut"),
           std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
           std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
           std::string("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
           std::string("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabc\r\n0\r\n\r\n"),
           std::string("SSH-2.0-OpenSSH\r\n\r\n"),
           std::string("HTTP/1.1 200 OK\r\nA: " + std::string(70'000, 'x') + "\r\n\r\n"),
           std::string("HTTP/1.1 200"),
       }) {
    context.restart();
    const auto outcome = run(answer);
    ASSERT_TRUE(outcome.error) << answer.substr(0, 60);
    EXPECT_EQ(outcome.error->code, ErrorCode::upstream_failed) << outcome.error->message;
  }
}

TEST_F(HttpClientTest, BodyOverTheLimit) {
  plan.options.body_max = 4;
  for (const char* answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nhello"}) {
    context.restart();
    const auto outcome = run(std::string(answer));
    ASSERT_TRUE(outcome.error) << answer;
    EXPECT_THAT(outcome.error->message, HasSubstr("the body is larger than 4 bytes"));
  }
}

TEST_F(HttpClientTest, SilenceEndsAtTheDeadline) {
  plan.deadline = std::chrono::milliseconds(30);
  for (const char* answer : {"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"}) {
    context.restart();
    const auto outcome = run(std::string(answer), true);
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code, ErrorCode::deadline_exceeded) << outcome.error->message;
  }
}

asio::awaitable<void> accept_then_stop(tcp::acceptor& acceptor, TaskGroup& clients) {
  auto [failed, socket] = co_await acceptor.async_accept(as_result);
  std::string request;
  co_await asio::async_read_until(socket, asio::dynamic_buffer(request), "\r\n\r\n", as_result);
  co_await clients.stop();
}

TEST_F(HttpClientTest, CancelledTaskEndsAtOnce) {
  Outcome outcome;
  TaskGroup clients(context.get_executor());
  TaskGroup servers(context.get_executor());
  servers.spawn("serve", accept_then_stop(acceptor, clients));
  clients.spawn("client", run_plan(context.get_executor(), plan, outcome));
  const auto before = base::now();
  context.run();
  EXPECT_LT(base::now() - before, std::chrono::seconds(5));
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::cancelled);
}

TEST_F(HttpClientTest, RequestsThatMustNotBeSent) {
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"A", "b\r\nC: d"}, {"A b", "c"}, {"Host", "x"}, {"Content-Length", "3"}, {"", "x"}}) {
    context.restart();
    plan.requests[0].fields = {};
    plan.requests[0].fields.add(name, value);
    const auto outcome = run(std::string("HTTP/1.1 200 OK\r\n\r\n"));
    ASSERT_TRUE(outcome.error) << name;
    EXPECT_EQ(outcome.error->code, ErrorCode::invalid_request);
  }
  context.restart();
  plan.requests[0] = {.method = "GET", .target = "/a b", .fields = {}, .body = {}};
  EXPECT_EQ(run(std::string("")).error->code, ErrorCode::invalid_request);
}

TEST_F(HttpClientTest, SecureUrlsNeedTrust) {
  plan.url.secure = true;
  Outcome outcome;
  TaskGroup group(context.get_executor());
  group.spawn("client", run_plan(context.get_executor(), plan, outcome));
  context.run();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::invalid_request);
  EXPECT_TRUE(TlsClientContext::load("/nonexistent.pem").has_error());
}

TEST_F(HttpClientTest, ServerWithoutTlsIsAnError) {
  auto trust = TlsClientContext::load("");
  ASSERT_TRUE(trust.has_value());
  plan.url.secure = true;
  plan.options.trust = trust.value();
  plan.url.host = "127.0.0.1";
  Outcome outcome;
  TaskGroup group(context.get_executor());
  group.spawn("serve", serve(acceptor, Script{}, received));  // closes at once
  group.spawn("client", run_plan(context.get_executor(), plan, outcome));
  context.run();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, ErrorCode::upstream_failed);
  EXPECT_THAT(outcome.error->message, HasSubstr("TLS handshake"));
}

}  // namespace
}  // namespace deepseek::io
