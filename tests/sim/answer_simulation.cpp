#include "answer_simulation.hpp"

#include "gateway/answer_run.hpp"
#include "gateway/outlier_watch.hpp"
#include "simulated_backend.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace deepseek::gateway {
namespace {

namespace asio = boost::asio;
using base::Milliseconds;
using base::TimePoint;
using testing::SimulatedBackend;
using testing::SimulatedOptions;
using testing::SimulatedWorld;

struct Client {
  protocol::Request request;
  std::string content;  // all of it, as it must come
  std::string reasoning;
  TimePoint arrives{};
  TimePoint deadline{};
  std::optional<TimePoint> leaves_at;
  int reads_max = 1'000;  // then it goes away between two reads

  std::unique_ptr<AnswerRun> run;
  std::string got_content;
  std::string got_reasoning;
  int finished = 0;
  std::optional<base::Error> error;
  bool left = false;
  bool ended = false;
  std::set<std::string, std::less<>> failed_at;  // backends
};

class Simulation final : public AttemptObserver {
 public:
  Simulation(std::uint64_t seed, std::string* course) : course_(course) {
    world_.clock = testing::VirtualClock(seed);
    make_backends();
    make_group();
    run_.plan.retry.retries_max = static_cast<std::uint32_t>(pick(0, 5));
    run_.plan.wait_max = Milliseconds(pick(0, 10'000));
    run_.request_timeout = Milliseconds(calm_ ? 60'000 : pick(5, 60) * 1'000);
    if (chance(20)) run_.continuation_bytes_max = 20;
  }

  std::string run() {
    requests_ = chance(20) ? pick(20, 40) : pick(1, 12);
    for (std::int64_t i = 0; i < requests_; ++i) add_client(i);
    disturb();
    world_.clock.run(context_, [this] { return !world_.broken.empty() || over_ == requests_; });
    // What a race has left behind ends by itself.
    for (Client& client : clients_) check(client.ended, "a request never ended");
    if (!world_.broken.empty()) return give_up();
    world_.clock.run(context_);
    check_end();
    return world_.broken;
  }

  void on_attempt(const AttemptRecord& record) override {
    Client& client = *by_id_.find(record.request_id)->second;
    tell(std::string(record.request_id) + " " + std::to_string(record.number) + " " +
         std::string(record.backend) + " " + std::string(to_string(record.outcome)) +
         (record.failure ? " " + std::string(describe(*record.failure).name) : ""));
    check(record.number <= run_.plan.retry.retries_max + 1, "more attempts than allowed");
    if (client.failed_at.contains(record.backend)) ++repeats_;
    if (record.failure && record.outcome != AttemptOutcome::cancelled) {
      client.failed_at.insert(std::string(record.backend));
    }
    if (record.outcome == AttemptOutcome::hedge_lost) {
      ++hedges_lost_;
      world_.clock.at(world_.clock.now(), [this, &client] { check_one_runs(client.request.id); });
    }
    check(record.usage.completion_tokens >= 0 && record.usage.prompt_tokens >= 0, "negative usage");
  }

 private:
  std::int64_t pick(std::int64_t low, std::int64_t high) { return world_.pick(low, high); }
  bool chance(int percent) { return world_.chance(percent); }
  void check(bool promise, std::string_view what) {
    if (!promise && world_.broken.empty()) tell("BROKEN: " + std::string(what));
    world_.check(promise, what);
  }
  void tell(const std::string& what) {
    if (course_ == nullptr) return;
    const auto at = std::chrono::duration_cast<Milliseconds>(world_.clock.now() - start_).count();
    *course_ += std::to_string(at) + " ms: " + what + "\n";
  }

  // In a calm world only the first backend fails, and the last one can take over everything.
  void make_backends() {
    calm_ = chance(25);
    const auto count = static_cast<std::size_t>(pick(calm_ ? 2 : 1, 4));
    for (std::size_t i = 0; i < count; ++i) {
      SimulatedOptions options;
      options.index = i;
      options.local = chance(25);
      options.continues = options.local || chance(80);
      options.fault_percent = static_cast<int>(
          std::array<int, 5>{0, 5, 20, 50, 100}.at(static_cast<std::size_t>(pick(0, 4))));
      options.first_ms = pick(1, 10) * pick(1, 100);
      options.word_ms = pick(1, 50);
      if (calm_ && i > 0) options.fault_percent = 0;
      if (calm_ && i + 1 == count) options.continues = true;
      TargetOptions target;
      target.name = (options.local ? "engine" : "relay") + std::to_string(i);
      target.local = options.local;
      target.continues = options.continues;
      target.zone = chance(50) ? "here" : "";
      target.first_token_timeout = Milliseconds(calm_ && i > 0 ? 60'000 : pick(500, 5'000));
      target.health.breaker.failures_max = static_cast<std::uint32_t>(pick(2, 10));
      target.health.breaker.open_time = Milliseconds(pick(500, 10'000));
      if (!options.local && !calm_ && chance(50)) {
        target.in_flight_max = static_cast<std::uint32_t>(pick(1, 4));
      }
      backends_.push_back(std::make_unique<SimulatedBackend>(world_, options));
      targets_.push_back(std::make_unique<Target>(target, *backends_.back()));
    }
  }

  void make_group() {
    RouteGroupOptions options;
    if (chance(40)) retry_budget_ = {0, 0, Milliseconds(10'000)};
    options.name = "route";
    for (const auto& target : targets_) options.targets.push_back(target.get());
    options.strategy = std::array{StrategyKind::priority,        StrategyKind::weighted_round_robin,
                                  StrategyKind::least_in_flight, StrategyKind::power_of_two,
                                  StrategyKind::least_work,      StrategyKind::fastest}
                           .at(static_cast<std::size_t>(pick(0, 5)));
    options.hedge = chance(50);
    options.zone = chance(30) ? "here" : "";
    options.first_token_goal = Milliseconds(chance(30) ? 1'000 : 0);
    options.queue_depth_max = static_cast<std::size_t>(pick(0, 20));
    options.queue_timeout = Milliseconds(pick(0, 5'000));
    options.retry_budget = retry_budget_;
    options.hedge_budget = hedge_budget_;
    group_.emplace(std::move(options));
    if (!chance(70)) return;
    for (int i = 0; i < 30; ++i) {
      group_->note_first_token(i % 2 == 0, Milliseconds(pick(10, 500)), world_.clock.now());
    }
  }

  void add_client(std::int64_t number) {
    Client& client = clients_.emplace_back();
    protocol::Request& request = client.request;
    request.id = "r" + std::to_string(number);
    request.model = "m";
    request.stream = chance(70);
    request.form = chance(60) ? protocol::ClientForm::chat : protocol::ClientForm::other;
    if (chance(10)) request.logprobs = 0;  // cannot be continued
    if (!calm_ && chance(5)) request.user = "mistaken";
    make_answer(client);
    by_id_.emplace(request.id, &client);
    client.arrives = start_ + Milliseconds(pick(0, 15'000));
    client.deadline = client.arrives + run_.request_timeout;
    if (chance(10)) client.leaves_at = client.arrives + Milliseconds(pick(0, 3'000));
    if (chance(5)) client.reads_max = static_cast<int>(pick(0, 3));
    world_.clock.at(client.arrives, [this, &client] { tasks_.spawn("ask", ask(client)); });
  }

  void make_answer(Client& client) {
    testing::KnownAnswer words;
    const std::int64_t count = pick(1, 12);
    const std::int64_t thinking = chance(30) ? pick(0, count) : 0;
    for (std::int64_t i = 0; i < count; ++i) {
      testing::KnownWord word{client.request.id + "." + std::to_string(i) + " ", i < thinking};
      (word.reasoning ? client.reasoning : client.content) += word.text;
      words.push_back(std::move(word));
    }
    world_.answers.emplace(client.request.id, std::move(words));
  }

  // Engines that die, queues that grow, backends that are compared.
  void disturb() {
    for (std::size_t i = 0; i < backends_.size(); ++i) {
      SimulatedBackend& backend = *backends_[i];
      const bool may_die = targets_[i]->options().local && (!calm_ || i == 0);
      for (std::int64_t deaths = may_die ? pick(0, 3) : 0; deaths > 0; --deaths) {
        world_.clock.at(start_ + Milliseconds(pick(0, 20'000)), [this, &backend] {
          tell("an engine dies under " + std::to_string(backend.live()));
          backend.die(Milliseconds(pick(10, 4'000)));
        });
      }
      world_.clock.at(start_ + Milliseconds(pick(0, 10'000)),
                      [&backend, this] { backend.queue_time = Milliseconds(pick(0, 2'000)); });
    }
    std::vector<Target*> all;
    for (const auto& target : targets_) all.push_back(target.get());
    OutlierOptions options;
    options.requests_min = 3;
    outliers_.watch({all}, options);
    compare();
  }
  void compare() {
    outliers_.evaluate(world_.clock.now());
    if (over_ < requests_) world_.clock.after(Milliseconds(2'000), [this] { compare(); });
  }

  asio::awaitable<void> ask(Client& client) {
    RunContext context{run_, *group_};
    context.tenant = chance(50) ? "a" : "b";
    context.arrived = world_.clock.now();
    context.observer = this;
    context.side_work = &side_work_;
    context.clock = &world_.clock;
    client.run = std::make_unique<AnswerRun>(client.request, std::move(context), executor_);
    // As the session does: a deadline, and a client that leaves, cancel the run.
    world_.clock.at(client.deadline, [&client] {
      if (client.run) client.run->cancel();
    });
    if (client.leaves_at) {
      world_.clock.at(*client.leaves_at, [&client] {
        client.left = client.left || client.run != nullptr;
        if (client.run) client.run->cancel();
      });
    }
    bool more = true;
    while (more) {
      if (client.reads_max-- <= 0) {
        client.left = true;
        break;
      }
      auto events = co_await client.run->read();
      more = hear(client, events);
      if (more && chance(5)) {
        auto alarm = std::make_shared<RunAlarm>(executor_);
        const TimePoint awake = world_.clock.now() + Milliseconds(pick(1, 300));
        world_.clock.set(alarm, std::min(awake, client.deadline));
        co_await alarm->timer.async_wait(asio::as_tuple(asio::use_awaitable));
      }
    }
    client.run.reset();
    end(client);
  }

  bool hear(Client& client, base::Result<std::vector<protocol::Event>>& events) {
    if (events.has_error()) {
      client.error = events.error();
      return false;
    }
    for (const protocol::Event& event : *events) {
      check(client.finished == 0, "something came behind the end");
      if (const auto* delta = std::get_if<protocol::Delta>(&event)) {
        client.got_content += delta->content;
        client.got_reasoning += delta->reasoning;
      } else if (const auto* frames = std::get_if<protocol::Verbatim>(&event)) {
        client.got_content += frames->content;
        client.got_reasoning += frames->reasoning;
        if (frames->whole) take_whole(client, frames->bytes);
      } else if (std::holds_alternative<protocol::Restarted>(event)) {
        check(!client.request.stream, "a stream began anew");
        client.got_content.clear();
        client.got_reasoning.clear();
      } else if (std::holds_alternative<protocol::Finished>(event)) {
        ++client.finished;
      }
    }
    check(client.content.starts_with(client.got_content) &&
              client.reasoning.starts_with(client.got_reasoning),
          "text was lost or doubled");
    return !events->empty();
  }
  // The words of a whole body, thoughts first.
  static void take_whole(Client& client, const std::string& word) {
    const bool thought = client.got_reasoning.size() < client.reasoning.size();
    (thought ? client.got_reasoning : client.got_content) += word;
  }

  void end(Client& client) {
    client.ended = true;
    ++over_;
    last_end_ = world_.clock.now();
    tell(client.request.id + (client.error ? " ends: " + client.error->message : " is answered"));
    check(world_.clock.now() <= client.deadline, "a request lasted beyond its deadline");
    if (client.left) return;
    const bool all = client.got_content == client.content &&
                     client.got_reasoning == client.reasoning && client.finished == 1;
    check(client.error.has_value() != all, "neither one answer nor one error");
    if (client.request.user == "mistaken") check(!all, "a mistake was answered");
    const bool continuable = !client.request.logprobs && run_.continuation_bytes_max > 1'000;
    const bool in_time = world_.clock.now() < client.deadline;
    const bool may_retry = run_.plan.retry.retries_max > 1;
    if (calm_ && continuable && in_time && may_retry) {
      check(all, "an error although a good backend was there");
    }
  }

  // A loser is not left to talk on.
  void check_one_runs(const std::string& request_id) {
    std::size_t live = 0;
    for (const auto& backend : backends_) live += backend->live(request_id);
    check(live <= 1, "a race has ended, and two still run");
  }

  void check_end() {
    for (const auto& target : targets_) {
      check(target->in_flight() == 0, "a place was not given back");
    }
    for (const auto& backend : backends_) check(backend->live() == 0, "a stream still runs");
    check(!group_->room().anyone(), "somebody still waits");
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(last_end_ - start_).count() + 10;
    const std::int64_t rounds =
        2 * requests_ * retry_budget_.percent / 100 + seconds * retry_budget_.per_second_min;
    check(repeats_ <= rounds * static_cast<std::int64_t>(targets_.size()),
          "more retries than the budget has");
    check(hedges_lost_ <= 2 * requests_ * hedge_budget_.percent / 100,
          "more hedges than the budget has");
  }

  // What is broken may never end: the coroutines are given up with their context.
  std::string give_up() {
    for (Client& client : clients_) {
      if (client.run) client.run->cancel();
    }
    world_.clock.run(context_);
    return world_.broken;
  }

  std::string* course_;
  SimulatedWorld world_;
  const TimePoint start_ = world_.clock.now();
  RetryBudgetOptions retry_budget_{20, 1, Milliseconds(10'000)};
  const RetryBudgetOptions hedge_budget_{10, 0, Milliseconds(60'000)};
  bool calm_ = false;
  asio::io_context context_{1};
  const asio::any_io_executor executor_{context_.get_executor()};
  std::vector<std::unique_ptr<SimulatedBackend>> backends_;
  std::vector<std::unique_ptr<Target>> targets_;
  std::optional<RouteGroup> group_;
  OutlierWatch outliers_;
  RunOptions run_;
  SideWork side_work_{std::span(&executor_, 1)};
  io::TaskGroup tasks_{executor_};
  std::list<Client> clients_;
  std::map<std::string, Client*, std::less<>> by_id_;
  std::int64_t requests_ = 0;
  std::int64_t over_ = 0;
  TimePoint last_end_{};
  std::int64_t repeats_ = 0;
  std::int64_t hedges_lost_ = 0;
};

}  // namespace

std::string simulate_answers(std::uint64_t seed, std::string* course) {
  Simulation simulation(seed, course);
  return simulation.run();
}

}  // namespace deepseek::gateway
