// One request's way through the response cache, seen as the stream of its answer: a kept answer,
// the pieces of the same request that runs already, or a run of its own that is kept and followed.
//
// An EventStream; lives on its coroutine's thread. What comes from the cache are Verbatim events:
// bytes as they went to the first client. Who sends the answer of a run of its own publishes its
// bytes here, since only they are kept.
#pragma once

#include "frontend/answer_cache.hpp"
#include "gateway/backend.hpp"
#include "io/event.hpp"
#include "io/http_message.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::frontend {

enum class CacheResult {
  none,     // it had nothing to do with the cache
  miss,     // a backend was asked
  hit,      // it was kept
  similar,  // the answer to a question that means the same was kept
  shared,   // the same request ran already
};

std::string_view to_string(CacheResult result);

// What is asked, and for whom. What the views refer to outlives the stream.
struct CachedQuestion {
  const protocol::Request& request;  // routed; with the client's body
  std::string_view tenant;
  std::string_view scope;     // Gateway::Routed::cache_scope
  std::string_view endpoint;  // the path of the client's form
  CacheWish wish;
  gateway::CacheRules rules;
};

class CachedStream final : public gateway::EventStream {
 public:
  struct Backends {
    // Starts a run of its own; called at most once.
    std::function<std::unique_ptr<gateway::EventStream>()> start;
    std::function<base::Result<std::unique_ptr<gateway::EmbeddingCall>>(
        const protocol::EmbeddingRequest& request)>
        embed;
  };

  CachedStream(AnswerCache& cache, CachedQuestion question, Backends backends,
               boost::asio::any_io_executor executor);
  ~CachedStream() override;
  CachedStream(const CachedStream&) = delete;
  CachedStream& operator=(const CachedStream&) = delete;

  boost::asio::awaitable<base::Result<std::vector<protocol::Event>>> read() override;
  void cancel() override;
  gateway::AttemptFailure failure() const override;
  std::string route_note() const override;

  // Bytes of the answer as they go to the client, keep-alive comments left out, before they are
  // written; `complete` with the last ones.
  void publish(std::string_view piece, bool complete);
  // It is worth going on without a client: others wait for this answer, or all of it was said and
  // it only needs to be kept.
  bool goes_on() const { return leader_ && (unfinished_ == 0 || leader_->followers() > 0); }
  // The client has gone: cancels as soon as nobody else follows.
  void client_left();

  CacheResult result() const { return result_; }
  // Of an answer that came from the cache.
  const protocol::Usage& usage() const { return usage_; }
  // DeepSeek-Cache and Age; once there are events.
  void add_fields(io::HttpFields& fields) const;

 private:
  using Events = std::vector<protocol::Event>;

  // What wakers and the store's threads may call when the stream is gone.
  struct Bell {
    explicit Bell(const boost::asio::any_io_executor& on) : executor(on), event(on) {}
    boost::asio::any_io_executor executor;
    io::Event event;
    CachedStream* stream = nullptr;
    gateway::CachedAnswerPtr loaded;
    bool load_ended = false;
  };

  boost::asio::awaitable<void> begin();
  boost::asio::awaitable<void> look_up(gateway::CacheKey key);
  boost::asio::awaitable<void> look_for_similar();
  boost::asio::awaitable<void> embed();
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> follow(Events& events, std::optional<base::Error>& broken);
  void join();
  void lead(gateway::SingleFlight::Leader leader);
  void run_alone();
  bool take_kept(const gateway::CacheKey& key, const gateway::CachedAnswerPtr& answer);
  void note(const Events& events);
  void tell(const gateway::CachedAnswer* answer);
  void finish(bool keep);
  gateway::CacheKeyParts parts() const;
  gateway::CacheLookup lookup(const gateway::CacheKey& key) const;
  gateway::SingleFlight::Waker waker(void (*ring)(Bell& bell)) const;
  protocol::Event verbatim(std::string bytes) const;

  AnswerCache& cache_;
  const CachedQuestion question_;
  const Backends backends_;
  const gateway::CacheUse use_;
  const std::shared_ptr<Bell> bell_;
  const base::TimePoint began_ = base::now();
  std::optional<gateway::CacheKey> key_;  // in the client's form
  CacheResult result_ = CacheResult::none;
  std::string kept_;         // bytes of a hit that were not read yet
  std::int64_t age_ms_ = 0;  // of a hit
  protocol::Usage usage_;
  std::size_t unfinished_;                       // choices of a run of its own that have not ended
  std::string_view finish_reason_;               // of a run of its own; the worst of its choices
  std::unique_ptr<gateway::EventStream> inner_;  // a run of its own
  std::unique_ptr<gateway::EmbeddingCall> embedding_;  // that is waited for
  std::vector<float> vector_;               // of the last message, where similar questions count
  std::optional<gateway::CacheKey> scope_;  // of the questions that may be similar
  std::optional<gateway::SingleFlight::Leader> leader_;
  std::optional<gateway::SingleFlight::Follower> follower_;
  bool begun_ = false;
  bool has_bytes_ = false;  // of the leader
  bool over_ = false;
  bool cancelled_ = false;
  bool client_left_ = false;
};

}  // namespace deepseek::frontend
