// Who sends when: the three modes of the load generator.
#include <deque>

#include "load_run.hpp"

namespace bench {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kErrorsMax = 1000;  // more tell nothing new
constexpr std::int64_t kRetryNs = 10 * kMillisecond;
constexpr std::int64_t kBehindMax = 300 * kMillisecond;
constexpr std::int64_t kGraceNs = 2000 * kMillisecond;

// Every connection sends its next request when it has the answer to the last.
class ClosedLoop final : public LoadRun {
 public:
  using LoadRun::LoadRun;

 private:
  void begin() override {
    for (Client& client : clients_) send_request(client, now_ns());
  }

  std::optional<std::int64_t> tick(std::int64_t now) override {
    const std::int64_t end = start_ns_ + settings_.warm_ns + settings_.length_ns;
    if (now >= end || result_.errors > kErrorsMax) {
      result_.seconds = static_cast<double>(now - start_ns_ - settings_.warm_ns) / 1e9;
      return std::nullopt;
    }
    if (!failed_.empty() && now >= retry_ns_) {
      std::vector<Client*> again;
      again.swap(failed_);
      for (Client* client : again) send_request(*client, now);
    }
    return failed_.empty() ? end : std::min(end, retry_ns_);
  }

  void finished(Client& client, std::int64_t now, bool good) override {
    if (good) {
      send_request(client, now);
    } else {  // later, and not from here: a server that refuses everything must not be a recursion
      failed_.push_back(&client);
      retry_ns_ = now + kRetryNs;
    }
  }

  std::vector<Client*> failed_;
  std::int64_t retry_ns_ = 0;
};

// Requests are due at times that do not depend on the answers, and latency counts from then.
class OpenLoop final : public LoadRun {
 public:
  explicit OpenLoop(const LoadSettings& settings)
      : LoadRun(settings), arrivals_(settings.rate, settings.seed) {}

 private:
  void begin() override {
    for (Client& client : clients_) free_.push_back(&client);
    next_ns_ = start_ns_ + arrivals_.next();
  }

  std::optional<std::int64_t> tick(std::int64_t now) override {
    const std::int64_t end = start_ns_ + settings_.warm_ns + settings_.length_ns;
    while (next_ns_ <= now && next_ns_ < end) {
      waiting_.push_back(next_ns_);
      next_ns_ = start_ns_ + arrivals_.next();
    }
    if (!waiting_.empty() && now - waiting_.front() > kBehindMax && settings_.seed == 0) {
      result_.overloaded = true;
    }
    while (!waiting_.empty() && !free_.empty()) {
      Client* client = free_.back();
      free_.pop_back();
      const std::int64_t due = waiting_.front();
      waiting_.pop_front();
      send_request(*client, due);
    }
    const bool all_sent = next_ns_ >= end && waiting_.empty();
    const bool idle = free_.size() == clients_.size();
    if (result_.overloaded || result_.errors > kErrorsMax || (all_sent && idle) ||
        now > end + kGraceNs) {
      result_.seconds = static_cast<double>(std::min(now, end) - start_ns_) / 1e9;
      result_.unfinished += waiting_.size();
      return std::nullopt;
    }
    return next_ns_ < end ? next_ns_ : end + kGraceNs + 1;
  }

  void finished(Client& client, std::int64_t, bool) override { free_.push_back(&client); }

  Arrivals arrivals_;
  std::vector<Client*> free_;
  std::deque<std::int64_t> waiting_;
  std::int64_t next_ns_ = 0;
};

// Every connection reads a few streams, one after another; their starts are spread over the ramp.
class Streams final : public LoadRun {
 public:
  using LoadRun::LoadRun;

 private:
  void begin() override {
    for (Client& client : clients_) client.streams_left = settings_.repeat;
    left_ = clients_.size() * static_cast<std::size_t>(settings_.repeat);
    result_.frames_due = left_ * static_cast<std::size_t>(settings_.frames);
  }

  std::optional<std::int64_t> tick(std::int64_t now) override {
    const auto count = static_cast<std::int64_t>(clients_.size());
    const auto due = [&] {
      return start_ns_ + settings_.ramp_ns * static_cast<std::int64_t>(started_) / count;
    };
    while (started_ < clients_.size() && due() <= now) {
      Client& client = clients_[started_++];
      send_request(client, now);
    }
    const std::int64_t end = start_ns_ + settings_.length_ns;
    if (left_ == 0 || now >= end) {
      result_.seconds = static_cast<double>(now - start_ns_) / 1e9;
      return std::nullopt;
    }
    return started_ < clients_.size() ? std::min(due(), end) : end;
  }

  void finished(Client& client, std::int64_t now, bool good) override {
    --left_;
    if (good) ++result_.streams_whole;
    if (--client.streams_left > 0) send_request(client, now);
  }

  std::size_t started_ = 0;
  std::size_t left_ = 0;
};

}  // namespace

std::unique_ptr<LoadRun> make_load_run(const LoadSettings& settings) {
  if (settings.mode == "closed") return std::make_unique<ClosedLoop>(settings);
  if (settings.mode == "open") return std::make_unique<OpenLoop>(settings);
  if (settings.mode == "streams") return std::make_unique<Streams>(settings);
  return nullptr;
}

}  // namespace bench
