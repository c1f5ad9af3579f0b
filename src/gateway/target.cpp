#include "gateway/target.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

using std::chrono::microseconds;

Target::Target(TargetOptions options, Backend& backend)
    : options_(std::move(options)), backend_(backend), health_(options_.health) {}

bool Target::serves(std::string_view model) const {
  const auto& models = options_.models;
  return models.empty() || std::find(models.begin(), models.end(), model) != models.end();
}

void Target::set_listed(std::vector<std::string> models) {
  const std::lock_guard lock(listed_mutex_);
  listed_ = std::move(models);
}

std::vector<std::string> Target::listed() const {
  const std::lock_guard lock(listed_mutex_);
  return listed_;
}

bool Target::enter() {
  if (in_flight_.fetch_add(1) < options_.in_flight_max) return true;
  in_flight_.fetch_sub(1);
  return false;
}

void Target::leave() {
  const std::uint32_t before = in_flight_.fetch_sub(1);
  if (before == 1 && has_idle_hook_.load()) {
    const std::lock_guard lock(hook_mutex_);
    if (idle_hook_) idle_hook_();
  }
  // Nobody waits unless all places are taken, or were a moment ago.
  if (before < options_.in_flight_max && calls_pending_.load() == 0) return;
  const std::lock_guard lock(rooms_mutex_);
  std::uint32_t waiting = 0;
  bool called = false;
  for (std::size_t i = 0; i < rooms_.size(); ++i) {
    WaitRoom& room = *rooms_[(next_room_ + i) % rooms_.size()];
    if (!called) called = room.call_one();
    if (room.anyone()) ++waiting;
  }
  next_room_ = rooms_.empty() ? 0 : (next_room_ + 1) % rooms_.size();
  calls_pending_.store(waiting);
}

void Target::set_idle_hook(std::function<void()> hook) {
  const std::lock_guard lock(hook_mutex_);
  idle_hook_ = std::move(hook);
  has_idle_hook_ = static_cast<bool>(idle_hook_);
}

void Target::add_room(WaitRoom& room) {
  const std::lock_guard lock(rooms_mutex_);
  rooms_.push_back(&room);
}

void Target::remove_room(WaitRoom& room) {
  const std::lock_guard lock(rooms_mutex_);
  std::erase(rooms_, &room);
}

void Target::expect_calls() {
  calls_pending_.fetch_add(1);
}

void Target::note_speed(std::int64_t tokens, microseconds took) {
  if (tokens <= 0 || took.count() <= 0) return;
  const double speed = static_cast<double>(tokens) * 1e6 / static_cast<double>(took.count());
  const double before = tokens_per_second_.load(std::memory_order_relaxed);
  // Two threads at once may lose one of the two samples: the average does not mind.
  tokens_per_second_.store(before == 0 ? speed : before + (speed - before) / 8,
                           std::memory_order_relaxed);
}

ReplicaView Target::view(const Usable& usable, double price) const {
  ReplicaView view;
  view.weight = options_.weight;
  view.usable = static_cast<bool>(usable);
  view.in_flight = in_flight();
  view.work_tokens = static_cast<double>(work_tokens_.load(std::memory_order_relaxed));
  view.tokens_per_second = tokens_per_second_.load(std::memory_order_relaxed);
  view.price = price;
  view.first_token_ms = static_cast<double>(usable.first_token.count()) / 1000;
  return view;
}

TargetUse::TargetUse(Target& target, HealthTicket ticket, std::int64_t tokens,
                     base::TimePoint began)
    : target_(&target), ticket_(ticket), tokens_(tokens), began_(began) {
  target.add_work(tokens);
}

TargetUse::TargetUse(TargetUse&& other) noexcept
    : target_(std::exchange(other.target_, nullptr)),
      ticket_(other.ticket_),
      tokens_(other.tokens_),
      began_(other.began_),
      first_token_(other.first_token_) {}

TargetUse& TargetUse::operator=(TargetUse&& other) noexcept {
  if (this == &other) return *this;
  if (target_ != nullptr) cancelled(base::now());
  target_ = std::exchange(other.target_, nullptr);
  ticket_ = other.ticket_;
  tokens_ = other.tokens_;
  began_ = other.began_;
  first_token_ = other.first_token_;
  return *this;
}

TargetUse::~TargetUse() {
  if (target_ != nullptr) cancelled(base::now());
}

void TargetUse::release() {
  target_->add_work(-tokens_);
  target_->leave();
  target_ = nullptr;
}

void TargetUse::first_token(base::TimePoint now) {
  if (target_ == nullptr || first_token_) return;
  first_token_ = now;
  target_->health().first_token(ticket_, now,
                                std::chrono::duration_cast<microseconds>(now - began_));
}

void TargetUse::succeeded(base::TimePoint now, std::int64_t tokens) {
  if (target_ == nullptr) return;
  const auto took = std::chrono::duration_cast<microseconds>(now - began_);
  const auto first = std::chrono::duration_cast<microseconds>(first_token_.value_or(now) - began_);
  target_->health().succeeded(ticket_, now, first, took);
  target_->note_speed(tokens, took);
  release();
}

void TargetUse::failed(base::TimePoint now, const AttemptFailure& failure) {
  if (target_ == nullptr) return;
  if (failure.kind == FailureKind::client_cancelled) return cancelled(now);
  target_->health().failed(ticket_, now, failure.kind, failure.retry_after);
  release();
}

void TargetUse::cancelled(base::TimePoint now) {
  if (target_ == nullptr) return;
  target_->health().cancelled(ticket_, now);
  release();
}

}  // namespace deepseek::gateway
