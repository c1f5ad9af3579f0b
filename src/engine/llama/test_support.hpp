// For the tests with the real model: the model, loaded once, and an engine's loop on a thread of
// its own with what it told so far.
//
// The file comes from DEEPSEEK_TEST_MODEL, or from the folder where the build puts it. Not linked
// into any program.
#pragma once

#include "engine/engine_loop.hpp"
#include "engine/job_builder.hpp"
#include "engine/llama/context.hpp"
#include "engine/llama/layout_planner.hpp"
#include "engine/llama/log_bridge.hpp"
#include "engine/llama/text.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace deepseek::engine::llama {

inline std::string model_path() {
  const char* given = std::getenv("DEEPSEEK_TEST_MODEL");
  if (given != nullptr) return given;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  const std::filesystem::path build = program.parent_path().parent_path();
  for (const auto& entry : std::filesystem::directory_iterator(build / "share/models")) {
    if (entry.path().extension() == ".gguf") return entry.path();
  }
  throw std::runtime_error("no model: set DEEPSEEK_TEST_MODEL to a GGUF file");
}

// The model is loaded once for all tests.
struct Loaded {
  std::unique_ptr<LayoutPlanner> layouts;  // null where this machine has no fast kernels
  std::unique_ptr<Model> model;
  std::unique_ptr<Text> text;
};
inline const Loaded& loaded() {
  static const Loaded instance = [] {
    bridge_log(base::Logger());
    load_backends();
    Loaded made;
    // Forced: sanitizers slow our kernels down, so they might be measured not to pay.
    auto layouts =
        LayoutPlanner::make({1, {}, 0, kernels::instruction_sets_of_this_machine().back()});
    if (layouts.has_value()) made.layouts = std::move(*layouts);
    made.model = Model::load({model_path(), -1, made.layouts.get()}, {}).value();
    made.text = std::move(Text::make(*made.model).value());
    return made;
  }();
  return instance;
}

// An engine's loop on its own thread, with what it told so far. The loop starts when something is
// waited for: what was submitted before is in its first step each time.
class Engine {
 public:
  // With `store`, prefixes are kept there; up to `draft_max` tokens of a sequence are guessed, by
  // `drafter` too if there is one.
  explicit Engine(std::int32_t cells = 2048, std::int32_t context_max = 1024,
                  const PrefixStoreOptions* store = nullptr, std::int32_t draft_max = 0,
                  Drafter* drafter = nullptr, const AttentionWindow& window = {}) {
    ContextOptions options;
    options.cells = std::max(cells, 256);
    // One thread: others that are busy on this machine then slow the test down least.
    options.threads = options.threads_prefill = 1;
    context_ = std::move(Context::make(*loaded().model, options).value());
    EngineLoop::Options loop;
    loop.scheduler.cells = cells;
    loop.scheduler.context_max = limits_.context_max = context_max;
    loop.scheduler.draft_max = draft_max;
    loop.scheduler.draft_model = drafter != nullptr;
    loop.scheduler.window = window;
    loop.state_bytes_max = 64U << 20;
    loop_ = std::make_unique<EngineLoop>(
        loop, *loaded().text, *context_, nullptr,
        [this](const wire::FromEngine& message) { take(message); }, base::Logger());
    if (drafter != nullptr) loop_->use_drafter(*drafter);
    if (store != nullptr) {
      store_ = std::move(PrefixStore::open(*store, base::Logger()).value());
      loop_->use_store(*store_);
    }
  }
  ~Engine() {
    start();
    loop_->post(ShutdownJob{});
    thread_.join();
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // From now on its requests may have images.
  void see_with(PictureStore& pictures) { pictures_ = &pictures; }

  base::Result<void> submit(const wire::Submit& submit) {
    Pictures pictures;
    for (const wire::Image* image : images_of(submit.chat())) {
      base::Result<PicturePointer> picture = pictures_->look(image->file(), image->param());
      if (picture.has_error()) return picture.error();
      pictures.push_back(std::move(*picture));
    }
    base::Result<SubmitJob> job =
        build_job(submit, *loaded().text, limits_, base::now(), nullptr, std::move(pictures));
    if (job.has_error()) return job.error();
    loop_->post(std::move(*job));
    return {};
  }
  EngineLoop& running_loop() {
    start();
    return *loop_;
  }

  struct Answer {
    std::string text;
    std::vector<Token> tokens;
    struct Cut {
      std::string text;
      std::vector<Token> tokens;
    };
    std::vector<Cut> cuts;  // all of it so far, after each delta
    std::vector<wire::TokenLogprob> logprobs;
    std::optional<wire::Finished> finished;
    std::optional<wire::Failed> failed;
    bool started = false;
  };
  Answer wait(SequenceId id) {
    start();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return answers_[id].finished || answers_[id].failed; });
    return answers_[id];
  }
  void wait_started(SequenceId id) {
    start();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return answers_[id].started; });
  }
  // Of the last step; the loop has ended or is idle.
  wire::EngineLoad load() {
    const std::lock_guard lock(mutex_);
    return load_;
  }

 private:
  void start() {
    if (!thread_.joinable()) thread_ = std::thread([this] { loop_->run(); });
  }
  void take(const wire::FromEngine& message) {
    const std::lock_guard lock(mutex_);
    load_ = message.step().load();
    for (const wire::SequenceEvent& event : message.step().events()) {
      Answer& answer = answers_[event.request()];
      if (event.has_started()) answer.started = true;
      if (event.has_delta()) {
        answer.text += event.delta().content();
        answer.tokens.insert(answer.tokens.end(), event.delta().token_ids().begin(),
                             event.delta().token_ids().end());
        answer.cuts.push_back({answer.text, answer.tokens});
      }
      answer.logprobs.insert(answer.logprobs.end(), event.delta().logprobs().begin(),
                             event.delta().logprobs().end());
      if (event.has_finished()) answer.finished = event.finished();
      if (event.has_failed()) answer.failed = event.failed();
    }
    changed_.notify_all();
  }

  JobLimits limits_;
  PictureStore* pictures_ = nullptr;
  std::unique_ptr<Context> context_;
  std::unique_ptr<EngineLoop> loop_;
  std::unique_ptr<PrefixStore> store_;  // ends before the loop
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<SequenceId, Answer> answers_;
  wire::EngineLoad load_;
};

// In another company the same numbers are added up in another order, and a quant of an activation
// may fall on the other side: log-probabilities of the test model were seen 0.2 apart. Where two
// tokens are so close, either may come.
inline constexpr double kNearTie = 0.4;  // of their logarithms

// Where greedy tokens are no longer those of `plain`, which was asked for two log-probabilities of
// each; nothing if they are the same up to a place where two were nearly as likely. `differs` is
// true if they differ at all.
inline std::optional<std::size_t> differs_at(const Engine::Answer& plain,
                                             const std::vector<Token>& tokens, bool& differs) {
  const auto [left, right] =
      std::mismatch(plain.tokens.begin(), plain.tokens.end(), tokens.begin(), tokens.end());
  differs = left != plain.tokens.end() || right != tokens.end();
  if (left == plain.tokens.end()) return std::nullopt;
  const auto place = static_cast<std::size_t>(left - plain.tokens.begin());
  const wire::TokenLogprob& told = plain.logprobs.at(place);
  const double lead = told.alternatives(0).logprob() - told.alternatives(1).logprob();
  return lead < kNearTie ? std::nullopt : std::optional(place);
}

inline wire::Submit greedy(SequenceId id, const std::string& question, std::int32_t tokens_max) {
  wire::Submit submit;
  submit.set_request(id);
  wire::ChatMessage* message = submit.mutable_chat()->add_messages();
  message->set_role("user");
  message->set_content(question);
  submit.mutable_sampling()->set_temperature(0);
  submit.set_tokens_max(tokens_max);
  submit.set_count_prompt(true);
  return submit;
}

}  // namespace deepseek::engine::llama
