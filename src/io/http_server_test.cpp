// The server over loopback, with a handler that does what the path says.
#include "io/http_server.hpp"

#include "io/event.hpp"
#include "io/task_group.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <vector>

namespace deepseek::io {
namespace {

namespace asio = boost::asio;
using base::ErrorCode;
using namespace std::chrono_literals;

// Things that happened on I/O threads, for the test to wait for.
class Happenings {
 public:
  void add(const std::string& what) {
    const std::lock_guard lock(mutex_);
    seen_.insert(what);
    changed_.notify_all();
  }
  bool wait(const std::string& what) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return seen_.count(what) > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::multiset<std::string> seen_;
};

class TestHandler final : public HttpHandler {
 public:
  base::Result<std::uint64_t> accept_head(const HttpRequest& request) override {
    if (request.path == "/forbidden") {
      return base::make_error(ErrorCode::permission_denied, "not here");
    }
    return std::uint64_t{1000};
  }

  asio::awaitable<void> handle(HttpRequest request, HttpResponder& responder) override {
    if (request.path == "/throw") throw std::runtime_error("a bug");
    if (request.path == "/nothing") co_return;
    if (request.path == "/stream") {
      co_await stream(responder, 3, 5);
    } else if (request.path == "/flood") {
      co_await stream(responder, 100'000, 10'000);
    } else if (request.path == "/cut") {
      HttpResponse head;
      auto started = co_await responder.start(std::move(head));
      EXPECT_TRUE(started);
    } else if (request.path == "/wait") {
      co_await wait(responder);
    } else {
      HttpResponse response;
      response.fields.add("X-Path", request.path);
      response.body = request.method + " " + request.path + " " + request.body;
      auto sent = co_await responder.send(std::move(response));
      happenings.add(sent ? "sent" : "not sent");
    }
  }

  HttpResponse refuse(const HttpRefusal& refusal, const HttpRequest&) override {
    HttpResponse response;
    response.status = base::describe(refusal.error.code).http_status;
    response.body = "refused: " + refusal.error.message + " [" + std::string(refusal.limit) + "]";
    return response;
  }

  Happenings happenings;
  std::atomic<int> pieces_taken{0};
  std::atomic<bool> release{false};

 private:
  asio::awaitable<void> stream(HttpResponder& responder, int count, std::size_t size) {
    HttpResponse head;
    auto done = co_await responder.start(std::move(head));
    const std::string piece(size, 'x');
    for (int i = 0; i < count && done; ++i) {
      done = co_await responder.write(piece);
      if (done) ++pieces_taken;
    }
    if (done) done = co_await responder.finish();
    happenings.add(done ? "finished" : std::string(base::describe(done.error().code).name));
  }

  // Until the client leaves, or the test releases it.
  asio::awaitable<void> wait(HttpResponder& responder) {
    Event gone(responder.executor());
    asio::steady_timer tick(responder.executor());
    bool left = false;
    responder.on_client_gone([&] {
      left = true;
      tick.cancel();
    });
    happenings.add("waiting");
    while (!left && !release) {
      tick.expires_after(2ms);
      co_await tick.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    happenings.add(left ? "client gone" : "released");
    HttpResponse response;
    response.body = "waited";
    auto sent = co_await responder.send(std::move(response));
    happenings.add(sent ? "sent" : "not sent");
  }
};

// A blocking client socket.
class Client {
 public:
  explicit Client(std::uint16_t port, int receive_buffer = 0) {
    descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) {
      ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    const timeval patience{20, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }
  void reset() {
    const linger hard{1, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }
  void half_close() { ::shutdown(descriptor_, SHUT_WR); }
  void send(std::string_view bytes) {
    ASSERT_EQ(::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void get(const std::string& path, const std::string& more = "") {
    send("GET " + path + " HTTP/1.1\r\nHost: a\r\n" + more + "\r\n");
  }
  // Reads until `marker` was seen (kept in the result), or the end.
  std::string read_until(std::string_view marker) {
    while (received_.find(marker) == std::string::npos) {
      char bytes[4096];
      const ssize_t size = ::recv(descriptor_, bytes, sizeof bytes, 0);
      if (size <= 0) break;
      received_.append(bytes, static_cast<std::size_t>(size));
    }
    const std::size_t at = received_.find(marker);
    const std::size_t end = at == std::string::npos ? received_.size() : at + marker.size();
    std::string out = received_.substr(0, end);
    received_.erase(0, end);
    return out;
  }
  std::string read_all() { return read_until("\x01never"); }

 private:
  int descriptor_ = -1;
  std::string received_;
};

asio::awaitable<void> drain_server(HttpServer& server, std::chrono::milliseconds limit,
                                   std::promise<bool>& done) {
  const bool clean = co_await server.drain(limit);
  done.set_value(clean);
}

class HttpServerTest : public testing::Test {
 protected:
  void TearDown() override {
    if (server_ && !drained_) drain(5s);
    threads_.stop();
    threads_.join();
    threads_.context(1).restart();
    threads_.context(1).poll();  // the end of the drain task
    server_.reset();
  }

  void serve() {
    server_.emplace(threads_, handler_, options_, base::Logger());
    auto port = server_->listen("127.0.0.1", 0);
    ASSERT_TRUE(port) << port.error().message;
    port_ = *port;
    server_->start();
    threads_.start();
  }

  std::future<bool> begin_drain(std::chrono::milliseconds limit) {
    drained_ = true;
    drain_tasks_.emplace(threads_.context(1).get_executor());
    asio::post(threads_.context(1), [this, limit] {
      drain_tasks_->spawn("drain", drain_server(*server_, limit, drain_done_));
    });
    return drain_done_.get_future();
  }
  bool drain(std::chrono::milliseconds limit) { return begin_drain(limit).get(); }

  // The whole answer with a body of known content.
  std::string exchange(Client& client, const std::string& path) {
    client.get(path);
    return client.read_until("GET " + path + " ");
  }

  HttpServerOptions options_;
  IoThreads threads_{2};
  TestHandler handler_;
  std::optional<HttpServer> server_;
  std::promise<bool> drain_done_;
  std::optional<TaskGroup> drain_tasks_;
  std::uint16_t port_ = 0;
  bool drained_ = false;
};

TEST_F(HttpServerTest, AnswersManyRequestsOnOneConnection) {
  serve();
  Client client(port_);
  for (int i = 0; i < 100; ++i) {
    const std::string answer = exchange(client, "/a");
    ASSERT_EQ(answer.rfind("HTTP/1.1 200 OK\r\nDate: ", 0), 0u) << answer;
    ASSERT_NE(answer.find("\r\nServer: deepseek-server\r\nX-Path: /a\r\nContent-Length: 7\r\n\r\n"),
              std::string::npos)
        << answer;
  }
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  serve();
  Client client(port_);
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    requests += "POST /" + std::to_string(i) +
                " HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\n";  // one CRLF is forgiven
  }
  client.send(requests);
  for (int i = 0; i < 50; ++i) {
    const std::string end = "POST /" + std::to_string(i) + " abc";
    const std::string answer = client.read_until(end);
    ASSERT_NE(answer.find(end), std::string::npos) << answer;
  }
}

TEST_F(HttpServerTest, ReadsAHeadAndBodyByteByByte) {
  serve();
  Client client(port_);
  for (char byte : std::string("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) {
    client.send(std::string_view(&byte, 1));
  }
  EXPECT_NE(client.read_until("POST /x abcde").find("200 OK"), std::string::npos);
  EXPECT_NE(exchange(client, "/y").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, StreamsInChunks) {
  serve();
  Client client(port_);
  client.get("/stream");
  const std::string answer = client.read_until("0\r\n\r\n");
  EXPECT_NE(answer.find("Transfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n5\r\nxxxxx\r\n5\r\nxxxxx"
                        "\r\n0\r\n\r\n"),
            std::string::npos)
      << answer;
  EXPECT_NE(exchange(client, "/y").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, StreamsToAnOldClientUntilTheEnd) {
  serve();
  Client client(port_);
  client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const std::string answer = client.read_all();
  EXPECT_EQ(answer.find("chunked"), std::string::npos);
  EXPECT_NE(answer.find("Connection: close\r\n\r\nxxxxxxxxxxxxxxx"), std::string::npos) << answer;
}

TEST_F(HttpServerTest, GivesHeadNoBody) {
  serve();
  Client client(port_);
  client.send("HEAD /abc HTTP/1.1\r\nHost: a\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(client.read_until("\r\n\r\n").find("Content-Length: 10\r\n"), std::string::npos);
  EXPECT_NE(client.read_until("\r\n\r\n").find("Transfer-Encoding: chunked\r\n"),
            std::string::npos);
  EXPECT_EQ(exchange(client, "/y").rfind("HTTP/1.1 200", 0), 0u);
}

TEST_F(HttpServerTest, RefusesABadHeadAndCloses) {
  serve();
  Client client(port_);
  client.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n");
  const std::string answer = client.read_all();
  EXPECT_EQ(answer.rfind("HTTP/1.1 400 Bad Request\r\n", 0), 0u) << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  EXPECT_NE(answer.find("refused: "), std::string::npos);
  Client next(port_);
  EXPECT_NE(exchange(next, "/y").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, TellsTheStatusThatErrorsDoNotHave) {
  serve();
  Client version(port_);
  version.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  EXPECT_EQ(version.read_all().rfind("HTTP/1.1 505 ", 0), 0u);
  Client expectation(port_);
  expectation.get("/", "Expect: x\r\n");
  EXPECT_EQ(expectation.read_all().rfind("HTTP/1.1 417 ", 0), 0u);
}

TEST_F(HttpServerTest, BoundsTheHead) {
  options_.head_max = 1000;
  serve();
  Client client(port_);
  client.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(5000, 'x'));
  const std::string answer = client.read_until("]");
  EXPECT_EQ(answer.rfind("HTTP/1.1 431 ", 0), 0u) << answer;
  EXPECT_NE(answer.find("[http.head_max]"), std::string::npos);
}

TEST_F(HttpServerTest, BoundsTheBodyWithoutAReset) {
  serve();
  for (const char* framing : {"Content-Length: 5000000", "Transfer-Encoding: chunked"}) {
    Client client(port_);
    client.send("POST / HTTP/1.1\r\nHost: a\r\n" + std::string(framing) + "\r\n\r\n4C4B40\r\n");
    client.send(std::string(5'000'000 - 8, 'x'));
    client.half_close();
    const std::string answer = client.read_all();
    EXPECT_EQ(answer.rfind("HTTP/1.1 413 ", 0), 0u) << answer;
    EXPECT_NE(answer.find("[http.body_max]"), std::string::npos);
  }
}

TEST_F(HttpServerTest, AsksForTheBodyOnlyWhenItIsWanted) {
  serve();
  Client client(port_);
  client.send("POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  EXPECT_NE(client.read_until("POST /e abc").find("200 OK"), std::string::npos);
  Client refused(port_);
  refused.send(
      "POST /forbidden HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(refused.read_until("\r\n\r\n").rfind("HTTP/1.1 403 ", 0), 0u);
}

TEST_F(HttpServerTest, KeepsTheConnectionAfterARefusedHeadWithASmallBody) {
  serve();
  Client client(port_);
  client.send("POST /forbidden HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(client.read_until("]").rfind("HTTP/1.1 403 ", 0), 0u);
  EXPECT_NE(exchange(client, "/y").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, TurnsExceptionsAndSilenceInto500) {
  serve();
  for (const char* path : {"/throw", "/nothing"}) {
    Client client(port_);
    client.get(path);
    EXPECT_EQ(client.read_all().rfind("HTTP/1.1 500 ", 0), 0u);
  }
  Client cut(port_);
  cut.get("/cut");
  EXPECT_EQ(cut.read_all().find("0\r\n\r\n"), std::string::npos) << "looks complete";
}

TEST_F(HttpServerTest, TimesOutASlowHeadAndBodyAndAnIdleClient) {
  options_.head_timeout = 30ms;
  options_.body_timeout = 30ms;
  options_.idle_timeout = 60ms;
  serve();
  Client head(port_);
  head.send("GET / HT");
  const std::string late = head.read_all();
  EXPECT_EQ(late.rfind("HTTP/1.1 408 ", 0), 0u) << late;
  EXPECT_NE(late.find("[http.head_timeout]"), std::string::npos);
  Client body(port_);
  body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
  EXPECT_EQ(body.read_all().rfind("HTTP/1.1 408 ", 0), 0u);
  Client idle(port_);
  EXPECT_EQ(idle.read_all(), "");
}

TEST_F(HttpServerTest, BackPressureStopsTheWriterAndTheTimeoutCutsIt) {
  options_.write_timeout = 100ms;
  serve();
  Client client(port_, 4096);
  client.get("/flood");
  ASSERT_TRUE(handler_.happenings.wait("cancelled"));
  EXPECT_LT(handler_.pieces_taken, 10'000)
      << "gigabytes were taken for a client that reads nothing";
}

TEST_F(HttpServerTest, ASlowReaderGetsEverything) {
  serve();
  Client client(port_, 4096);
  client.get("/flood");
  std::string answer = client.read_until("\r\n\r\n");
  std::size_t size = 0;
  while (handler_.pieces_taken < 2000) size += client.read_until("\r\n").size();
  client.reset();
  EXPECT_TRUE(handler_.happenings.wait("cancelled"));
}

TEST_F(HttpServerTest, NoticesAClientThatCloses) {
  serve();
  Client client(port_);
  client.get("/wait");
  ASSERT_TRUE(handler_.happenings.wait("waiting"));
  client.close();
  EXPECT_TRUE(handler_.happenings.wait("client gone"));
  EXPECT_TRUE(handler_.happenings.wait("not sent"));
}

TEST_F(HttpServerTest, NoticesAResetBehindAFullPipeline) {
  options_.head_max = 1000;
  serve();
  Client client(port_);
  client.get("/wait");
  ASSERT_TRUE(handler_.happenings.wait("waiting"));
  client.send(std::string(5000, 'x'));
  client.reset();
  EXPECT_TRUE(handler_.happenings.wait("client gone"));
}

TEST_F(HttpServerTest, AnswersThePipelineAfterAFullBuffer) {
  options_.head_max = 200;
  serve();
  Client client(port_);
  client.get("/wait");
  ASSERT_TRUE(handler_.happenings.wait("waiting"));
  for (int i = 0; i < 20; ++i) client.get("/p" + std::to_string(i));
  handler_.release = true;
  EXPECT_NE(client.read_until("waited").find("200 OK"), std::string::npos);
  for (int i = 0; i < 20; ++i) {
    const std::string end = "GET /p" + std::to_string(i) + " ";
    ASSERT_NE(client.read_until(end).find(end), std::string::npos);
  }
}

TEST_F(HttpServerTest, AnswersAClientThatHalfClosesOnceTheAnswerIsMade) {
  serve();
  Client client(port_);
  client.get("/a");
  client.half_close();
  EXPECT_NE(client.read_all().find("GET /a "), std::string::npos);
}

TEST_F(HttpServerTest, RefusesConnectionsOverTheLimit) {
  options_.connections_max = 2;
  serve();
  Client first(port_);
  Client second(port_);
  exchange(first, "/a");
  exchange(second, "/a");
  Client third(port_);
  const std::string answer = third.read_all();
  EXPECT_EQ(answer.rfind("HTTP/1.1 503 ", 0), 0u) << answer;
  EXPECT_NE(answer.find("[http.connections_max]"), std::string::npos);
  EXPECT_NE(exchange(first, "/b").find("200 OK"), std::string::npos);
  EXPECT_EQ(server_->connections(), 2u);
}

TEST_F(HttpServerTest, DrainFinishesWhatRunsAndClosesWhatIsIdle) {
  options_.drain_grace = 20ms;
  serve();
  Client idle(port_);
  exchange(idle, "/a");
  Client busy(port_);
  busy.get("/wait");
  ASSERT_TRUE(handler_.happenings.wait("waiting"));
  auto done = begin_drain(20s);
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_NE(done.wait_for(0s), std::future_status::ready) << "a request still runs";
  handler_.release = true;
  const std::string answer = busy.read_all();
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  EXPECT_NE(answer.find("waited"), std::string::npos);
  busy.close();
  EXPECT_TRUE(done.get());
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(HttpServerTest, DrainCutsWhatDoesNotEnd) {
  serve();
  Client busy(port_);
  busy.get("/wait");
  ASSERT_TRUE(handler_.happenings.wait("waiting"));
  EXPECT_FALSE(drain(30ms));
  EXPECT_TRUE(handler_.happenings.wait("client gone"));
  EXPECT_EQ(busy.read_all(), "");
}

TEST_F(HttpServerTest, NamesTheCauseWhenItCannotListen) {
  serve();
  HttpServer second(threads_, handler_, {}, base::Logger());
  auto taken = second.listen("127.0.0.1", port_);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().message,
            "cannot listen on 127.0.0.1:" + std::to_string(port_) +
                ": the address is in use; stop the program that uses it, or choose another port");
  auto foreign = second.listen("192.0.2.1", 0);
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().message.find("does not have that address"), std::string::npos);
  auto nonsense = second.listen("999.1.1.1", 0);
  ASSERT_FALSE(nonsense);
  EXPECT_NE(nonsense.error().message.find("999.1.1.1"), std::string::npos);
}

TEST_F(HttpServerTest, ManyIdleConnectionsDoNotDisturb) {
  serve();
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 400; ++i) idle.push_back(std::make_unique<Client>(port_));
  Client client(port_);
  for (int i = 0; i < 20; ++i) ASSERT_NE(exchange(client, "/a").find("200 OK"), std::string::npos);
  EXPECT_EQ(server_->connections(), 401u);
}

}  // namespace
}  // namespace deepseek::io
