// The engine process of one local model as a Backend: supervised, restarted, spoken to over its
// socket.
//
// Made by main(). Its insides live on one I/O thread, the owner: `executor`. start(), embed() and
// status() may be called from any I/O thread; events reach a stream through a mailbox that the
// stream's credits bound. stop() must have returned before it is destroyed. It knows no routes and
// tries nothing twice: what was in flight when the engine ended gets an error.
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "gateway/backend.hpp"
#include "gateway/engine_launcher.hpp"
#include "gateway/image_reader.hpp"
#include "gateway/model_memory.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace deepseek::gateway {

struct EngineBackendOptions {
  using Duration = std::chrono::milliseconds;

  std::string model;  // its name, for messages
  EngineCommand command;
  ImageOptions images;  // for a model with a projector
  bool preload = true;  // false: the process starts with the first request
  // Shared by all models; null: every model is loaded when it is wanted.
  std::shared_ptr<ModelMemory> memory;
  std::uint64_t memory_bytes = 0;  // of weights and KV pool
  std::int32_t stream_credits = 64;
  Duration rpc_timeout{600'000};      // deadline of a whole request
  Duration queue_timeout{60'000};     // in the engine's queue; 0: none
  Duration ready_wait{2'000};         // how long a request waits for an engine that is not ready
  std::size_t ready_wait_max = 256;   // how many may wait so
  Duration restart_backoff_min{250};  // of the second restart in a row; the first is at once
  Duration restart_backoff_max{10'000};
  Duration restart_reset{10'000};    // ready for so long: the next restart is a first one
  Duration hello_timeout{60'000};    // from the start of the process to its Hello
  Duration ping_interval{500};       // while it loads or answers
  Duration silence_timeout{2'000};   // no answer to a ping for so long: killed
  Duration wedge_timeout{30'000};    // one step for so long: killed
  Duration shutdown_timeout{5'000};  // from Shutdown to SIGKILL
  std::size_t suspects_max = 1024;   // fingerprints of requests that ran when an engine died
  std::uint32_t deaths_max = 2;      // a request that was there so often is refused
};

// What the weights of one format came to: engine.layout.
struct EngineLayout {
  std::string format;  // as "Q4_1"
  std::string layout;  // as "own (avx512_vnni)", "as_is"
  std::int32_t weights = 0;
  std::uint64_t bytes = 0;  // that were packed
  double speed_one = 0;     // beside as_is, one column; 0: not measured
  double speed_many = 0;
};

// What a running engine said of its model and of itself.
struct EngineDescription {
  std::string architecture;
  std::string file_type;
  std::uint64_t parameters = 0;
  std::uint64_t model_bytes = 0;
  std::uint64_t kv_bytes = 0;
  std::uint64_t kv_cells = 0;
  std::uint64_t repacked_bytes = 0;
  std::int32_t context_train = 0;
  std::int32_t context_max = 0;
  std::int32_t sequences_max = 0;
  std::int32_t embedding_dimensions = 0;
  std::int32_t vocabulary = 0;
  std::int32_t queue_max = 0;
  bool has_chat_template = false;
  bool embeddings = false;
  bool sees_images = false;
  std::vector<std::string> devices;
  std::vector<EngineLayout> layouts;
  base::Milliseconds load{0};  // of the weights
};

// As of the engine's last step; counters since the engine's start. All zero while there is none.
struct EngineLoadFigures {
  std::int32_t running = 0;
  std::int32_t waiting = 0;            // in the engine's queue
  std::uint64_t kv_cells_used = 0;     // by answers that run; shared ones count once
  std::uint64_t kv_cells_resting = 0;  // kept for prompts that begin alike
  std::uint64_t kv_cells_taken = 0;    // by all of them
  std::uint64_t kv_cells_span = 0;  // up to the highest of those: attention looks at all of these
  std::uint64_t prefill_tokens = 0;
  std::uint64_t decode_tokens = 0;
  std::uint64_t cached_tokens = 0;  // of prompts, found in the cache
  std::uint64_t evicted_cells = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t drafted_tokens = 0;   // guesses that were computed
  std::uint64_t accepted_tokens = 0;  // of those, right ones
  std::uint64_t state_bytes = 0;      // of prefixes in memory whose cells were given up
  std::uint64_t states_put_back = 0;
  std::uint64_t disk_bytes = 0;  // of prefixes on disk
  std::uint64_t disk_reads = 0;
  std::uint64_t steps = 0;
  std::vector<std::uint64_t> batch_sizes{};  // steps by sequences: 1, 2, up to 4, 8 … 256
  double step_ms = 0;
  std::int64_t unread_tokens = 0;        // of the prompts there: read before a new one is
  double prefill_tokens_per_second = 0;  // measured; 0: not yet
  double answer_ms = 0;                  // how long a sequence keeps its place; 0: not known yet
};

// The share of the cells that attention looks at for nothing: 0 to 1.
double fragmentation(const EngineLoadFigures& load);

// One sequence of the engine, as the engine told it last.
struct EngineSequence {
  std::uint64_t number = 0;
  std::string state;  // waiting, loading, sharing, preempted, reading, generating, paused
  std::string tenant;
  std::string user_id;
  std::int32_t priority = 0;
  base::Milliseconds age{0};
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t cells = 0;
};
struct EngineSequences {
  std::vector<EngineSequence> all;
  base::TimePoint told{};  // at most half a second ago while the engine lives
};

class EngineBackend final : public Backend {
 public:
  // With no launcher given, the real program is started.
  EngineBackend(boost::asio::any_io_executor executor, EngineBackendOptions options,
                base::Logger logger, std::unique_ptr<EngineLauncher> launcher = nullptr);
  ~EngineBackend() override;
  EngineBackend(const EngineBackend&) = delete;
  EngineBackend& operator=(const EngineBackend&) = delete;

  // Starts the process (if options.preload). Any thread; once; before or after the I/O threads
  // start.
  void launch();
  // After a permanent failure: tries again, as after a reload. Any thread.
  void retry();
  // Lets the engine finish what runs, then ends it: SIGTERM, and SIGKILL after shutdown_timeout.
  // From a coroutine on any I/O thread; once. Afterwards no process is left and no request runs.
  boost::asio::awaitable<void> stop();

  std::unique_ptr<EventStream> start(const Attempt& attempt) override;
  std::unique_ptr<EmbeddingCall> embed(const EmbeddingAttempt& attempt) override;
  std::unique_ptr<TokenizeCall> tokenize(const TokenizeAttempt& attempt) override;
  BackendStatus status() const override;
  // From the engine's queue and its measured speed; very long while the model is not ready.
  base::Milliseconds expected_first_token(std::int64_t prompt_tokens) const override;

  std::optional<EngineDescription> description() const;  // of the last engine that was ready
  EngineLoadFigures load() const;
  EngineSequences sequences() const;  // any thread
  const std::string& model() const;
  // Name → file. A request for such a name is answered with that adapter.
  const std::map<std::string, std::string>& adapters() const;

  struct Core;

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace deepseek::gateway
