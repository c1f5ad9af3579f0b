#include "gateway/model_memory.hpp"

#include <utility>

namespace deepseek::gateway {

std::size_t ModelMemory::add(Model model) {
  const std::lock_guard lock(mutex_);
  places_.push_back({});
  places_.back().model = std::move(model);
  return places_.size() - 1;
}

void ModelMemory::wants(std::size_t model) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    Place& place = places_[model];
    if (place.state != State::out) return;
    place.state = State::wanted;
    place.since = ++uses_;
    calls = settle();
  }
  run(calls);
}

void ModelMemory::in_use(std::size_t model, bool used) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    Place& place = places_[model];
    place.used = used;
    place.last = ++uses_;
    if (!used) calls = settle();
  }
  run(calls);
}

void ModelMemory::stays(std::size_t model) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    Place& place = places_[model];
    if (place.state == State::leaving) place.state = State::held;
    place.used = true;
    calls = settle();
  }
  run(calls);
}

void ModelMemory::gone(std::size_t model) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    places_[model].state = State::out;
    calls = settle();
  }
  run(calls);
}

std::uint64_t ModelMemory::held() const {
  const std::lock_guard lock(mutex_);
  return bytes_of(State::held) + bytes_of(State::leaving);
}

std::string ModelMemory::reason(std::size_t model) const {
  const std::lock_guard lock(mutex_);
  if (places_[model].state != State::wanted) return {};
  std::string others;
  for (const Place& place : places_) {
    if (place.state != State::held && place.state != State::leaving) continue;
    others += (others.empty() ? "" : ", ") + place.model.name;
  }
  return "it waits for memory that is in use by " + others + " (memory.max_models_size)";
}

std::uint64_t ModelMemory::bytes_of(State state) const {
  std::uint64_t bytes = 0;
  for (const Place& place : places_) bytes += place.state == state ? place.model.bytes : 0;
  return bytes;
}

ModelMemory::Place* ModelMemory::first_wanted() {
  Place* first = nullptr;
  for (Place& place : places_) {
    if (place.state != State::wanted) continue;
    if (first == nullptr || place.since < first->since) first = &place;
  }
  return first;
}

ModelMemory::Place* ModelMemory::longest_unused() {
  Place* longest = nullptr;
  for (Place& place : places_) {
    if (place.state != State::held || place.used) continue;
    if (longest == nullptr || place.last < longest->last) longest = &place;
  }
  return longest;
}

// In the order in which they were wanted; nobody overtakes, so a large model comes in too.
ModelMemory::Calls ModelMemory::settle() {
  Calls calls;
  while (Place* wanted = first_wanted()) {
    const std::uint64_t need = wanted->model.bytes;
    const auto fits = [&](std::uint64_t others) {
      return bytes_max_ == 0 || others == 0 || others + need <= bytes_max_;
    };
    const std::uint64_t leaving = bytes_of(State::leaving);
    if (fits(bytes_of(State::held) + leaving)) {
      wanted->state = State::held;
      wanted->last = ++uses_;
      calls.push_back(wanted->model.load);
      continue;
    }
    // What leaves already counts as free; only as many more are asked as are needed, and nobody
    // if all of them would not do.
    std::uint64_t used = 0;
    for (const Place& place : places_) {
      if (place.state == State::held && place.used) used += place.model.bytes;
    }
    if (!fits(used)) return calls;
    while (!fits(bytes_of(State::held))) {
      Place* const place = longest_unused();
      place->state = State::leaving;
      calls.push_back(place->model.leave);
    }
    return calls;
  }
  return calls;
}

void ModelMemory::run(const Calls& calls) {
  for (const auto& call : calls) call();
}

}  // namespace deepseek::gateway
