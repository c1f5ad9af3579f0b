#include "io/http_pool.hpp"

#include "io/task_group.hpp"

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

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

struct HttpPoolTest : testing::Test {
  asio::io_context context;
  tcp::acceptor acceptor{context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  TaskGroup servers{context.get_executor()};
  TaskGroup clients{context.get_executor()};
  int accepted = 0;
  int answers_max = 1'000;  // by one connection, which then closes

  HttpPool make_pool(HttpPool::Limits limits) {
    HttpUrl url;
    url.host = "127.0.0.1";
    url.port = acceptor.local_endpoint().port();
    return HttpPool(context.get_executor(), url, {}, limits);
  }
  void run() {
    servers.spawn("accept", accept());
    context.run();
  }

 private:
  asio::awaitable<void> accept() {
    for (;;) {
      auto [failed, socket] = co_await acceptor.async_accept(as_result);
      if (failed) co_return;
      ++accepted;
      servers.spawn("serve", serve(std::move(socket)));
    }
  }
  asio::awaitable<void> serve(tcp::socket socket) {
    std::string request;
    for (int i = 0; i < answers_max; ++i) {
      auto [code, size] = co_await asio::async_read_until(socket, asio::dynamic_buffer(request),
                                                          "\r\n\r\n", as_result);
      if (code) co_return;
      request.erase(0, size);
      auto [written, count] = co_await asio::async_write(socket, asio::buffer(answer), as_result);
      if (written) co_return;
    }
  }
};

asio::awaitable<bool> ask(HttpClient& client) {
  const auto deadline = base::now() + std::chrono::seconds(10);
  HttpClientRequest request{.method = "GET", .target = "/", .fields = {}, .body = {}};
  request.keep_alive = true;
  auto sent = co_await client.send(request, deadline);
  if (sent.has_error()) co_return false;
  auto head = co_await client.read_head(deadline);
  if (head.has_error()) co_return false;
  std::string body;
  while (true) {
    auto piece = co_await client.read_piece(deadline);
    if (piece.has_error()) co_return false;
    if (piece->empty()) break;
    body += *piece;
  }
  co_return body == "ok";
}

asio::awaitable<void> ask_three_times(HttpPoolTest& test, HttpPool& pool) {
  for (int i = 0; i < 3; ++i) {
    std::unique_ptr<HttpClient> client = pool.take_kept();
    EXPECT_EQ(client != nullptr, i > 0);
    if (client == nullptr) {
      auto connected = co_await pool.connect(base::now() + std::chrono::seconds(10));
      EXPECT_TRUE(connected.has_value());
      client = std::move(*connected);
    }
    const bool answered = co_await ask(*client);
    EXPECT_TRUE(answered);
    pool.give_back(std::move(client));
  }
  EXPECT_EQ(pool.kept(), 1u);
  pool.drop_kept();
  test.acceptor.close();
}

TEST_F(HttpPoolTest, KeepsAConnectionForTheNextRequest) {
  HttpPool pool = make_pool({});
  clients.spawn("client", ask_three_times(*this, pool));
  run();
  EXPECT_EQ(accepted, 1);
}

asio::awaitable<void> see_it_end(HttpPoolTest& test, HttpPool& pool) {
  auto connected = co_await pool.connect(base::now() + std::chrono::seconds(10));
  EXPECT_TRUE(connected.has_value());
  const bool answered = co_await ask(**connected);
  EXPECT_TRUE(answered);
  pool.give_back(std::move(*connected));
  // The server closes after one answer; the pool hears of it without being asked.
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (int i = 0; i < 2'000 && pool.kept() > 0; ++i) {
    timer.expires_after(std::chrono::milliseconds(1));
    co_await timer.async_wait(as_result);
  }
  EXPECT_EQ(pool.kept(), 0u);
  test.acceptor.close();
}

TEST_F(HttpPoolTest, DropsAConnectionThatTheServerEnds) {
  answers_max = 1;
  HttpPool pool = make_pool({});
  clients.spawn("client", see_it_end(*this, pool));
  run();
}

asio::awaitable<void> keep_two_of_three(HttpPoolTest& test, HttpPool& pool) {
  std::vector<std::unique_ptr<HttpClient>> all;
  for (int i = 0; i < 3; ++i) {
    auto connected = co_await pool.connect(base::now() + std::chrono::seconds(10));
    EXPECT_TRUE(connected.has_value());
    const bool answered = co_await ask(**connected);
    EXPECT_TRUE(answered);
    all.push_back(std::move(*connected));
  }
  for (auto& client : all) pool.give_back(std::move(client));
  EXPECT_EQ(pool.kept(), 2u);
  pool.drop_kept();
  test.acceptor.close();
}

TEST_F(HttpPoolTest, KeepsNoMoreThanItsLimit) {
  HttpPool pool = make_pool({.idle_max = 2});
  clients.spawn("client", keep_two_of_three(*this, pool));
  run();
  EXPECT_EQ(accepted, 3);
}

asio::awaitable<void> give_back_unread(HttpPoolTest& test, HttpPool& pool) {
  auto connected = co_await pool.connect(base::now() + std::chrono::seconds(10));
  EXPECT_TRUE(connected.has_value());
  HttpClientRequest request{.method = "GET", .target = "/", .fields = {}, .body = {}};
  request.keep_alive = true;
  auto sent = co_await (*connected)->send(request, base::now() + std::chrono::seconds(10));
  EXPECT_FALSE(sent.has_error());
  pool.give_back(std::move(*connected));
  EXPECT_EQ(pool.kept(), 0u);
  test.acceptor.close();
}

TEST_F(HttpPoolTest, AnAnswerThatWasNotReadEndsTheConnection) {
  HttpPool pool = make_pool({});
  clients.spawn("client", give_back_unread(*this, pool));
  run();
}

// An answer of "o" and more, whose end comes after its reader has let go of it: empty is the end of
// the connection.
constexpr std::string_view with_length = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no";
constexpr std::string_view in_chunks =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n";

asio::awaitable<void> end_late(HttpPoolTest& test, HttpPool& pool, std::string_view begin,
                               std::string_view end, std::size_t kept) {
  auto connected = co_await pool.connect(base::now() + std::chrono::seconds(10));
  EXPECT_TRUE(connected.has_value());
  auto [failed, server] = co_await test.acceptor.async_accept(as_result);
  EXPECT_FALSE(failed);
  HttpClientRequest request;
  request.target = "/";
  request.keep_alive = true;
  auto sent = co_await (*connected)->send(request, base::now() + std::chrono::seconds(10));
  EXPECT_FALSE(sent.has_error());
  co_await asio::async_write(server, asio::buffer(begin), as_result);
  auto head = co_await (*connected)->read_head(base::now() + std::chrono::seconds(10));
  EXPECT_FALSE(head.has_error());
  auto piece = co_await (*connected)->read_piece(base::now() + std::chrono::seconds(10));
  EXPECT_TRUE(piece.has_value() && *piece == "o");
  pool.give_back_soon(std::move(*connected));
  EXPECT_EQ(pool.ending(), 1u);
  EXPECT_EQ(pool.kept(), 0u);
  if (end.empty()) {
    server.close();
  } else {
    co_await asio::async_write(server, asio::buffer(end), as_result);
  }
  asio::steady_timer timer(co_await asio::this_coro::executor);
  std::unique_ptr<HttpClient> again;
  for (int i = 0; i < 500 && pool.ending() > 0 && !again; ++i) {
    timer.expires_after(std::chrono::milliseconds(1));
    co_await timer.async_wait(as_result);
    again = pool.take_kept();
  }
  if (again) pool.give_back(std::move(again));
  EXPECT_EQ(pool.ending(), 0u);
  EXPECT_EQ(pool.kept(), kept);
  pool.drop_kept();
}

TEST_F(HttpPoolTest, AnAnswerThatEndsSoonKeepsItsConnection) {
  HttpPool pool = make_pool({});
  for (const auto& [begin, end] : {std::pair{with_length, std::string_view("k")},
                                   std::pair{in_chunks, std::string_view("0\r\n\r\n")}}) {
    clients.spawn("client", end_late(*this, pool, begin, end, 1));
    context.run();
    context.restart();
  }
}

TEST_F(HttpPoolTest, AnAnswerThatEndsBadlyLosesIt) {
  HttpPool pool = make_pool({});
  for (const auto& [begin, end] : {std::pair{with_length, std::string_view()},
                                   std::pair{with_length, std::string_view("k and more")},
                                   std::pair{in_chunks, std::string_view("no chunk\r\n")}}) {
    clients.spawn("client", end_late(*this, pool, begin, end, 0));
    context.run();
    context.restart();
  }
}

}  // namespace
}  // namespace deepseek::io
