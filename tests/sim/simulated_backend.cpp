#include "simulated_backend.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

namespace deepseek::gateway::testing {

namespace asio = boost::asio;
using base::Milliseconds;
using base::TimePoint;
using Events = std::vector<protocol::Event>;

namespace {

constexpr Milliseconds gap_timeout{3'000};
constexpr std::string_view frame_head =
    R"(data: {"id":"chatcmpl-1","model":"m","created":1,"choices":[]})"
    "\n\n";

const std::vector<FailureKind> faults_before = {FailureKind::connect,
                                                FailureKind::timeout_connect,
                                                FailureKind::status_429,
                                                FailureKind::status_500,
                                                FailureKind::status_502_503_504,
                                                FailureKind::status_4xx_there,
                                                FailureKind::bad_answer,
                                                FailureKind::broken,
                                                FailureKind::status_408};
const std::vector<FailureKind> faults_within = {FailureKind::broken, FailureKind::stream_error,
                                                FailureKind::bad_answer};

}  // namespace

class SimulatedBackend::Stream final : public EventStream {
 public:
  Stream(SimulatedBackend& backend, const Attempt& attempt)
      : backend_(backend),
        world_(backend.world_),
        options_(backend.options_),
        words_(world_.answers.find(attempt.request.id)->second),
        attempt_(attempt),
        alarm_(std::make_shared<RunAlarm>(attempt.executor)) {
    backend_.streams_.push_back(this);
    if (attempt.spoken != nullptr) find_place(*attempt.spoken);
    due_ = world_.clock.now() + Milliseconds(world_.pick(1, 2 * options_.first_ms));
    choose_fault();
  }
  ~Stream() override { std::erase(backend_.streams_, this); }

  asio::awaitable<base::Result<Events>> read() override {
    world_.check(!reading_, "two reads of one stream at a time");
    reading_ = true;
    while (!cancelled_ && !dead_ && world_.clock.now() < std::min(due_, limit())) {
      world_.clock.set(alarm_, std::min(due_, limit()));
      co_await alarm_->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    reading_ = false;
    if (cancelled_) co_return fail(FailureKind::client_cancelled);
    if (dead_) co_return fail(FailureKind::broken);
    if (world_.clock.now() < due_) {
      co_return fail(answering_ ? FailureKind::timeout_gap : FailureKind::timeout_first_token);
    }
    if (fault_ && at_ >= fault_at_) co_return fail(*fault_);
    co_return act();
  }
  void cancel() override {
    cancelled_ = true;
    alarm_->timer.cancel();
  }
  void die() {
    dead_ = true;
    alarm_->timer.cancel();
  }
  AttemptFailure failure() const override { return failure_; }
  const std::string& request_id() const { return attempt_.request.id; }

 private:
  bool whole() const { return !attempt_.request.stream && !options_.local; }

  TimePoint limit() const {
    if (!answering_) return std::min(attempt_.first_token_by, attempt_.end_by);
    return std::min(last_ + gap_timeout, attempt_.end_by);
  }

  // The words that were said must be the beginning of the answer, each once and in its order.
  void find_place(const protocol::Spoken& spoken) {
    world_.check(options_.continues, "asked to go on, but it cannot");
    std::string content;
    std::string reasoning;
    while (at_ < words_.size() &&
           (content.size() + reasoning.size() < spoken.content.size() + spoken.reasoning.size())) {
      (words_[at_].reasoning ? reasoning : content) += words_[at_].text;
      ++at_;
    }
    world_.check(content == spoken.content && reasoning == spoken.reasoning,
                 "asked to go on behind what was never said");
    if (spoken.token_ids.empty()) return;
    world_.check(options_.local && spoken.token_ids.size() == at_, "token ids that are not all");
    for (std::size_t i = 0; i < spoken.token_ids.size(); ++i) {
      world_.check(spoken.token_ids[i] == id_of(i), "token ids of another model");
    }
  }
  std::int32_t id_of(std::size_t word) const {
    return static_cast<std::int32_t>(options_.index * 1'000 + word);
  }

  void choose_fault() {
    if (attempt_.request.user == "mistaken") {
      fault_ = FailureKind::status_400_client;
    } else if (backend_.back_at_ > world_.clock.now()) {
      // An engine that is away is waited for, but not for long.
      due_ = std::min(backend_.back_at_, world_.clock.now() + Milliseconds(2'000));
      if (due_ < backend_.back_at_) fault_ = FailureKind::connect;
    } else if (world_.chance(options_.fault_percent)) {
      fault_at_ = at_ + static_cast<std::size_t>(world_.pick(0, 4));
      if (whole()) fault_at_ = at_;
      stalls_ = world_.chance(25);
      const auto& kinds = fault_at_ == at_ ? faults_before : faults_within;
      fault_ = kinds[static_cast<std::size_t>(
          world_.pick(0, static_cast<std::int64_t>(kinds.size()) - 1))];
      if (stalls_ && fault_at_ == at_) due_ = TimePoint::max();
    }
    if (!fault_) fault_at_ = words_.size() + 1;
    fault_at_ = std::max(fault_at_, at_);
  }

  base::Error fail(FailureKind kind) {
    std::erase(backend_.streams_, this);
    failure_.kind = kind;
    if (kind == FailureKind::status_429 && world_.chance(50)) {
      failure_.retry_after = Milliseconds(world_.pick(100, 5'000));
    }
    if (kind == FailureKind::status_502_503_504 && world_.chance(30)) {
      failure_.retry_after = Milliseconds(world_.pick(100, 2'000));
    }
    return base::make_error(base::ErrorCode::upstream_failed,
                            std::string(describe(kind).name) + " here");
  }

  // The next words, or all of them where nothing is seen before the end.
  Events act() {
    Events events;
    if (attempt_.verbatim && attempt_.request.stream && !headed_ && !options_.local) {
      headed_ = true;
      if (world_.chance(50)) {
        protocol::Verbatim role;
        role.bytes = frame_head;
        events.emplace_back(std::move(role));
        pace();
        return events;
      }
    }
    const std::size_t count = whole() ? words_.size() : static_cast<std::size_t>(world_.pick(1, 3));
    for (std::size_t i = 0; i < count && at_ < std::min(words_.size(), fault_at_); ++i) say(events);
    if (at_ == words_.size() && (!fault_ || fault_at_ > at_)) finish(events);
    answering_ = true;
    last_ = world_.clock.now();
    pace();
    if (fault_ && stalls_ && at_ >= fault_at_) due_ = TimePoint::max();
    return events;
  }
  void pace() { due_ = world_.clock.now() + Milliseconds(world_.pick(0, 2 * options_.word_ms)); }

  void say(Events& events) {
    const KnownWord& word = words_[at_];
    ++said_;
    if (attempt_.verbatim && !options_.local) {
      protocol::Verbatim frame;
      frame.whole = whole();
      frame.bytes = whole() ? word.text : std::string(frame_head);
      frame.deltas = 1;
      if (!whole()) (word.reasoning ? frame.reasoning : frame.content) = word.text;
      events.emplace_back(std::move(frame));
    } else {
      protocol::Delta delta;
      (word.reasoning ? delta.reasoning : delta.content) = word.text;
      if (options_.local) delta.token_ids = {id_of(at_)};
      events.emplace_back(std::move(delta));
    }
    ++at_;
  }

  void finish(Events& events) {
    protocol::Finished finished;
    finished.usage.prompt_tokens = 5;
    finished.usage.completion_tokens = said_;
    events.emplace_back(finished);
    std::erase(backend_.streams_, this);
  }

  SimulatedBackend& backend_;
  SimulatedWorld& world_;
  const SimulatedOptions& options_;
  const KnownAnswer& words_;
  const Attempt attempt_;
  std::shared_ptr<RunAlarm> alarm_;
  std::size_t at_ = 0;  // the next word
  std::int64_t said_ = 0;
  TimePoint due_{};
  TimePoint last_{};
  std::optional<FailureKind> fault_;
  std::size_t fault_at_ = 0;
  bool stalls_ = false;
  bool headed_ = false;
  bool answering_ = false;
  bool reading_ = false;
  bool cancelled_ = false;
  bool dead_ = false;
  AttemptFailure failure_{};
};

std::unique_ptr<EventStream> SimulatedBackend::start(const Attempt& attempt) {
  return std::make_unique<Stream>(*this, attempt);
}

std::size_t SimulatedBackend::live(std::string_view request_id) const {
  return static_cast<std::size_t>(
      std::count_if(streams_.begin(), streams_.end(),
                    [&](const Stream* stream) { return stream->request_id() == request_id; }));
}

void SimulatedBackend::die(Milliseconds away) {
  back_at_ = world_.clock.now() + away;
  for (Stream* stream : std::exchange(streams_, {})) stream->die();
}

}  // namespace deepseek::gateway::testing
