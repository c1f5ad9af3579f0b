#include "scheduler_simulation.hpp"

#include "engine/scheduler.hpp"
#include "simulated_cells.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>

namespace deepseek::engine {
namespace {

// The answer is a function of the tokens so far: a sequence that was preempted and computed again
// must get the very same tokens. Often it goes on as its prompt does, so that guesses are right.
Token next_token(std::span<const Token> tokens) {
  std::uint32_t hash = 2166136261U;
  for (const Token token : tokens) hash = (hash ^ static_cast<std::uint32_t>(token)) * 16777619U;
  const std::size_t period = 7 + tokens.front() % 5;
  if (hash % 4 > 0 && tokens.size() > period) return tokens[tokens.size() - period];
  return static_cast<Token>(hash % 1000);
}

bool is_end(Token token) {
  return token % 37 == 0;
}

struct Expected {
  std::vector<Token> prompt;
  std::int32_t tokens_max = 0;
  std::vector<Token> answer;
  std::size_t spoken = 0;  // tokens of the answer that were there before: it was resumed
  std::size_t heard = 0;   // positions of the prompt whose logits came
  bool tells = false;      // they are wanted
  bool credited = false;
  bool started = false;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed)
      : random_(seed), options_(make_options()), scheduler_(options_, &states_) {}

  std::string run(int events) {
    for (int event = 0; event < events && failure_.empty(); ++event) {
      act();
      step();
      if (!failure_.empty()) return failure_ + " (event " + std::to_string(event) + ")";
    }
    return drain();
  }

 private:
  std::int32_t pick(std::int32_t low, std::int32_t high) {
    return std::uniform_int_distribution<std::int32_t>(low, high)(random_);
  }

  SchedulerOptions make_options() {
    SchedulerOptions options;
    options.sequences_max = pick(1, 12);
    options.queue_max = pick(1, 20);
    options.context_max = pick(8, 300);
    options.cells = options.context_max + pick(0, 300);
    options.step_tokens_max = std::max(options.sequences_max, pick(4, 64));
    options.prefill_chunk = pick(1, 32);
    options.pause_grace = base::Milliseconds(pick(0, 50));
    options.slots = options.sequences_max + pick(0, 8);
    options.target_token_gap = base::Milliseconds(pick(1, 10));
    options.priority_aging = base::Milliseconds(pick(1, 500));
    options.sharing = static_cast<PrefixSharing>(pick(0, 3));
    options.draft_max = pick(0, 1) * pick(0, 10);
    options.outputs_max = options.sequences_max + pick(0, 30);
    return options;
  }

  void act() {
    now_ += std::chrono::milliseconds(pick(0, 20));
    const std::int32_t dice = pick(0, 99);
    if (dice < 35) submit(pick(0, 3) == 0 && !broken_.empty());
    if (dice >= 35 && dice < 42 && !live_.empty()) cancel();
    for (auto& [id, expected] : live_) {
      if (expected.credited && pick(0, 3) == 0) scheduler_.add_credit(id, pick(1, 5));
    }
  }

  // An answer that was cut off, to go on behind what it had said.
  Expected take_broken() {
    Expected expected = std::move(broken_.back());
    broken_.pop_back();
    expected.spoken = expected.answer.size();
    expected.started = false;
    return expected;
  }

  Expected make_fresh() {
    Expected expected;
    expected.prompt.resize(static_cast<std::size_t>(pick(1, options_.context_max + 10)));
    for (Token& token : expected.prompt) token = pick(0, 999);
    if (prefixes_.empty() || pick(0, 9) == 0) prefixes_.push_back(expected.prompt);
    // Many prompts begin as others do, for longer or shorter, and some are the same.
    if (pick(0, 2) > 0) {
      const auto& prefix = prefixes_[static_cast<std::size_t>(
          pick(0, static_cast<std::int32_t>(prefixes_.size()) - 1))];
      const auto common = static_cast<std::size_t>(
          pick(0, static_cast<std::int32_t>(std::min(prefix.size(), expected.prompt.size()))));
      std::copy_n(prefix.begin(), common, expected.prompt.begin());
    }
    expected.tokens_max = pick(0, 40);
    return expected;
  }

  void submit(bool resumed) {
    Expected expected = resumed ? take_broken() : make_fresh();
    SequenceSpec spec;
    spec.id = ++ids_;
    spec.prompt = expected.prompt;
    spec.prompt.insert(spec.prompt.end(), expected.answer.begin(), expected.answer.end());
    spec.tokens_max = expected.tokens_max;
    if (spec.tokens_max > 0) spec.tokens_max -= static_cast<std::int32_t>(expected.spoken);
    spec.priority = pick(0, 2);
    spec.reads_all = pick(0, 9) == 0;
    spec.tells_prompt = spec.reads_all && !resumed && pick(0, 2) == 0;
    expected.tells = spec.tells_prompt;
    spec.tenant = std::string(1, static_cast<char>('a' + pick(0, 2)));
    spec.user_id = std::string(1, static_cast<char>('u' + pick(0, 1)));
    spec.weight = spec.tenant == "a" ? 2 : 1;
    spec.arrival = now_;
    if (pick(0, 3) == 0) spec.credits = pick(1, 4);
    if (pick(0, 5) == 0) spec.deadline = now_ + std::chrono::milliseconds(pick(0, 300));
    expected.credited = spec.credits > 0;
    const SequenceId id = spec.id;
    const bool fits = spec.prompt.size() < static_cast<std::size_t>(options_.context_max);
    check(fits || !resumed, "a live answer had filled the context");
    const base::Result<void> taken = scheduler_.submit(std::move(spec));
    if (taken.has_value()) {
      check(fits, "took a prompt that cannot fit");
      live_.emplace(id, std::move(expected));
      return;
    }
    if (!fits) return check(taken.error().code == base::ErrorCode::context_length, "wrong refusal");
    check(taken.error().code == base::ErrorCode::queue_full, "refused without a reason");
    check(taken.error().retry_after.has_value(), "queue_full without retry_after");
  }

  void cancel() {
    auto victim = live_.begin();
    std::advance(victim, pick(0, static_cast<std::int32_t>(live_.size()) - 1));
    check(scheduler_.cancel(victim->first), "a live sequence was not known");
    check(!scheduler_.cancel(victim->first), "a sequence was cancelled twice");
    broken_.push_back(std::move(victim->second));
    live_.erase(victim);
  }

  void step() {
    change_cells(scheduler_.take_changes());
    const StepPlan plan = scheduler_.plan(now_);
    change_cells(plan.changes);
    for (const SequenceId id : plan.dropped) {
      check(live_.contains(id) && !live_.at(id).started, "dropped what had started");
      live_.erase(id);
    }
    for (const SequenceId id : plan.admitted) {
      check(!live_.at(id).started, "admitted twice");
      live_.at(id).started = true;
    }
    check_plan(plan);
    if (plan.slices.empty() || !failure_.empty()) return;
    now_ += std::chrono::milliseconds(pick(1, 5));
    const std::int32_t dice = pick(0, 99);
    if (dice < 4) return interrupt(plan);
    if (dice < 7) return refuse(plan);
    finish(plan);
  }

  void change_cells(const std::vector<CacheChange>& changes) {
    for (const CacheChange& change : changes) {
      check(apply_change(change), "a change of the cache that cannot be made");
    }
  }

  // A state tells the tokens whose states it holds.
  bool apply_change(const CacheChange& change) {
    if (change.kind == CacheChange::Kind::save) {
      const std::vector<Token> tokens = cells_.tokens(change.slot);
      if (tokens != change.tokens) return false;
      if (!states_.wants(change.key, tokens)) return true;
      const auto* bytes = reinterpret_cast<const char*>(tokens.data());
      states_.put(change.key, tokens,
                  std::make_shared<const std::string>(bytes, tokens.size() * sizeof(Token)));
      return true;
    }
    if (change.kind != CacheChange::Kind::restore) return cells_.apply(change);
    std::vector<Token> tokens(change.state->size() / sizeof(Token));
    std::memcpy(tokens.data(), change.state->data(), change.state->size());
    if (cells_.length(change.slot) != 0) return false;
    cells_.write(change.slot, tokens);
    if (cells_.used() > options_.cells) return false;
    cells_.keep(change.slot, change.length);
    return true;
  }

  void check_plan(const StepPlan& plan) {
    std::set<std::int32_t> slots;
    std::int32_t tokens = 0;
    std::size_t outputs = 0;
    for (const Slice& slice : plan.slices) {
      check(live_.contains(slice.id), "planned a sequence that is gone");
      check(slots.insert(slice.slot).second, "one slot twice in a step");
      check(slice.slot >= 0 && slice.slot < options_.slots, "slot out of range");
      check(slice.size() > 0, "empty slice");
      check(cells_.length(slice.slot) == slice.begin, "positions do not follow the cache");
      const std::vector<Token> cached = cells_.tokens(slice.slot);
      const std::span<const Token> wanted = scheduler_.tokens(slice.id);
      check(cached.size() <= wanted.size() &&
                std::equal(cached.begin(), cached.end(), wanted.begin()),
            "the cache holds other tokens than the sequence's");
      tokens += slice.size() + static_cast<std::int32_t>(slice.draft.size());
      outputs += static_cast<std::size_t>(slice.outputs) + slice.draft.size();
      check(slice.draft.empty() || slice.wants_logits, "a draft behind no answer");
      check(!slice.wants_logits || slice.outputs > 0, "nothing to choose the next token by");
      check(slice.outputs <= slice.size(), "more rows of logits than tokens");
    }
    check(outputs <= static_cast<std::size_t>(options_.outputs_max), "too many rows of logits");
    const std::int32_t total = cells_.used();
    check(tokens == plan.tokens && tokens <= options_.step_tokens_max, "over the step's budget");
    check(total + tokens <= options_.cells, "more cells than there are");
    const SchedulerLoad load = scheduler_.load();
    check(load.cells_used + load.cells_resting == total, "cells are not counted exactly");
    check(load.running <= options_.sequences_max, "too many running");
  }

  void finish(const StepPlan& plan) {
    std::vector<Sampled> sampled;
    for (const Slice& slice : plan.slices) {
      write(slice, slice.end);
      cells_.write(slice.slot, slice.draft);
      hear_prompt(slice);
      if (slice.wants_logits) sample(slice, sampled);
    }
    for (const Ended& ended :
         scheduler_.complete(plan, sampled, now_, std::chrono::milliseconds(3))) {
      end(ended);
    }
  }

  // The logits of each position of a prompt that is told come once, in order.
  void hear_prompt(const Slice& slice) {
    Expected& expected = live_.at(slice.id);
    if (!expected.tells || expected.heard >= expected.prompt.size()) return;
    check(scheduler_.told(slice.id) == static_cast<std::int32_t>(expected.heard), "told is wrong");
    const auto end = static_cast<std::size_t>(slice.end);
    if (end <= expected.heard) return;
    check(end - static_cast<std::size_t>(slice.outputs) == expected.heard, "a gap in the prompt");
    expected.heard = end;
    if (!expected.credited) return;
    scheduler_.spend_credit(slice.id, now_);
  }

  void sample(const Slice& slice, std::vector<Sampled>& sampled) {
    const std::span<const Token> known = scheduler_.tokens(slice.id);
    std::vector<Token> tokens(known.begin(), known.end());
    for (std::size_t guess = 0;; ++guess) {
      tokens.push_back(next_token(tokens));
      const Token token = tokens.back();
      sampled.push_back({slice.id, token, is_end(token), token % 3 != 0});
      live_.at(slice.id).answer.push_back(token);
      if (is_end(token) || guess == slice.draft.size() || token != slice.draft[guess]) return;
    }
  }

  void end(const Ended& ended) {
    check(live_.contains(ended.id), "ended twice");
    if (!failure_.empty()) return;
    const Expected& expected = live_.at(ended.id);
    check(!expected.tells || expected.heard == expected.prompt.size(),
          "prompt not told to its end");
    check(expected.answer == whole_answer(expected),
          "the text is not the one of an undisturbed answer");
    const auto count = static_cast<std::int64_t>(expected.answer.size() - expected.spoken);
    check(ended.facts.completion_tokens == count, "wrong count of tokens");
    check(expected.prompt.size() + expected.answer.size() <=
              static_cast<std::size_t>(options_.context_max),
          "over the context");
    live_.erase(ended.id);
  }

  // What comes out if nothing is ever preempted, interrupted or resumed.
  std::vector<Token> whole_answer(const Expected& expected) const {
    std::vector<Token> tokens = expected.prompt;
    std::size_t limit = static_cast<std::size_t>(options_.context_max) - tokens.size();
    if (expected.tokens_max > 0) {
      limit = std::min(limit, static_cast<std::size_t>(expected.tokens_max));
    }
    std::vector<Token> answer;
    while (answer.size() < limit && (answer.empty() || !is_end(answer.back()))) {
      answer.push_back(next_token(tokens));
      tokens.push_back(answer.back());
    }
    return answer;
  }

  void interrupt(const StepPlan& plan) {
    std::vector<std::int32_t> present;
    for (const Slice& slice : plan.slices) {
      present.push_back(pick(slice.begin, slice.end));
      write(slice, present.back());
    }
    scheduler_.aborted(plan, present);
    for (const Slice& slice : plan.slices) {
      cells_.keep(slice.slot, scheduler_.computed(slice.id));
    }
  }

  void write(const Slice& slice, std::int32_t end) {
    cells_.write(slice.slot,
                 scheduler_.tokens(slice.id).subspan(static_cast<std::size_t>(slice.begin),
                                                     static_cast<std::size_t>(end - slice.begin)));
  }

  void refuse(const StepPlan& plan) {
    if (plan.tokens == 1) return finish(plan);  // A lone token without room is a broken machine.
    check(scheduler_.no_room(plan).empty(), "failed a sequence although others could give way");
  }

  // With credits for everybody and nothing new, all that lives must end.
  std::string drain() {
    for (int round = 0; round < 200'000 && !live_.empty() && failure_.empty(); ++round) {
      for (auto& [id, expected] : live_) {
        if (expected.credited) scheduler_.add_credit(id, 10);
      }
      now_ += std::chrono::milliseconds(1);
      step();
    }
    if (failure_.empty() && !live_.empty()) return "a sequence starved";
    if (failure_.empty() && !scheduler_.idle()) return "the scheduler holds what has ended";
    return failure_;
  }

  void check(bool promise, const char* broken) {
    if (!promise && failure_.empty()) failure_ = broken;
  }

  std::mt19937_64 random_;
  SchedulerOptions options_;
  StateMemory states_{2000, 16};
  Scheduler scheduler_;
  base::TimePoint now_{std::chrono::hours(1)};
  SequenceId ids_ = 0;
  std::map<SequenceId, Expected> live_;
  std::vector<Expected> broken_;              // cancelled; some of them are resumed
  std::vector<std::vector<Token>> prefixes_;  // with which later prompts begin
  SimulatedCells cells_;
  std::string failure_;
};

}  // namespace

std::string simulate_scheduler(std::uint64_t seed, int events) {
  return Simulation(seed).run(events);
}

}  // namespace deepseek::engine
