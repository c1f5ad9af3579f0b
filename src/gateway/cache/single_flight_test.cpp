#include "gateway/cache/single_flight.hpp"

#include "gateway/cache/memory_cache_store.hpp"

#include <gtest/gtest.h>
#include <atomic>
#include <condition_variable>
#include <random>
#include <thread>

namespace deepseek::gateway {
namespace {

using State = SingleFlight::State;
using Leader = SingleFlight::Leader;
using Follower = SingleFlight::Follower;

const CacheKey key{base::sha256("question")};

CachedAnswer facts() {
  CachedAnswer answer;
  answer.tenant = "t";
  answer.model = "m";
  answer.expires_ms = 1000;
  return answer;
}

struct Fixture : testing::Test {
  Leader lead() {
    auto place = flight.join(key, [] { FAIL() << "a leader is not woken"; });
    EXPECT_TRUE(std::holds_alternative<Leader>(place));
    return std::get<Leader>(std::move(place));
  }
  Follower follow(int& wakes) {
    auto place = flight.join(key, [&wakes] { ++wakes; });
    EXPECT_TRUE(std::holds_alternative<Follower>(place));
    return std::get<Follower>(std::move(place));
  }

  SingleFlight flight{{}};
  MemoryCacheStore store{{}};
  int first_wakes = 0;
  int second_wakes = 0;
};

using SingleFlightTest = Fixture;

TEST_F(SingleFlightTest, FollowersGetTheLeadersAnswer) {
  Leader leader = lead();
  Follower first = follow(first_wakes);
  Follower second = follow(second_wakes);
  EXPECT_EQ(leader.followers(), 2u);
  EXPECT_EQ(first.take().state, State::waiting);
  leader.publish(R"({"usage":{"a":1}})");
  const CachedAnswerPtr answer = leader.finish(facts(), &store);
  ASSERT_NE(answer, nullptr);
  for (Follower* follower : {&first, &second}) {
    const auto view = follower->take();
    EXPECT_EQ(view.state, State::answered);
    EXPECT_EQ(view.bytes, R"({"usage":{"a":1}})") << "the bytes as they went to the leader";
    EXPECT_EQ(view.answer, answer);
  }
  EXPECT_GE(first_wakes, 1);
  EXPECT_GE(second_wakes, 1);
  EXPECT_EQ(store.get({key, "t", 0}), answer);
  EXPECT_EQ(replay(*answer), R"({"usage":{"cached_answer":true,"a":1}})");
  EXPECT_EQ(flight.flights(), 0u);
}

TEST_F(SingleFlightTest, ALeaderHearsThatTheLastFollowerLeft) {
  Leader leader = lead();
  int left = 0;
  leader.on_last_left([&left] { ++left; });
  {
    Follower first = follow(first_wakes);
    {
      const Follower second = follow(second_wakes);
    }
    EXPECT_EQ(left, 0) << "one still follows";
  }
  EXPECT_EQ(left, 1);
  Follower answered = follow(first_wakes);
  leader.publish("piece");
  leader.finish(facts(), nullptr);
  answered.take();
  {
    const Follower gone = std::move(answered);
  }
  EXPECT_EQ(left, 1) << "a leader that has finished hears nothing";
}

TEST_F(SingleFlightTest, AnAnswerMayBeKeptWithoutFollowers) {
  Leader alone = flight.lead_alone(key);
  EXPECT_EQ(flight.flights(), 0u);
  Leader other = lead();
  alone.publish("bytes");
  const CachedAnswerPtr answer = alone.finish(facts(), &store);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(store.get({key, "t", 0}), answer);
  EXPECT_EQ(flight.flights(), 1u) << "the other request is still under way";
  {
    const Leader dropped = flight.lead_alone(key);
  }
  EXPECT_EQ(flight.flights(), 1u);
}

TEST_F(SingleFlightTest, AStreamIsFollowedAsItComes) {
  Leader leader = lead();
  Follower early = follow(first_wakes);
  leader.publish("data: 1\n\n");
  EXPECT_EQ(first_wakes, 1);
  leader.publish("data: 2\n\n");
  EXPECT_EQ(first_wakes, 1) << "once until it has looked";
  EXPECT_EQ(early.take().bytes, "data: 1\n\ndata: 2\n\n");
  EXPECT_EQ(early.take().bytes, "");
  Follower late = follow(second_wakes);
  EXPECT_EQ(second_wakes, 1) << "there is something to read already";
  leader.publish("data: 3\n\n");
  EXPECT_EQ(first_wakes, 2);
  leader.finish(facts(), nullptr);
  EXPECT_EQ(early.take().bytes, "data: 3\n\n");
  const auto view = late.take();
  EXPECT_EQ(view.bytes, "data: 1\n\ndata: 2\n\ndata: 3\n\n");
  EXPECT_EQ(view.state, State::answered);
  EXPECT_EQ(store.figures().entries, 0u);
}

TEST_F(SingleFlightTest, FormsAndKeysDoNotMix) {
  const Leader leader = lead();
  const auto other = flight.join(CacheKey{base::sha256("another")}, [] {});
  const auto form = flight.join(key.in_form(AnswerForm::stream), [] {});
  EXPECT_TRUE(std::holds_alternative<Leader>(other));
  EXPECT_TRUE(std::holds_alternative<Leader>(form));
  EXPECT_EQ(flight.flights(), 3u);
}

TEST_F(SingleFlightTest, WhenTheLeaderFailsAllGoOnTheirOwnAtOnce) {
  Leader leader = lead();
  Follower first = follow(first_wakes);
  Follower second = follow(second_wakes);
  leader.give_up();
  EXPECT_EQ(first_wakes, 1);
  EXPECT_EQ(second_wakes, 1);
  EXPECT_EQ(first.take().state, State::alone);
  EXPECT_EQ(second.take().state, State::alone);
  EXPECT_EQ(flight.flights(), 0u);
  leader.publish("late");
  EXPECT_EQ(leader.finish(facts(), &store), nullptr);
  EXPECT_EQ(store.figures().entries, 0u);
  const Leader next = lead();
}

TEST_F(SingleFlightTest, WhenTheLeaderLeavesTheNextOneLeads) {
  std::optional<Leader> leader(lead());
  std::optional<Follower> first(follow(first_wakes));
  Follower second = follow(second_wakes);
  leader->publish("half an ans");
  leader.reset();
  EXPECT_EQ(first->take().state, State::lead);
  EXPECT_EQ(second.take().state, State::waiting);
  EXPECT_FALSE(second.lead());
  std::optional<Leader> next = first->lead();
  ASSERT_TRUE(next);
  EXPECT_FALSE(first->lead()) << "once";
  first.reset();
  EXPECT_EQ(next->followers(), 1u);
  next->publish("answer");
  next->finish(facts(), nullptr);
  const auto view = second.take();
  EXPECT_EQ(view.state, State::answered);
  EXPECT_EQ(view.bytes, "answer") << "nothing of what the first one said";
}

TEST_F(SingleFlightTest, WhoHasAPartOfItIsOnItsOwn) {
  std::optional<Leader> leader(lead());
  Follower reader = follow(first_wakes);
  Follower idle = follow(second_wakes);
  leader->publish("data: 1\n\n");
  EXPECT_EQ(reader.take().bytes, "data: 1\n\n");
  leader.reset();
  EXPECT_EQ(reader.take().state, State::alone);
  EXPECT_EQ(idle.take().state, State::lead);
  EXPECT_EQ(idle.take().bytes, "");
}

TEST_F(SingleFlightTest, LeadershipIsNotLostWithItsHeir) {
  std::optional<Leader> leader(lead());
  std::optional<Follower> first(follow(first_wakes));
  std::optional<Follower> second(follow(second_wakes));
  leader.reset();
  EXPECT_EQ(second_wakes, 0);
  first.reset();
  EXPECT_EQ(second_wakes, 1);
  EXPECT_EQ(second->take().state, State::lead);
  second.reset();
  EXPECT_EQ(flight.flights(), 0u);
  const Leader next = lead();
}

TEST_F(SingleFlightTest, AFollowerMayLeave) {
  Leader leader = lead();
  std::optional<Follower> first(follow(first_wakes));
  Follower second = follow(second_wakes);
  first.reset();
  EXPECT_EQ(leader.followers(), 1u);
  leader.publish("x");
  EXPECT_EQ(first_wakes, 0) << "nobody calls who has left";
  leader.finish(facts(), nullptr);
  EXPECT_EQ(second.take().bytes, "x");
}

TEST_F(SingleFlightTest, MovedHandlesKeepTheirPlace) {
  Leader leader = lead();
  Follower first = follow(first_wakes);
  Follower moved(std::move(first));
  Leader moved_leader(std::move(leader));
  moved_leader.publish("x");
  moved_leader.finish(facts(), nullptr);
  EXPECT_EQ(moved.take().bytes, "x");
}

TEST(SingleFlightLimits, AreKept) {
  SingleFlight flight({16, 1, 100, 1000});
  int wakes = 0;
  auto first = flight.join(key, [] {});
  auto follower = flight.join(key, [&] { ++wakes; });
  EXPECT_TRUE(std::holds_alternative<SingleFlight::Alone>(flight.join(key, [] {})));
  CacheKey same_shard{base::sha256("another")};
  same_shard.digest[16] = key.digest[16];
  EXPECT_TRUE(std::holds_alternative<SingleFlight::Alone>(flight.join(same_shard, [] {})));

  auto& leader = std::get<Leader>(first);
  leader.publish(std::string(200, 'x'));
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(std::get<Follower>(follower).take().state, State::alone);
  EXPECT_EQ(flight.flights(), 0u) << "too large to be shared";
  leader.publish("more");
  MemoryCacheStore store({});
  EXPECT_EQ(leader.finish(facts(), &store), nullptr);
  EXPECT_EQ(store.figures().entries, 0u);

  auto again = flight.join(key, [] {});
  for (int i = 0; i < 30; ++i) std::get<Leader>(again).publish(std::string(40, 'x'));
  EXPECT_EQ(std::get<Leader>(again).finish(facts(), nullptr), nullptr) << "1200 bytes replayed";
}

// One request of a storm: it ends with an answer, by whatever way.
class Storm {
 public:
  void request(unsigned seed) {
    std::mt19937 random(seed);
    std::mutex mutex;
    std::condition_variable woken;
    bool news = false;
    auto place = flight_.join(key, [&] {
      const std::lock_guard lock(mutex);
      news = true;
      woken.notify_one();
    });
    if (auto* leader = std::get_if<Leader>(&place)) return run(*leader, random);
    auto* const follower = std::get_if<Follower>(&place);
    if (follower == nullptr) return finish_alone();
    while (true) {
      {
        std::unique_lock lock(mutex);
        if (!woken.wait_for(lock, std::chrono::seconds(60), [&] { return news; })) {
          ++stranded;
          return;
        }
        news = false;
      }
      const auto view = follower->take();
      if (view.state == State::answered || view.state == State::alone) return finish_alone();
      if (view.state == State::lead) {
        auto leader = follower->lead();
        return run(*leader, random);
      }
      if (random() % 50 == 0) return finish_alone();  // its client leaves
    }
  }
  std::atomic<int> ended{0};
  std::atomic<int> stranded{0};
  std::size_t flights() const { return flight_.flights(); }

 private:
  void run(Leader& leader, std::mt19937& random) {
    for (int i = 0; i < 5; ++i) {
      leader.publish("piece");
      if (random() % 6 == 0) return finish_alone();  // by the destructor of its owner
    }
    if (random() % 3 == 0) {
      leader.give_up();
    } else {
      leader.finish(facts(), nullptr);
    }
    finish_alone();
  }
  void finish_alone() { ++ended; }

  SingleFlight flight_{{}};
};

TEST(SingleFlightStorm, NobodyIsStranded) {
  Storm storm;
  constexpr int threads_count = 8;
  constexpr int rounds = 500;
  std::vector<std::thread> threads;
  for (int t = 0; t < threads_count; ++t) {
    threads.emplace_back([&storm, t] {
      for (int i = 0; i < rounds; ++i) storm.request(static_cast<unsigned>(t * rounds + i));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(storm.stranded, 0);
  EXPECT_EQ(storm.ended, threads_count * rounds);
  EXPECT_EQ(storm.flights(), 0u);
}

}  // namespace
}  // namespace deepseek::gateway
