// One run of the load generator: its settings, what it counted, and the connections that all modes
// share. One thread owns everything here; a mode (closed, open, streams) decides who sends when.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrivals.hpp"
#include "canned.hpp"
#include "histogram.hpp"
#include "http_scan.hpp"
#include "sockets.hpp"

namespace bench {

struct LoadSettings {
  int port = 0;
  std::string mode;  // closed, open or streams
  int connections = 1;
  std::int64_t length_ns = 0;
  std::int64_t warm_ns = 0;
  double rate = 0;
  std::uint64_t seed = 0;
  int frames = 0;
  int repeat = 1;
  std::int64_t ramp_ns = 0;
  std::string path;
  std::vector<std::string> headers;
  std::string model;
  std::size_t body_bytes = 0;
  std::size_t zipf_keys = 0;
  double zipf_exponent = 1;
};

/// What a run counted. Times are in nanoseconds.
struct LoadResult {
  std::uint64_t answered = 0;  // all answers, those of the warm-up included
  std::uint64_t errors = 0;
  std::uint64_t reconnects = 0;
  std::uint64_t unfinished = 0;
  std::string first_error;
  bool overloaded = false;
  double seconds = 0;
  std::size_t distinct_keys = 0;
  Histogram latency;  // closed and open: from the send, or from the time it was due
  Histogram first_frame;
  Histogram gap;
  Histogram transit;  // from the upstream's write of a frame to our reading it
  std::uint64_t frames = 0;
  std::uint64_t frames_due = 0;
  std::uint64_t streams_whole = 0;
};

/// The bytes of one request; with Zipf keys a few digits in it change each time.
class RequestText {
 public:
  explicit RequestText(const LoadSettings& settings);
  std::string_view next();
  std::size_t distinct_keys() const { return zipf_ ? zipf_->distinct() : 0; }

 private:
  std::string text_;
  std::size_t digits_at_ = 0;
  std::optional<Zipf> zipf_;
};

struct Client {
  int socket = -1;
  bool busy = false;
  bool wants_write = false;
  bool in_body = false;
  bool closes = false;
  int status = 0;
  std::int64_t from_ns = 0;  // what the latency counts from
  std::int64_t last_frame_ns = 0;
  int streams_left = 0;
  std::string in;
  std::string out;
  std::string error_body;
  BodyScanner body;
  StreamCheck check;
};

/// Sends, receives and counts. A mode derives from it and is told when an answer is complete.
class LoadRun {
 public:
  explicit LoadRun(LoadSettings settings);
  virtual ~LoadRun();
  LoadRun(const LoadRun&) = delete;
  LoadRun& operator=(const LoadRun&) = delete;

  LoadResult run();

 protected:
  /// Called once before the first wait.
  virtual void begin() = 0;
  /// Called after every wait; returns when to wake next, or nothing when the run is over.
  virtual std::optional<std::int64_t> tick(std::int64_t now) = 0;
  /// An answer is complete, or failed; the client is free again.
  virtual void finished(Client& client, std::int64_t now, bool good) = 0;

  void send_request(Client& client, std::int64_t from_ns);

  const LoadSettings settings_;
  LoadResult result_;
  std::vector<Client> clients_;
  std::int64_t start_ns_ = 0;

 private:
  bool connect(Client& client);
  void handle(const epoll_event& event);
  void flush(Client& client);
  void take(Client& client, std::string_view data);
  bool take_head(Client& client);
  void take_payload(Client& client, std::string_view payload, std::int64_t now);
  void complete(Client& client, std::int64_t now);
  void fail(Client& client, std::string_view why);
  void disconnect(Client& client);

  Poller poller_;
  RequestText request_;
  std::vector<Client*> by_socket_;
  std::string held_;
  char buffer_[256 * 1024];
};

std::unique_ptr<LoadRun> make_load_run(const LoadSettings& settings);

}  // namespace bench
