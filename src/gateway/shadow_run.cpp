#include "gateway/shadow_run.hpp"

#include "gateway/answer_leg.hpp"
#include "gateway/answer_progress.hpp"
#include "gateway/resilience/random.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;

namespace {

class ShadowRun {
 public:
  ShadowRun(const protocol::Request& request, std::string tenant, TargetUse use,
            AttemptObserver* observer, SideWork& side_work)
      : request_(request),
        tenant_(std::move(tenant)),
        use_(std::move(use)),
        observer_(observer),
        side_work_(side_work),
        progress_(request_, 0) {}
  // However it ends: by itself, with its task, or before it has begun.
  ~ShadowRun() {
    report();
    side_work_.leave_shadow();
  }
  ShadowRun(const ShadowRun&) = delete;
  ShadowRun& operator=(const ShadowRun&) = delete;

  void start(asio::any_io_executor executor, base::Milliseconds timeout) {
    const base::TimePoint now = base::now();
    Attempt attempt{request_, std::move(executor)};
    if (timeout.count() > 0) attempt.end_by = now + timeout;
    attempt.first_token_by =
        request_.stream
            ? std::min(attempt.end_by, now + use_.target()->options().first_token_timeout)
            : attempt.end_by;
    attempt.verbatim = request_.form != protocol::ClientForm::other;
    progress_.begin_leg(0);
    stream_ = use_.target()->backend().start(attempt);
  }

  // True: there is more to read.
  bool take(base::Result<std::vector<protocol::Event>> events) {
    if (events.has_error() || events->empty()) {
      failure_ = events.has_error() ? stream_->failure() : AttemptFailure{};
      return false;
    }
    progress_.take(*events);
    const bool said = progress_.leg().delivered.text.bytes() > 0 || progress_.leg().delivered.other;
    if (!first_token_ && (said || progress_.finished())) {
      first_token_ = base::now();
      use_.first_token(*first_token_);
    }
    return !progress_.finished();
  }
  EventStream& stream() const { return *stream_; }

 private:
  void report() {
    const base::TimePoint now = base::now();
    AttemptRecord record;
    record.request_id = request_.id;
    record.tenant = tenant_;
    record.model = request_.model;
    record.backend = use_.target()->name();
    record.outcome = AttemptOutcome::shadow;
    if (failure_) {
      record.failure = failure_->kind;
      record.status = failure_->status;
    }
    record.usage = cost_of(progress_.leg(), request_, record.counted_by);
    record.began = use_.began();
    record.first_token = first_token_;
    record.ended = now;
    if (progress_.finished()) {
      use_.succeeded(now, record.usage.total_tokens());
    } else if (failure_) {
      use_.failed(now, *failure_);
    } else {
      use_.cancelled(now);
    }
    if (observer_ != nullptr && stream_) observer_->on_attempt(record);
  }

  const protocol::Request request_;
  const std::string tenant_;
  TargetUse use_;
  AttemptObserver* observer_;
  SideWork& side_work_;
  AnswerProgress progress_;
  std::optional<base::TimePoint> first_token_;
  std::optional<AttemptFailure> failure_;
  std::unique_ptr<EventStream> stream_;
};

asio::awaitable<void> read_shadow(std::unique_ptr<ShadowRun> run, asio::any_io_executor executor,
                                  base::Milliseconds timeout) {
  run->start(std::move(executor), timeout);
  bool more = true;
  while (more) {
    auto events = co_await run->stream().read();
    more = run->take(std::move(events));
  }
}

std::optional<TargetUse> use(Target& target, bool whole) {
  const base::TimePoint now = base::now();
  if (!target.enter()) return std::nullopt;
  auto ticket = target.health().start(now);
  if (!ticket) {
    target.leave();
    return std::nullopt;
  }
  ticket->whole = whole && !target.options().local;
  return TargetUse(target, *ticket, 0, now);
}

}  // namespace

void start_shadow(const protocol::Request& request, const ShadowOptions& options, Target& target,
                  std::string tenant, AttemptObserver* observer, SideWork& side_work,
                  asio::any_io_executor executor, std::uint64_t random) {
  if (unit_interval(random) * 100 >= options.percent || !target.serves(request.model)) return;
  if (!side_work.enter_shadow()) return;
  auto taken = use(target, !request.stream);
  if (!taken) return side_work.leave_shadow();
  auto run = std::make_unique<ShadowRun>(request, std::move(tenant), std::move(*taken), observer,
                                         side_work);
  side_work.spawn("shadow",
                  read_shadow(std::move(run), std::move(executor), options.request_timeout));
}

}  // namespace deepseek::gateway
