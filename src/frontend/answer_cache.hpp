// The response cache as requests use it: the store, the requests that are under way, and a thread
// for what would hold up an I/O thread.
//
// Owned by main(); made after the I/O threads and outlives every request. Any thread may use it.
#pragma once

#include "frontend/similar_answers.hpp"
#include "gateway/attempt_record.hpp"
#include "gateway/cache/cache_key.hpp"
#include "gateway/cache/cache_rules.hpp"
#include "gateway/cache/cache_store.hpp"
#include "gateway/cache/single_flight.hpp"
#include "io/http_message.hpp"
#include "io/io_threads.hpp"

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::frontend {

class AnswerCache {
 public:
  struct Options {
    gateway::SingleFlight::Limits flights{};
    gateway::AttemptObserver* observer = nullptr;      // of answers given; not owned; may be null
    std::size_t inline_bytes_max = 100'000;            // larger bodies are hashed on the worker
    std::optional<SimilarAnswers::Options> similar{};  // none: only identical questions count
  };
  AnswerCache(std::unique_ptr<gateway::CacheStore> store, const Options& options);
  ~AnswerCache();
  AnswerCache(const AnswerCache&) = delete;
  AnswerCache& operator=(const AnswerCache&) = delete;

  gateway::CacheStore& store() { return *store_; }
  gateway::SingleFlight& flights() { return flights_; }
  SimilarAnswers* similar() { return similar_ ? &*similar_ : nullptr; }  // may be null

  // cache_key(); what `parts` refers to outlives the call.
  boost::asio::awaitable<std::optional<gateway::CacheKey>> key(gateway::CacheKeyParts parts);
  // similar()->find(), on the worker.
  boost::asio::awaitable<std::optional<gateway::CacheKey>> find_similar(
      gateway::CacheKey scope, std::string_view tenant, const std::vector<float>& vector);
  // An answer was given without asking a backend.
  void given(const gateway::AttemptRecord& record);

 private:
  const Options options_;
  const std::unique_ptr<gateway::CacheStore> store_;
  gateway::SingleFlight flights_;
  std::optional<SimilarAnswers> similar_;
  io::IoThreads worker_{1};
};

// What one HTTP request says to the cache, beside its body.
struct CacheWish {
  gateway::CacheControl control;
  std::string query;
};
CacheWish read_wish(const io::HttpRequest& request);

}  // namespace deepseek::frontend
