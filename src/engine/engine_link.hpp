// The engine's side of the link to the server: reads commands, prepares prompts on a worker thread,
// hands jobs to the loop, writes what the loop produced.
//
// Made by main() before the model is loaded, so that progress and failures can be told. run()
// belongs to the I/O thread (main's); send() and attach() may be called from any thread. It never
// touches the model's context. When the server's end closes, on_closed is called at once.
#pragma once

#include "base/log.hpp"
#include "engine/engine_loop.hpp"
#include "engine/job_builder.hpp"

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

namespace deepseek::engine {

class EngineLink {
 public:
  struct Options {
    std::size_t preparing_max = 1024;              // prompts that wait for the tokenizer
    std::uint64_t image_bytes_max = 256ULL << 20;  // of files in them
  };
  // Takes ownership of the socket `descriptor`. `on_closed` runs on the I/O thread.
  EngineLink(boost::asio::io_context& context, int descriptor, const Options& options,
             std::function<void()> on_closed, base::Logger log);
  ~EngineLink();

  void start();  // says Hello and begins to read

  // The model is there: from now on commands are taken. All must outlive the link's workers, which
  // stop_workers() ends. `images` is null for a model that sees none.
  void attach(const TextModel& text, ConstraintSource& constraints, EngineLoop& loop,
              const JobLimits& limits, PictureStore* images = nullptr);
  void send(const wire::FromEngine& message);
  void stop_workers();
  // Reads no more; io_context.run() returns when everything sent so far is written. Any thread.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

inline constexpr std::uint32_t kProtocolVersion = 1;

}  // namespace deepseek::engine
