#include "load_run.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "text.hpp"

namespace bench {
namespace {

constexpr std::size_t kErrorBytesMax = 300;
constexpr std::size_t kKeyDigits = 8;

std::string body_of(const LoadSettings& settings) {
  const bool streams = settings.mode == "streams";
  const std::string front =
      joined(R"({"model":")", settings.model, R"(","messages":[{"role":"user","content":")");
  const std::string back =
      joined(R"("}],"max_tokens":16)",
             streams ? R"(,"stream":true,"stream_options":{"include_usage":true})" : "", "}");
  std::string words = "00000000 Say hello to everybody.";
  while (front.size() + words.size() + back.size() < settings.body_bytes) {
    words += " And the sea is wide and blue.";
  }
  return front + words + back;
}

}  // namespace

RequestText::RequestText(const LoadSettings& settings) {
  const std::string body = body_of(settings);
  text_ = joined("POST ", settings.path, " HTTP/1.1\r\nHost: 127.0.0.1:", settings.port,
                 "\r\nContent-Type: application/json\r\n");
  for (const std::string& header : settings.headers) text_ += header + "\r\n";
  text_ += joined("Content-Length: ", body.size(), "\r\n\r\n");
  digits_at_ = text_.size() + body.find("00000000");
  text_ += body;
  if (settings.zipf_keys > 0) {
    zipf_.emplace(settings.zipf_keys, settings.zipf_exponent, settings.seed);
  }
}

std::string_view RequestText::next() {
  if (zipf_) {
    const std::string key = joined(100'000'000 + zipf_->next());  // nine digits, the first a 1
    text_.replace(digits_at_, kKeyDigits, key, 1, kKeyDigits);
  }
  return text_;
}

LoadRun::LoadRun(LoadSettings settings)
    : settings_(std::move(settings)),
      clients_(static_cast<std::size_t>(settings_.connections)),
      request_(settings_) {}

LoadRun::~LoadRun() {
  for (const Client& client : clients_) {
    if (client.socket >= 0) close(client.socket);
  }
}

LoadResult LoadRun::run() {
  for (Client& client : clients_) connect(client);
  start_ns_ = now_ns();
  begin();
  for (;;) {
    const std::optional<std::int64_t> wake = tick(now_ns());
    if (!wake) break;
    for (const epoll_event& event : poller_.wait(*wake)) handle(event);
  }
  result_.distinct_keys = request_.distinct_keys();
  for (const Client& client : clients_) result_.unfinished += client.busy ? 1 : 0;
  return result_;
}

bool LoadRun::connect(Client& client) {
  client.socket = connect_to(settings_.port);
  if (client.socket < 0) return false;
  const auto at = static_cast<std::size_t>(client.socket);
  if (by_socket_.size() <= at) by_socket_.resize(at + 1);
  by_socket_[at] = &client;
  client.in.clear();
  client.out.clear();
  client.wants_write = false;
  poller_.add(client.socket, EPOLLIN | EPOLLRDHUP);
  return true;
}

void LoadRun::disconnect(Client& client) {
  if (client.socket < 0) return;
  by_socket_[static_cast<std::size_t>(client.socket)] = nullptr;
  close(client.socket);
  client.socket = -1;
}

void LoadRun::send_request(Client& client, std::int64_t from_ns) {
  client.busy = true;
  client.from_ns = from_ns;
  client.in_body = false;
  client.status = 0;
  client.error_body.clear();
  if (settings_.frames > 0) client.check.start();
  if (client.socket < 0 && !connect(client)) {
    fail(client, "cannot connect");
    return;
  }
  const std::string_view text = request_.next();
  const std::int64_t sent = send_some(client.socket, text);
  if (sent == static_cast<std::int64_t>(text.size())) return;
  client.out.assign(text.substr(static_cast<std::size_t>(std::max<std::int64_t>(sent, 0))));
  flush(client);
}

void LoadRun::flush(Client& client) {
  const std::int64_t sent = send_some(client.socket, client.out);
  if (sent > 0) client.out.erase(0, static_cast<std::size_t>(sent));
  // A socket that broke says so when it is read; while it connects it is full.
  const bool wants_write = !client.out.empty();
  if (wants_write != client.wants_write) {
    client.wants_write = wants_write;
    poller_.change(client.socket, EPOLLIN | EPOLLRDHUP | (wants_write ? EPOLLOUT : 0U));
  }
}

void LoadRun::handle(const epoll_event& event) {
  Client* client = by_socket_[static_cast<std::size_t>(event.data.fd)];
  if (client == nullptr) return;
  if ((event.events & EPOLLOUT) != 0) flush(*client);
  if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) == 0) return;
  const ssize_t got = read(client->socket, buffer_, sizeof buffer_);
  if (got > 0) {
    take(*client, {buffer_, static_cast<std::size_t>(got)});
    return;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  const std::string why = got < 0 ? std::strerror(errno) : "the connection was closed";
  disconnect(*client);
  if (client->busy) {
    fail(*client, why);
  } else {
    ++result_.reconnects;
  }
}

void LoadRun::take(Client& client, std::string_view data) {
  const std::int64_t now = now_ns();
  if (!client.busy) return;  // nobody asked for this; the next answer will not be what it should be
  if (!client.in_body) {
    client.in.append(data);
    if (!take_head(client)) return;
    held_.swap(client.in);  // what came with the head
    client.in.clear();
    data = held_;
  }
  const std::size_t used =
      client.body.feed(data, [&](std::string_view payload) { take_payload(client, payload, now); });
  if (client.body.broken() || (client.body.done() && used < data.size())) {
    disconnect(client);
    fail(client, client.body.broken() ? "broken chunks" : "bytes after the answer");
  } else if (client.body.done()) {
    complete(client, now);
  }
}

bool LoadRun::take_head(Client& client) {
  const std::optional<Head> head = scan_head(client.in);
  if (!head) return false;
  client.status = head->status();
  client.closes = head->close;
  client.body.start(*head);
  client.in_body = true;
  client.in.erase(0, head->size);
  return true;
}

void LoadRun::take_payload(Client& client, std::string_view payload, std::int64_t now) {
  if (client.status != 200) {
    client.error_body.append(payload.substr(0, kErrorBytesMax));
    return;
  }
  if (settings_.frames == 0) return;
  client.check.feed(payload, [&](std::int64_t sent_ns) {
    if (client.check.frames() == 1) {
      result_.first_frame.add(static_cast<std::uint64_t>(now - client.from_ns));
    } else {
      result_.gap.add(static_cast<std::uint64_t>(now - client.last_frame_ns));
    }
    client.last_frame_ns = now;
    result_.transit.add(static_cast<std::uint64_t>(std::max<std::int64_t>(0, now - sent_ns)));
    ++result_.frames;
  });
}

void LoadRun::complete(Client& client, std::int64_t now) {
  if (client.closes) {
    disconnect(client);
    ++result_.reconnects;
  }
  if (client.status != 200) {
    fail(client, joined("status ", client.status, ": ", client.error_body));
    return;
  }
  if (settings_.frames > 0 && !client.check.complete(settings_.frames)) {
    fail(client, joined("a stream with ", client.check.frames(), " frames in order, ",
                        client.check.disordered(), " out of order"));
    return;
  }
  client.busy = false;
  ++result_.answered;
  if (now - start_ns_ >= settings_.warm_ns && settings_.frames == 0) {
    result_.latency.add(static_cast<std::uint64_t>(now - client.from_ns));
  }
  finished(client, now, true);
}

void LoadRun::fail(Client& client, std::string_view why) {
  client.busy = false;
  ++result_.errors;
  if (result_.first_error.empty()) result_.first_error = why.substr(0, kErrorBytesMax);
  finished(client, now_ns(), false);
}

}  // namespace bench
