// Identical requests at the same time make one: the first leads, the others follow it.
//
// A leader publishes each piece of its answer as it sends it, and a follower reads them as they
// come, so a stream that is followed is as prompt as the one that leads. The pieces are packed, and
// are also what the cache keeps: there is one copy. A leader that goes away, at any moment and by
// any way, strands nobody: the next follower leads, or all go on their own.
//
// Pure but for its locks. Owned by main(); it outlives every Leader and Follower. Any thread may
// call join(); a Leader or a Follower belongs to its request's thread. A leader whose client leaves
// should carry on while followers() is not 0.
#pragma once

#include "gateway/cache/cache_store.hpp"
#include "gateway/cache/packed_bytes.hpp"

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace deepseek::gateway {

class SingleFlight {
  struct Flight;
  struct Seat;
  struct Shard;

 public:
  struct Limits {
    std::size_t flights_max = 4096;
    std::size_t followers_max = 1024;        // of one flight
    std::size_t packed_bytes_max = 1 << 20;  // of one answer
    std::size_t raw_bytes_max = 16 << 20;    // of one answer when it is replayed
  };

  // Says that take() has something new. Called from any thread while a lock is held, so it only
  // posts to its own executor; never after its Follower is gone; once until the next take().
  using Waker = std::function<void()>;

  // Destroying it without finish() or give_up() means that its request was cancelled: the next
  // follower leads.
  class Leader {
   public:
    Leader(Leader&& other) noexcept = default;
    Leader& operator=(Leader&& other) noexcept;
    ~Leader();

    // The next piece of the answer, as it goes to the client: the whole body, or some frames.
    void publish(std::string_view piece);
    // The answer is complete. Followers get the rest of it. The answer, made of `facts` and of
    // what was published, is put into `store` before the flight ends, so that a request which
    // comes in between finds one of them; who becomes leader looks into the cache once more. Null
    // `store`: not to be kept. The result is null when it was too large to keep.
    CachedAnswerPtr finish(CachedAnswer facts, CacheStore* store);
    // It failed. Followers go on their own at once, not one after the other behind a backend that
    // does not answer.
    void give_up();
    std::size_t followers() const;
    // `waker` says that the last follower has left: who carried on for them may stop. Called as a
    // follower's, never after this Leader is gone.
    void on_last_left(Waker waker);

   private:
    friend class SingleFlight;
    explicit Leader(std::shared_ptr<Flight> flight) : flight_(std::move(flight)) {}
    std::shared_ptr<Flight> flight_;
  };

  enum class State {
    waiting,   // more will come
    answered,  // these are the last bytes
    lead,      // the leader went away before this follower had anything: call lead()
    alone,     // go on without the flight. After bytes were taken the answer is broken: it is
               // continued like one whose backend died
  };
  struct View {
    State state = State::waiting;
    std::string bytes;       // new since the last take()
    CachedAnswerPtr answer;  // with `answered`: model and usage; null if it was too large to keep
  };

  class Follower {
   public:
    Follower(Follower&& other) noexcept = default;
    Follower& operator=(Follower&& other) noexcept;
    ~Follower();  // leaves; the others are served as before

    View take();
    // After State::lead, once.
    std::optional<Leader> lead();

   private:
    friend class SingleFlight;
    explicit Follower(std::shared_ptr<Seat> seat) : seat_(std::move(seat)) {}
    void leave();
    std::shared_ptr<Seat> seat_;
  };

  // Nobody to follow and no room to lead: run without the registry.
  struct Alone {};
  using Place = std::variant<Alone, Leader, Follower>;

  explicit SingleFlight(const Limits& limits);
  ~SingleFlight();

  // `key` in the form that the client wants.
  Place join(const CacheKey& key, Waker waker);
  // For an answer that is kept, but that nobody shall follow.
  Leader lead_alone(const CacheKey& key);
  std::size_t flights() const;

 private:
  static constexpr std::size_t shard_count = 16;
  const Limits limits_;
  std::array<std::unique_ptr<Shard>, shard_count> shards_;
};

}  // namespace deepseek::gateway
