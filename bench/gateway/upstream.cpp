// A canned OpenAI-form upstream: answers at once with a fixed completion, or streams numbered
// frames at a fixed pace. One thread on raw epoll, so that the proxy before it is what limits.
//
//   gateway_upstream [--port 0] [--frames 64] [--pace-us 20000] [--delay-us 0] [--serial 0]
//
// Prints `listening on PORT`. --delay-us is the time before the first byte; with --serial 1
// requests wait for each other, as on a server that does one thing at a time. GET /stats counts
// requests.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <queue>
#include <string>
#include <unordered_map>

#include "canned.hpp"
#include "flags.hpp"
#include "http_scan.hpp"
#include "sockets.hpp"
#include "text.hpp"

namespace bench {
namespace {

struct Settings {
  int frames = 0;
  std::int64_t pace_ns = 0;
  std::int64_t delay_ns = 0;
  bool serial = false;
};

struct Connection {
  std::string in;
  std::string out;
  std::uint64_t life = 0;  // tells a connection from an earlier one with the same number
  bool wants_write = false;
  bool busy = false;  // an answer is due later or being streamed
  bool streams = false;
  bool usage = false;
  int frame = 0;
};

struct Due {
  std::int64_t at_ns;
  int socket;
  std::uint64_t life;
  bool operator>(const Due& other) const { return at_ns > other.at_ns; }
};

class Upstream {
 public:
  Upstream(int listener, Settings settings) : listener_(listener), settings_(settings) {
    poller_.add(listener_, EPOLLIN);
  }

  [[noreturn]] void run() {
    for (;;) {
      for (const epoll_event& event : poller_.wait(due_.empty() ? -1 : due_.top().at_ns)) {
        handle(event);
      }
      while (!due_.empty() && due_.top().at_ns <= now_ns()) {
        const Due due = due_.top();
        due_.pop();
        const auto found = connections_.find(due.socket);
        if (found != connections_.end() && found->second.life == due.life) step(due, found->second);
      }
    }
  }

 private:
  void handle(const epoll_event& event) {
    if (event.data.fd == listener_) {
      for (int made; (made = accept_from(listener_)) >= 0;) {
        connections_[made].life = ++lives_;
        poller_.add(made, EPOLLIN | EPOLLRDHUP);
      }
      return;
    }
    const auto found = connections_.find(event.data.fd);
    if (found == connections_.end()) return;
    Connection& connection = found->second;
    if ((event.events & EPOLLOUT) != 0 && !flush(event.data.fd, connection)) return;
    if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) == 0) return;
    const ssize_t got = read(event.data.fd, buffer_, sizeof buffer_);
    if (got <= 0) {
      drop(event.data.fd, connection);
      return;
    }
    connection.in.append(buffer_, static_cast<std::size_t>(got));
    serve(event.data.fd, connection);
  }

  // Answers the requests that are complete, one after another.
  void serve(int socket, Connection& connection) {
    while (!connection.busy) {
      const auto head = scan_head(connection.in);
      if (!head) return;
      std::string decoded;
      BodyScanner scanner;
      scanner.start(*head);
      const std::string_view rest = std::string_view(connection.in).substr(head->size);
      if (!head->chunked && rest.size() < head->length) return;
      const std::size_t taken =
          scanner.feed(rest, [&](std::string_view part) { decoded.append(part); });
      if (!scanner.done()) return;
      const std::string line(head->start_line);
      connection.in.erase(0, head->size + taken);
      if (!answer(socket, connection, line, decoded)) return;
    }
  }

  // False when the connection is gone.
  bool answer(int socket, Connection& connection, std::string_view line, std::string_view body) {
    if (line.starts_with("POST ") && line.find("/chat/completions ") != std::string_view::npos) {
      ++requests_;
      connection.streams = has_true(body, "stream");
      if (!connection.streams && settings_.delay_ns == 0) {
        return write(socket, connection, completion_);
      }
      connection.usage = has_true(body, "include_usage");
      connection.frame = 0;
      connection.busy = true;
      const std::int64_t now = now_ns();
      free_at_ns_ = std::max(now, free_at_ns_) + settings_.delay_ns;
      const std::int64_t at = settings_.serial ? free_at_ns_ : now + settings_.delay_ns;
      due_.push({at, socket, connection.life});
      return true;
    }
    return write(socket, connection, other_answer(line));
  }

  std::string other_answer(std::string_view line) const {
    if (line.find("/models ") != std::string_view::npos) {
      return json_response("200 OK", R"({"object":"list","data":[{"id":"bench","object":"model",)"
                                     R"("created":1760000000,"owned_by":"bench"}]})");
    }
    if (line.starts_with("GET /health ")) return json_response("200 OK", R"({"status":"ok"})");
    if (line.starts_with("GET /stats ")) {
      return json_response(
          "200 OK", joined(R"({"requests":)", requests_, R"(,"connections":)", connections_.size(),
                           R"(,"cancelled":)", cancelled_, "}"));
    }
    return json_response("404 Not Found", R"({"error":{"message":"no such path"}})");
  }

  // The time of an answer, or of a stream's next frame, has come.
  void step(const Due& due, Connection& connection) {
    bool alive = true;
    if (!connection.streams) {
      connection.busy = false;
      alive = write(due.socket, connection, completion_);
    } else {
      if (connection.frame == 0) connection.out.append(stream_head());
      const int frame = connection.frame++;
      if (frame < settings_.frames) {
        alive = write(due.socket, connection, content_chunk(frame, now_ns()));
        due_.push({due.at_ns + settings_.pace_ns, due.socket, due.life});
        return;
      }
      connection.busy = false;
      alive = write(due.socket, connection, stream_end(settings_.frames, connection.usage));
    }
    if (alive && !connection.in.empty()) serve(due.socket, connection);
  }

  bool write(int socket, Connection& connection, std::string_view data) {
    if (connection.out.empty()) {
      const std::int64_t sent = send_some(socket, data);
      if (sent == static_cast<std::int64_t>(data.size())) return true;
      if (sent > 0) data.remove_prefix(static_cast<std::size_t>(sent));
    }
    connection.out.append(data);
    return flush(socket, connection);
  }

  bool flush(int socket, Connection& connection) {
    const std::int64_t sent = send_some(socket, connection.out);
    if (sent < 0) {
      drop(socket, connection);
      return false;
    }
    connection.out.erase(0, static_cast<std::size_t>(sent));
    const bool wants_write = !connection.out.empty();
    if (wants_write != connection.wants_write) {
      connection.wants_write = wants_write;
      poller_.change(socket, EPOLLIN | EPOLLRDHUP | (wants_write ? EPOLLOUT : 0U));
    }
    return true;
  }

  void drop(int socket, const Connection& connection) {
    if (connection.busy) ++cancelled_;
    close(socket);
    connections_.erase(socket);
  }

  int listener_;
  Settings settings_;
  Poller poller_;
  const std::string completion_ = completion_response();
  std::unordered_map<int, Connection> connections_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::uint64_t lives_ = 0;
  std::int64_t free_at_ns_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t cancelled_ = 0;
  char buffer_[128 * 1024];
};

}  // namespace
}  // namespace bench

int main(int count, char** words) {
  const bench::Flags flags(
      count, words,
      {{"port", "0"}, {"frames", "64"}, {"pace-us", "20000"}, {"delay-us", "0"}, {"serial", "0"}});
  bench::Settings settings;
  settings.frames = static_cast<int>(flags.whole("frames"));
  settings.pace_ns = flags.whole("pace-us") * 1000;
  settings.delay_ns = flags.whole("delay-us") * 1000;
  settings.serial = flags.whole("serial") != 0;
  bench::wake_exactly();
  const int listener = bench::listen_on(static_cast<int>(flags.whole("port")));
  std::printf("listening on %d\n", bench::port_of(listener));
  std::fflush(stdout);
  bench::Upstream upstream(listener, settings);
  upstream.run();
}
