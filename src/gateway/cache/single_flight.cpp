#include "gateway/cache/single_flight.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

struct SingleFlight::Shard {
  mutable std::mutex mutex;
  std::unordered_map<CacheKey, std::shared_ptr<Flight>, CacheKeyHash> flights;
};

// All fields below are guarded by the shard's mutex.
struct SingleFlight::Seat {
  std::shared_ptr<Flight> flight;
  Waker waker;
  State state = State::waiting;
  PieceUnpacker unpacker;
  bool has_bytes = false;  // some were taken
  bool woken = false;      // since the last take()

  void wake() {
    if (!std::exchange(woken, true)) waker();
  }
  void send(State next) {
    state = next;
    wake();
  }
};

struct SingleFlight::Flight {
  Flight(Shard& its_shard, const CacheKey& its_key, const Limits& its_limits)
      : shard(its_shard), key(its_key), limits(its_limits) {}

  void publish(std::string_view piece);
  void release(State state);
  void abandon();
  void close();

  Shard& shard;
  const CacheKey key;
  const Limits& limits;
  std::vector<std::shared_ptr<Seat>> seats;  // in the order in which they came
  Waker last_left;                           // tells the leader that nobody follows any more
  bool listed = true;                        // in the shard's map: others may join
  bool too_large = false;
  PiecePacker packer;
  std::string packed;
  std::uint64_t raw_bytes = 0;
  std::optional<std::uint64_t> usage_mark;
  CachedAnswerPtr answer;
};

void SingleFlight::Flight::close() {
  if (std::exchange(listed, false)) shard.flights.erase(key);
}

// Nobody joins any more, and every follower is told how it ended.
void SingleFlight::Flight::release(State state) {
  close();
  last_left = {};
  for (const auto& seat : std::exchange(seats, {})) seat->send(state);
}

void SingleFlight::Flight::publish(std::string_view piece) {
  if (piece.empty() || too_large) return;
  const std::optional<std::size_t> mark = find_usage_mark(piece);
  if (mark) usage_mark = raw_bytes + *mark;
  packer.add(piece, packed);
  raw_bytes += piece.size();
  if (packed.size() > limits.packed_bytes_max || raw_bytes > limits.raw_bytes_max) {
    too_large = true;
    release(State::alone);
    packed = {};
    return;
  }
  for (const auto& seat : seats) seat->wake();
}

// The leader is gone and left nothing to rely on: what it published is forgotten, who had a part of
// it is on its own, and the first of the others leads.
void SingleFlight::Flight::abandon() {
  last_left = {};
  std::vector<std::shared_ptr<Seat>> waiting;
  for (const auto& seat : std::exchange(seats, {})) {
    if (seat->has_bytes) {
      seat->send(State::alone);
    } else {
      waiting.push_back(seat);
    }
  }
  packer = {};
  packed.clear();
  raw_bytes = 0;
  usage_mark.reset();
  if (waiting.empty()) {
    close();
    return;
  }
  seats = std::move(waiting);
  seats.front()->send(State::lead);
}

// --- leader -----------------------------------------------------------------

SingleFlight::Leader& SingleFlight::Leader::operator=(Leader&& other) noexcept {
  std::swap(flight_, other.flight_);
  return *this;
}

SingleFlight::Leader::~Leader() {
  if (!flight_) return;
  const std::lock_guard lock(flight_->shard.mutex);
  if (flight_->listed) flight_->abandon();
}

void SingleFlight::Leader::publish(std::string_view piece) {
  if (!flight_) return;
  const std::lock_guard lock(flight_->shard.mutex);
  flight_->publish(piece);
}

CachedAnswerPtr SingleFlight::Leader::finish(CachedAnswer facts, CacheStore* store) {
  const std::shared_ptr<Flight> flight = std::move(flight_);
  if (!flight || flight->too_large) return nullptr;
  // Only the leader adds bytes, so they may be read without the lock.
  facts.packed.assign(flight->packed);
  facts.raw_bytes = flight->raw_bytes;
  facts.usage_mark = flight->usage_mark;
  auto answer = std::make_shared<const CachedAnswer>(std::move(facts));
  if (store != nullptr) store->put(flight->key, answer);
  const std::lock_guard lock(flight->shard.mutex);
  flight->answer = answer;
  flight->release(State::answered);
  return answer;
}

void SingleFlight::Leader::give_up() {
  const std::shared_ptr<Flight> flight = std::move(flight_);
  if (!flight) return;
  const std::lock_guard lock(flight->shard.mutex);
  flight->release(State::alone);
}

std::size_t SingleFlight::Leader::followers() const {
  if (!flight_) return 0;
  const std::lock_guard lock(flight_->shard.mutex);
  return flight_->seats.size();
}

void SingleFlight::Leader::on_last_left(Waker waker) {
  if (!flight_) return;
  const std::lock_guard lock(flight_->shard.mutex);
  if (flight_->listed) flight_->last_left = std::move(waker);
}

// --- follower ---------------------------------------------------------------

SingleFlight::Follower& SingleFlight::Follower::operator=(Follower&& other) noexcept {
  std::swap(seat_, other.seat_);
  return *this;
}

SingleFlight::Follower::~Follower() {
  leave();
}

void SingleFlight::Follower::leave() {
  const std::shared_ptr<Seat> seat = std::move(seat_);
  if (!seat) return;
  Flight& flight = *seat->flight;
  const std::lock_guard lock(flight.shard.mutex);
  const bool followed = std::erase(flight.seats, seat) > 0;
  seat->woken = true;  // nothing wakes it any more
  if (seat->state == State::lead) {
    flight.abandon();
  } else if (followed && flight.seats.empty() && flight.last_left) {
    flight.last_left();
  }
}

SingleFlight::View SingleFlight::Follower::take() {
  View view;
  if (!seat_) return {State::alone, {}, nullptr};
  Seat& seat = *seat_;
  const Flight& flight = *seat.flight;
  const std::lock_guard lock(flight.shard.mutex);
  seat.woken = false;
  view.state = seat.state;
  if (seat.state == State::waiting || seat.state == State::answered) {
    while (seat.unpacker.next(flight.packed, view.bytes)) seat.has_bytes = true;
    view.answer = flight.answer;
  }
  return view;
}

std::optional<SingleFlight::Leader> SingleFlight::Follower::lead() {
  if (!seat_) return std::nullopt;
  std::shared_ptr<Flight> flight = seat_->flight;
  const std::lock_guard lock(flight->shard.mutex);
  if (seat_->state != State::lead) return std::nullopt;
  std::erase(flight->seats, seat_);
  seat_->state = State::alone;
  seat_.reset();
  return Leader(std::move(flight));
}

// --- the registry -----------------------------------------------------------

SingleFlight::SingleFlight(const Limits& limits) : limits_(limits) {
  for (auto& shard : shards_) shard = std::make_unique<Shard>();
}

SingleFlight::~SingleFlight() = default;

SingleFlight::Place SingleFlight::join(const CacheKey& key, Waker waker) {
  Shard& shard = *shards_[key.digest[16] % shard_count];
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.flights.find(key);
  if (found == shard.flights.end()) {
    if (shard.flights.size() >= std::max<std::size_t>(1, limits_.flights_max / shard_count)) {
      return Alone{};
    }
    auto flight = std::make_shared<Flight>(shard, key, limits_);
    shard.flights.emplace(key, flight);
    return Leader(std::move(flight));
  }
  const std::shared_ptr<Flight>& flight = found->second;
  if (flight->seats.size() >= limits_.followers_max) return Alone{};
  auto seat = std::make_shared<Seat>();
  seat->flight = flight;
  seat->waker = std::move(waker);
  flight->seats.push_back(seat);
  if (!flight->packed.empty()) seat->wake();
  return Follower(std::move(seat));
}

SingleFlight::Leader SingleFlight::lead_alone(const CacheKey& key) {
  auto flight = std::make_shared<Flight>(*shards_[key.digest[16] % shard_count], key, limits_);
  flight->listed = false;
  return Leader(std::move(flight));
}

std::size_t SingleFlight::flights() const {
  std::size_t sum = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    sum += shard->flights.size();
  }
  return sum;
}

}  // namespace deepseek::gateway
