#include "io/http_server.hpp"

#include "io/http_session.hpp"
#include "io/task_group.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <unordered_set>
#include <utility>
#include <vector>

namespace deepseek::io {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::ErrorCode;
using base::Result;

namespace {

constexpr int backlog = 4096;
constexpr int accept_batch_max = 64;
constexpr std::size_t refusals_max = 64;  // connections over the limit that are told so at once
constexpr base::Milliseconds accept_pause{100};  // when out of descriptors
constexpr base::Milliseconds drain_step{5};

std::string place(const std::string& host, std::uint16_t port) {
  const bool six = host.find(':') != std::string::npos;
  return (six ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

base::Error listen_error(const std::string& where, int number) {
  std::string text = "cannot listen on " + where + ": ";
  if (number == EADDRINUSE) {
    text += "the address is in use; stop the program that uses it, or choose another port";
  } else if (number == EACCES || number == EPERM) {
    text += "no permission; choose a port from 1024 up, or grant CAP_NET_BIND_SERVICE";
  } else if (number == EADDRNOTAVAIL) {
    text += "this machine does not have that address; choose one of its own, 127.0.0.1 or 0.0.0.0";
  } else {
    text += std::strerror(number);
  }
  return base::make_error(ErrorCode::invalid_request, text);
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

// IPv4 first, so that "localhost" is 127.0.0.1.
Result<Address> resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int status = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (status != 0 || list == nullptr) {
    return base::make_error(ErrorCode::invalid_request,
                            "cannot listen on " + place(host, port) + ": \"" + host +
                                "\" is not an address of this machine (" + ::gai_strerror(status) +
                                "); use an IP address such as 127.0.0.1 or 0.0.0.0");
  }
  const addrinfo* chosen = list;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET) {
      chosen = entry;
      break;
    }
  }
  Address address;
  std::memcpy(&address.storage, chosen->ai_addr, chosen->ai_addrlen);
  address.size = chosen->ai_addrlen;
  ::freeaddrinfo(list);
  return address;
}

std::string format_peer(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, &storage, sizeof four);
    ::inet_ntop(AF_INET, &four.sin_addr, text, sizeof text);
  } else if (storage.ss_family == AF_INET6) {
    sockaddr_in6 six{};
    std::memcpy(&six, &storage, sizeof six);
    if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) {
      ::inet_ntop(AF_INET, &six.sin6_addr.s6_addr[12], text, sizeof text);
    } else {
      ::inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof text);
    }
  }
  return text;
}

bool out_of_resources(int number) {
  return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

}  // namespace

struct HttpServer::Core {
  // What lives on one I/O thread.
  struct Shard {
    Shard(asio::io_context& given, const base::Logger& logger)
        : context(given),
          tasks(given.get_executor(), [logger](std::string_view task, std::string_view what) {
            logger.error("task threw", {{"task", task}, {"what", what}});
          }) {}
    asio::io_context& context;
    TaskGroup tasks;
    std::unordered_set<HttpSession*> sessions;
    std::atomic<std::size_t> load{0};
  };

  Core(IoThreads& threads, HttpHandler& handler, HttpServerOptions options, base::Logger logger)
      : shared(handler, std::move(options), logger),
        acceptor(threads.context(0)),
        pause(threads.context(0)) {
    for (std::size_t index = 0; index < threads.size(); ++index) {
      shards.push_back(std::make_unique<Shard>(threads.context(index), logger));
    }
  }

  asio::awaitable<void> accept_loop();
  bool accept_batch();
  void hand_over(int descriptor, const sockaddr_storage& peer);
  void adopt(Shard& shard, int descriptor, std::string peer, bool refused);
  static asio::awaitable<void> run_session(Core& core, Shard& shard,
                                           std::unique_ptr<HttpSession> session, bool refused);

  HttpSessionContext shared;
  std::vector<std::unique_ptr<Shard>> shards;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  bool accepting = true;  // on the first thread
  std::atomic<bool> accept_running{false};
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> refusals{0};
  bool started = false;
  bool drained = false;
};

asio::awaitable<void> HttpServer::Core::accept_loop() {
  while (accepting) {
    co_await acceptor.async_wait(tcp::acceptor::wait_read, asio::as_tuple(asio::use_awaitable));
    if (!accepting) break;
    const bool exhausted = accept_batch();
    if (exhausted && accepting) {
      pause.expires_after(accept_pause);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }
  // Who waits in the backlog was promised a connection.
  accept_batch();
  boost::system::error_code ignored;
  acceptor.close(ignored);
  accept_running = false;
}

// True when the system has no descriptors left.
bool HttpServer::Core::accept_batch() {
  for (int count = 0; count < (accepting ? accept_batch_max : backlog); ++count) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int descriptor = ::accept4(acceptor.native_handle(), reinterpret_cast<sockaddr*>(&peer),
                                     &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      hand_over(descriptor, peer);
    } else if (out_of_resources(errno)) {
      const int number = errno;
      std::int64_t suppressed = 0;
      if (shared.accept_limit.allow(base::now(), suppressed)) {
        shared.logger.warning("cannot accept connections; raise the limit of open files",
                              {{"reason", std::strerror(number)}, {"suppressed", suppressed}});
      }
      return true;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return false;
    }
  }
  return false;
}

void HttpServer::Core::hand_over(int descriptor, const sockaddr_storage& peer) {
  const bool refused = connections.load() >= shared.options.connections_max;
  if (refused && refusals.load() >= refusals_max) {
    ::close(descriptor);
    return;
  }
  ++(refused ? refusals : connections);
  const auto& shard = *std::min_element(
      shards.begin(), shards.end(),
      [](const auto& left, const auto& right) { return left->load.load() < right->load.load(); });
  asio::post(shard->context, [this, &target = *shard, descriptor, address = format_peer(peer),
                              refused] { adopt(target, descriptor, address, refused); });
}

void HttpServer::Core::adopt(Shard& shard, int descriptor, std::string peer, bool refused) {
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  tcp::socket socket(shard.context);
  boost::system::error_code error;
  socket.assign(tcp::v4(), descriptor, error);
  if (error) {
    ::close(descriptor);
    --(refused ? refusals : connections);
    return;
  }
  auto connection = std::make_shared<HttpConnection>(
      std::move(socket), shared.options.tls ? shared.options.tls->native() : nullptr,
      shared.options.head_max);
  auto session =
      std::make_unique<HttpSession>(shared, std::move(connection), std::move(peer), shard.load);
  const bool spawned =
      shard.tasks.spawn("http session", run_session(*this, shard, std::move(session), refused));
  if (!spawned) --(refused ? refusals : connections);
}

asio::awaitable<void> HttpServer::Core::run_session(Core& core, Shard& shard,
                                                    std::unique_ptr<HttpSession> session,
                                                    bool refused) {
  struct Registration {
    Core& core;
    Shard& shard;
    HttpSession* session;
    bool refused;
    ~Registration() {
      shard.sessions.erase(session);
      --(refused ? core.refusals : core.connections);
    }
  };
  shard.sessions.insert(session.get());
  const Registration registration{core, shard, session.get(), refused};
  if (refused) {
    co_await session->run_refused();
  } else {
    co_await session->run();
  }
  session.reset();
}

HttpServer::HttpServer(IoThreads& threads, HttpHandler& handler, HttpServerOptions options,
                       base::Logger logger)
    : core_(std::make_shared<Core>(threads, handler, std::move(options), logger)) {}

HttpServer::~HttpServer() {
  assert((!core_->started || core_->drained) && "drain() a server before it is destroyed");
}

Result<std::uint16_t> HttpServer::listen(const std::string& host, std::uint16_t port) {
  auto address = resolve(host, port);
  if (!address) return address.error();
  const int family = address->storage.ss_family;
  const int descriptor = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return listen_error(place(host, port), errno);
  const int on = 1;
  const int off = 0;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address->storage), address->size) != 0 ||
      ::listen(descriptor, backlog) != 0 ||
      ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    const int number = errno;
    ::close(descriptor);
    return listen_error(place(host, port), number);
  }
  boost::system::error_code error;
  core_->acceptor.assign(family == AF_INET6 ? tcp::v6() : tcp::v4(), descriptor, error);
  if (error) {
    ::close(descriptor);
    return listen_error(place(host, port), error.value());
  }
  sockaddr_in four{};
  std::memcpy(&four, &bound, sizeof four);  // the port is at the same place in both families
  return ntohs(four.sin_port);
}

void HttpServer::start() {
  core_->started = true;
  core_->accept_running = true;
  asio::post(core_->shards[0]->context,
             [core = core_] { core->shards[0]->tasks.spawn("accept", core->accept_loop()); });
}

void HttpServer::stop_accepting() {
  asio::post(core_->shards[0]->context, [core = core_] {
    core->accepting = false;
    boost::system::error_code ignored;
    core->acceptor.cancel(ignored);
    core->pause.cancel();
  });
}

asio::awaitable<bool> HttpServer::drain(std::chrono::milliseconds limit) {
  const std::shared_ptr<Core> core = core_;
  asio::any_io_executor executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor);
  core->shared.draining = true;
  stop_accepting();
  for (const auto& shard : core->shards) {
    asio::post(shard->context, [core, &target = *shard] {
      for (HttpSession* session : target.sessions) session->drain();
    });
  }
  const base::TimePoint deadline = base::now() + limit;
  while ((core->accept_running || core->connections + core->refusals > 0) &&
         base::now() < deadline) {
    timer.expires_after(drain_step);
    co_await timer.async_wait(asio::use_awaitable);
  }
  const bool clean = core->connections == 0;
  close_all();
  for (const auto& shard : core->shards) {
    co_await run_on(shard->context.get_executor(), shard->tasks.stop());
  }
  core->drained = true;
  co_return clean;
}

void HttpServer::close_all() {
  for (const auto& shard : core_->shards) {
    asio::post(shard->context, [core = core_, &target = *shard] {
      for (HttpSession* session : target.sessions) session->cut();
    });
  }
}

std::size_t HttpServer::connections() const {
  return core_->connections.load();
}

}  // namespace deepseek::io
