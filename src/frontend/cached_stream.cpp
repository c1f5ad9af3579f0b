#include "frontend/cached_stream.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>
#include <variant>

namespace deepseek::frontend {

namespace asio = boost::asio;
using base::ErrorCode;
using base::Result;
using gateway::SingleFlight;
using protocol::Event;

namespace {

gateway::AnswerForm form_of(const protocol::Request& request) {
  if (!request.stream) return gateway::AnswerForm::whole;
  return request.stream_usage ? gateway::AnswerForm::stream_with_usage
                              : gateway::AnswerForm::stream;
}

}  // namespace

std::string_view to_string(CacheResult result) {
  switch (result) {
    case CacheResult::none:
      return "none";
    case CacheResult::miss:
      return "miss";
    case CacheResult::hit:
      return "hit";
    case CacheResult::similar:
      return "similar";
    case CacheResult::shared:
      return "shared";
  }
  return "none";
}

CachedStream::CachedStream(AnswerCache& cache, CachedQuestion question, Backends backends,
                           asio::any_io_executor executor)
    : cache_(cache),
      question_(std::move(question)),
      backends_(std::move(backends)),
      use_(gateway::cache_use(question_.request, question_.wish.control, question_.rules)),
      bell_(std::make_shared<Bell>(std::move(executor))),
      unfinished_(question_.request.sequence_count()) {
  bell_->stream = this;
}

CachedStream::~CachedStream() {
  bell_->stream = nullptr;
}

void CachedStream::cancel() {
  if (std::exchange(cancelled_, true)) return;
  if (inner_) inner_->cancel();
  if (embedding_) embedding_->cancel();
  bell_->event.notify();
}

void CachedStream::client_left() {
  client_left_ = true;
  if (!goes_on()) cancel();
}

gateway::AttemptFailure CachedStream::failure() const {
  if (inner_) return inner_->failure();
  return {gateway::FailureKind::client_cancelled};
}

std::string CachedStream::route_note() const {
  return inner_ ? inner_->route_note() : std::string();
}

void CachedStream::add_fields(io::HttpFields& fields) const {
  const bool similar = result_ == CacheResult::similar;
  std::string value(similar ? "hit; similar" : to_string(result_));
  if (!use_.reason.empty()) value += "; " + std::string(use_.reason);
  fields.add("DeepSeek-Cache", std::move(value));
  if (!similar && result_ != CacheResult::hit) return;
  fields.add("Age", std::to_string(age_ms_ / 1000));
}

// --- finding an answer ----------------------------------------------------------------------

gateway::CacheKeyParts CachedStream::parts() const {
  gateway::CacheKeyParts parts;
  parts.tenant = question_.tenant;
  parts.route = question_.scope;
  parts.model = question_.request.model;
  parts.endpoint = question_.endpoint;
  parts.body = question_.request.raw_body;
  parts.outside = question_.wish.query;
  return parts;
}

gateway::CacheLookup CachedStream::lookup(const gateway::CacheKey& key) const {
  return {key, question_.tenant, base::unix_milliseconds(), use_.max_age};
}

// Calls `ring` on the stream's thread, if the stream still lives.
SingleFlight::Waker CachedStream::waker(void (*ring)(Bell& bell)) const {
  return [executor = bell_->executor, weak = std::weak_ptr(bell_), ring] {
    asio::post(executor, [weak, ring] {
      const auto bell = weak.lock();
      if (bell && bell->stream != nullptr) ring(*bell);
    });
  };
}

asio::awaitable<void> CachedStream::begin() {
  begun_ = true;
  if (!use_.read && !use_.write) co_return;
  const gateway::CacheKeyParts asked = parts();
  const auto key = co_await cache_.key(asked);
  if (cancelled_ || !key) co_return;
  key_ = key->in_form(form_of(question_.request));
  if (use_.read) co_await look_up(*key_);
  if (kept_.empty() && !cancelled_) join();
}

// Into kept_, from memory or the slow tier.
asio::awaitable<void> CachedStream::look_up(gateway::CacheKey key) {
  if (take_kept(key, cache_.store().get(lookup(key)))) co_return;
  if (!cache_.store().has_slow_tier()) co_return;
  bell_->load_ended = false;
  cache_.store().load(lookup(key), [executor = bell_->executor,
                                    weak = std::weak_ptr(bell_)](gateway::CachedAnswerPtr answer) {
    asio::post(executor, [weak, answer = std::move(answer)] {
      const auto bell = weak.lock();
      if (!bell) return;
      bell->loaded = answer;
      bell->load_ended = true;
      bell->event.notify();
    });
  });
  while (!bell_->load_ended && !cancelled_) {
    co_await bell_->event.wait();
  }
  if (!cancelled_) take_kept(key, bell_->loaded);
}

// False for no answer, and for one that is damaged.
bool CachedStream::take_kept(const gateway::CacheKey& key, const gateway::CachedAnswerPtr& answer) {
  if (!answer) return false;
  auto bytes = gateway::replay(*answer);
  if (!bytes || bytes->empty()) {
    cache_.store().erase(key);
    return false;
  }
  kept_ = std::move(*bytes);
  age_ms_ = std::max<std::int64_t>(0, base::unix_milliseconds() - answer->created_ms);
  result_ = CacheResult::hit;
  tell(answer.get());
  return true;
}

// The books hold every answer, and that this one cost nothing.
void CachedStream::tell(const gateway::CachedAnswer* answer) {
  if (answer != nullptr) usage_ = answer->usage;
  gateway::AttemptRecord record;
  record.request_id = question_.request.id;
  record.tenant = question_.tenant;
  record.model = question_.request.model;
  record.usage = usage_;
  record.began = began_;
  record.ended = base::now();
  record.cached = true;
  cache_.given(record);
}

// The same request that runs now; else this one runs, and the same ones that come may follow.
void CachedStream::join() {
  if (!use_.share) return run_alone();
  auto place = cache_.flights().join(*key_, waker([](Bell& bell) { bell.event.notify(); }));
  if (auto* follower = std::get_if<SingleFlight::Follower>(&place)) {
    follower_ = std::move(*follower);
    result_ = CacheResult::shared;
  } else if (auto* leader = std::get_if<SingleFlight::Leader>(&place)) {
    lead(std::move(*leader));
  } else {
    run_alone();
  }
}

void CachedStream::lead(SingleFlight::Leader leader) {
  // Another one may have ended between the look into the cache and this.
  if (use_.read && take_kept(*key_, cache_.store().get(lookup(*key_)))) return;
  leader_ = std::move(leader);
  leader_->on_last_left(waker([](Bell& bell) {
    if (bell.stream->client_left_ && !bell.stream->goes_on()) bell.stream->cancel();
  }));
  result_ = CacheResult::miss;
}

void CachedStream::run_alone() {
  if (use_.write) leader_ = cache_.flights().lead_alone(*key_);
  result_ = CacheResult::miss;
}

// The run of its own, unless a similar question was answered.
asio::awaitable<void> CachedStream::run() {
  const SimilarAnswers* similar = cache_.similar();
  if (similar != nullptr && leader_ && use_.read &&
      similar->allows(question_.tenant, question_.request)) {
    co_await look_for_similar();
  }
  if (kept_.empty() && !cancelled_) inner_ = backends_.start();
}

asio::awaitable<void> CachedStream::look_for_similar() {
  co_await embed();
  if (vector_.empty() || cancelled_) co_return;
  scope_ = SimilarAnswers::scope(parts(), question_.request, form_of(question_.request));
  if (!scope_) co_return;
  const auto match = co_await cache_.find_similar(*scope_, question_.tenant, vector_);
  if (!match || cancelled_) co_return;
  co_await look_up(*match);
  if (cancelled_) co_return;
  if (kept_.empty()) {
    cache_.similar()->erase(*scope_, *match);
    co_return;
  }
  result_ = CacheResult::similar;
  leader_->publish(kept_);
  finish(false);
}

// Into vector_. Without one the question is as any other.
asio::awaitable<void> CachedStream::embed() {
  const SimilarAnswers& similar = *cache_.similar();
  const protocol::EmbeddingRequest request = similar.embedding(question_.request);
  auto call = backends_.embed(request);
  if (call.has_error()) co_return;
  embedding_ = std::move(*call);
  asio::steady_timer limit(bell_->executor, similar.options().timeout);
  limit.async_wait([weak = std::weak_ptr(bell_)](const boost::system::error_code& error) {
    const auto bell = weak.lock();
    if (error || !bell || bell->stream == nullptr || !bell->stream->embedding_) return;
    bell->stream->embedding_->cancel();
  });
  auto result = co_await embedding_->result();
  embedding_.reset();
  if (!result.has_error() && result->vectors.size() == 1) vector_ = std::move(result->vectors[0]);
}

// --- the answer -----------------------------------------------------------------------------

Event CachedStream::verbatim(std::string bytes) const {
  protocol::Verbatim event;
  event.bytes = std::move(bytes);
  event.whole = !question_.request.stream;
  return event;
}

asio::awaitable<Result<std::vector<Event>>> CachedStream::read() {
  if (over_) co_return Events{};
  if (!begun_) co_await begin();
  if (follower_) {
    Events events;
    std::optional<base::Error> broken;
    co_await follow(events, broken);
    if (broken) co_return std::move(*broken);
    if (over_ || !events.empty()) co_return events;
    // It leads now, or is alone; or the answer was kept meanwhile.
  }
  if (!inner_ && kept_.empty() && !cancelled_) co_await run();
  if (!kept_.empty() && !cancelled_) {
    Events events;
    events.push_back(verbatim(std::exchange(kept_, {})));
    over_ = true;
    co_return events;
  }
  if (!inner_) co_return gateway::request_cancelled();
  auto events = co_await inner_->read();
  if (!events.has_error()) {
    if (leader_) note(*events);
    co_return events;
  }
  // Cancelled, its followers may still want an answer; failed, each of them tries for itself.
  if (leader_ && !cancelled_) leader_->give_up();
  leader_.reset();
  co_return events;
}

// The next pieces of the leader; nothing of them and not `over_` when there is no leader any more.
asio::awaitable<void> CachedStream::follow(Events& events, std::optional<base::Error>& broken) {
  while (true) {
    if (cancelled_) {
      broken = gateway::request_cancelled();
      co_return;
    }
    SingleFlight::View view = follower_->take();
    if (!view.bytes.empty()) {
      has_bytes_ = true;
      events.push_back(verbatim(std::move(view.bytes)));
    }
    if (view.state == SingleFlight::State::answered) {
      over_ = true;
      tell(view.answer.get());
      co_return;
    }
    if (!events.empty()) co_return;
    if (view.state == SingleFlight::State::waiting) {
      co_await bell_->event.wait();
      continue;
    }
    auto leader = follower_->lead();
    follower_.reset();
    if (has_bytes_) {
      broken = base::make_error(ErrorCode::upstream_failed,
                                "The answer broke off: it was shared with an identical request, "
                                "which ended. Ask again.");
    } else if (leader) {
      lead(std::move(*leader));
    } else {
      run_alone();
    }
    co_return;
  }
}

// What must be known of a run before its answer may be kept.
void CachedStream::note(const Events& events) {
  for (const Event& event : events) {
    if (const auto* finished = std::get_if<protocol::Finished>(&event)) {
      usage_ += finished->usage;
      if (unfinished_ > 0) --unfinished_;
      if (finish_reason_.empty() || finished->reason == protocol::FinishReason::content_filter) {
        finish_reason_ = protocol::to_string(finished->reason);
      }
    } else if (std::holds_alternative<protocol::Restarted>(event)) {
      usage_ = {};
      unfinished_ = question_.request.sequence_count();
      finish_reason_ = {};
    }
  }
}

void CachedStream::publish(std::string_view piece, bool complete) {
  if (!leader_) return;
  leader_->publish(piece);
  if (complete) finish(use_.write && gateway::storable({200, true, finish_reason_}));
}

// Of the flight: followers have everything.
void CachedStream::finish(bool keep) {
  gateway::CachedAnswer facts;
  facts.tenant = question_.tenant;
  facts.model = question_.request.model;
  facts.form = form_of(question_.request);
  facts.usage = usage_;
  facts.created_ms = base::unix_milliseconds();
  facts.expires_ms = facts.created_ms + std::chrono::milliseconds(question_.rules.ttl).count();
  leader_->finish(std::move(facts), keep ? &cache_.store() : nullptr);
  leader_.reset();
  if (!keep || !scope_) return;
  cache_.similar()->insert(*scope_, question_.tenant, vector_, *key_);
}

}  // namespace deepseek::frontend
