// The owner-thread half of EngineBackend: the process, its link, and the work that runs on it.
//
// Everything but the snapshot (status, description, load) and next_ids() is touched on the owner
// thread only; callers post to it. The decisions are EngineSupervisorFsm's and CrashSuspects'.
#pragma once

#include "gateway/crash_suspects.hpp"
#include "gateway/engine_backend.hpp"
#include "gateway/engine_supervisor_fsm.hpp"
#include "gateway/engine_wire.hpp"
#include "gateway/mailbox.hpp"
#include "io/frame_channel.hpp"
#include "io/task_group.hpp"

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace deepseek::gateway {

// One request on its way: an answer of several sequences, or one call. Filled by the
// caller, then handed to the owner thread; the mailbox is all that both sides use afterwards.
struct EngineWork {
  std::shared_ptr<Mailbox<protocol::Event>> events;   // of an answer
  std::shared_ptr<Mailbox<EmbeddingResult>> vectors;  // of an embedding call
  std::shared_ptr<Mailbox<TokenizeResult>> tokens;    // of a call for tokens or their text
  std::vector<std::string> frames;                    // messages for the engine, one per number
  std::uint64_t number_first = 0;                     // request or call number of frames[0]
  std::size_t count = 0;                              // of numbers
  std::uint64_t fingerprint = 0;
  base::TimePoint ready_by{};  // waits so long for an engine that is not ready

  // Owner thread only.
  std::size_t live = 0;  // numbers that the engine still works on
  bool started = false;  // the engine began to compute
  bool ended = false;

  void close(const base::Error& error) {
    if (events) events->close(error);
    if (vectors) vectors->close(error);
    if (tokens) tokens->close(error);
  }
};

using WorkPointer = std::shared_ptr<EngineWork>;

struct EngineBackend::Core : std::enable_shared_from_this<EngineBackend::Core> {
  Core(boost::asio::any_io_executor given_executor, EngineBackendOptions given_options,
       base::Logger given_logger, std::unique_ptr<EngineLauncher> given_launcher);

  bool sees_images() const { return images != nullptr; }
  void take_place();  // in options.memory; once

  // Any thread.
  std::uint64_t next_numbers(std::size_t count) { return next_number_.fetch_add(count); }
  BackendStatus status() const;
  std::optional<EngineDescription> description() const;
  EngineLoadFigures load() const;
  EngineSequences sequences() const;
  base::Error unavailable() const;
  // Sequences that were handed over and have not ended, known to the engine or not yet.
  std::atomic<std::int32_t> sequences_live{0};

  // Owner thread.
  void step(const SupervisorEvent& event);
  // The engine is wanted: it starts, or starts again, when there is memory for it.
  void want();
  void begin(const WorkPointer& work);
  void cancel(const WorkPointer& work);
  void add_credits(const WorkPointer& work, const std::vector<std::pair<int, int>>& credits);
  boost::asio::awaitable<void> stop();

  boost::asio::any_io_executor executor;
  const EngineBackendOptions options;
  const std::shared_ptr<ImageReader> images;  // null: the model has no projector

 private:
  boost::asio::awaitable<void> run_process(std::shared_ptr<Core> self);
  boost::asio::awaitable<std::string> read_frames();
  void perform(SupervisorAction action);
  void log_change(BackendState before, const std::string& reason_before);
  void log_end(const std::string& how);
  void publish();
  void arm();
  void ticked();

  void load_now();
  void leave();
  void tell_memory();

  void admit_waiting();
  void expire_waiting(base::TimePoint now);
  void submit(const WorkPointer& work);
  void fail(const WorkPointer& work, const base::Error& error, bool tell_engine);
  void end(const WorkPointer& work);
  void fail_running(const EngineEnd& end);
  void send_cancel(std::uint64_t number);
  bool send(const wire::ToEngine& message);

  // The text says what was wrong with the frame; empty if nothing.
  std::string handle(const std::string& frame);
  void handle_ready(const wire::Description& told);
  void handle_step(wire::Step& told);
  void handle_event(wire::SequenceEvent& event);
  void handle_embed(const wire::EmbedReply& reply);
  void handle_tokens(std::uint64_t number, TokenizeResult result);
  void handle_call_failed(const wire::CallFailed& told);

  base::Logger logger_;
  base::LogLimit log_limit_;
  std::unique_ptr<EngineLauncher> launcher_;
  EngineSupervisorFsm supervisor_;
  CrashSuspects suspects_;
  io::TaskGroup tasks_;
  boost::asio::steady_timer tick_;
  std::optional<base::TimePoint> tick_at_;
  std::unique_ptr<EngineProcess> process_;
  std::unique_ptr<io::FrameChannel> channel_;
  std::unordered_map<std::uint64_t, WorkPointer> running_;  // by request or call number
  std::vector<WorkPointer> waiting_;                        // for a ready engine
  std::atomic<std::uint64_t> next_number_{1};
  std::size_t place_ = 0;  // in options.memory
  bool holds_memory_ = false;
  bool told_in_use_ = false;

  struct Snapshot {
    BackendStatus status;
    std::chrono::milliseconds retry_after{1000};
    std::optional<EngineDescription> description;
    EngineLoadFigures load;
    EngineSequences sequences;
  };
  mutable std::mutex mutex_;
  Snapshot snapshot_;
};

}  // namespace deepseek::gateway
