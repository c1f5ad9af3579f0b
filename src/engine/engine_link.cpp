#include "engine/engine_link.hpp"

#include "base/version.hpp"
#include "engine/constraint_of.hpp"
#include "io/frame_channel.hpp"
#include "io/task_group.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <unordered_map>
#include <utility>

namespace deepseek::engine {
namespace {

base::Error tokenizer_busy() {
  base::Error error = base::make_error(base::ErrorCode::queue_full,
                                       "Too many prompts wait for the engine's tokenizer.");
  error.retry_after = base::Milliseconds(1000);
  return error;
}

base::Error cancelled() {
  return base::make_error(base::ErrorCode::cancelled, "The request was cancelled.");
}

}  // namespace

struct EngineLink::State {
  State(boost::asio::io_context& io_context, int descriptor_number, const Options& link_options,
        std::function<void()> closed, base::Logger logger)
      : context(io_context),
        descriptor(descriptor_number),
        channel(io_context.get_executor(), descriptor_number,
                deepseek::io::FrameChannel::Options{}),
        tasks(io_context.get_executor(),
              [logger](std::string_view task, std::string_view what) {
                logger.error("a task of the link failed", {{"task", task}, {"what", what}});
              }),
        options(link_options),
        on_closed(std::move(closed)),
        log(logger),
        worker(1),
        compiler(1) {}

  boost::asio::awaitable<void> read_loop();
  void handle(wire::ToEngine message);
  void handle_submit(wire::Submit submit);
  void handle_cancel(std::uint64_t id);
  bool take_prepared(std::uint64_t number);
  void handle_ping(std::uint64_t number);
  void handle_tokenize(wire::Tokenize call);
  void handle_detokenize(wire::Detokenize call);
  void handle_embed(wire::Embed call);
  struct Preparation {
    wire::Submit submit;
    base::TimePoint arrival;
  };
  void prepare(const std::shared_ptr<Preparation>& work);
  void build(const std::shared_ptr<Preparation>& work, std::unique_ptr<TokenConstraint> constraint);
  void hand_over(SequenceId id, base::Result<SubmitJob> job);
  void prepared(SequenceId id, base::Result<SubmitJob> job);
  void write(const wire::FromEngine& message);
  void write_payload(std::string payload);
  void fail_request(SequenceId id, const base::Error& error);
  void fail_call(std::uint64_t call, const base::Error& error);
  bool refuse_call(std::uint64_t call);

  boost::asio::io_context& context;
  int descriptor;  // the channel's; for shutdown only
  deepseek::io::FrameChannel channel;
  deepseek::io::TaskGroup tasks;
  Options options;
  std::function<void()> on_closed;
  base::Logger log;
  boost::asio::thread_pool worker;    // one thread: template and tokenizer
  boost::asio::thread_pool compiler;  // one thread: what answers must be, which may take long

  const TextModel* text = nullptr;
  ConstraintSource* constraints = nullptr;
  EngineLoop* loop = nullptr;
  JobLimits limits;
  bool shutting_down = false;
  bool finishing = false;  // our own end: the closed channel is no surprise
  std::unordered_map<std::uint64_t, bool> preparing;  // request or call: cancelled meanwhile
};

EngineLink::EngineLink(boost::asio::io_context& context, int descriptor, const Options& options,
                       std::function<void()> on_closed, base::Logger log)
    : state_(std::make_unique<State>(context, descriptor, options, std::move(on_closed), log)) {}

EngineLink::~EngineLink() {
  stop_workers();
}

void EngineLink::start() {
  wire::FromEngine hello;
  hello.mutable_hello()->set_protocol_version(kProtocolVersion);
  hello.mutable_hello()->set_pid(static_cast<std::uint32_t>(::getpid()));
  hello.mutable_hello()->set_engine_version(std::string(base::version()));
  send(hello);
  state_->tasks.spawn("engine link", state_->read_loop());
}

void EngineLink::attach(const TextModel& text, ConstraintSource& constraints, EngineLoop& loop,
                        const JobLimits& limits) {
  boost::asio::post(state_->context, [state = state_.get(), &text, &constraints, &loop, limits] {
    state->text = &text;
    state->constraints = &constraints;
    state->loop = &loop;
    state->limits = limits;
  });
}

void EngineLink::send(const wire::FromEngine& message) {
  boost::asio::post(state_->context,
                    [state = state_.get(), payload = message.SerializeAsString()]() mutable {
                      state->write_payload(std::move(payload));
                    });
}

void EngineLink::stop_workers() {
  for (boost::asio::thread_pool* const pool : {&state_->compiler, &state_->worker}) {
    pool->stop();
    pool->join();
  }
}

void EngineLink::finish() {
  boost::asio::post(state_->context, [state = state_.get()] {
    state->finishing = true;
    ::shutdown(state->descriptor, SHUT_RD);  // The pending read ends; writes go on.
  });
}

boost::asio::awaitable<void> EngineLink::State::read_loop() {
  for (;;) {
    base::Result<std::string> frame = co_await channel.read();
    if (frame.has_error()) break;
    wire::ToEngine message;
    if (!message.ParseFromString(*frame)) {
      log.error(
          "the server sent a frame that is not a message: both programs must be of one build");
      break;
    }
    handle(std::move(message));
  }
  if (!finishing) on_closed();
}

void EngineLink::State::handle(wire::ToEngine message) {
  switch (message.message_case()) {
    case wire::ToEngine::kSubmit:
      return handle_submit(std::move(*message.mutable_submit()));
    case wire::ToEngine::kCancel:
      return handle_cancel(message.cancel().request());
    case wire::ToEngine::kCredit:
      if (loop != nullptr) {
        loop->post(CreditJob{message.credit().request(), message.credit().credits()});
      }
      return;
    case wire::ToEngine::kTokenize:
      return handle_tokenize(std::move(*message.mutable_tokenize()));
    case wire::ToEngine::kDetokenize:
      return handle_detokenize(std::move(*message.mutable_detokenize()));
    case wire::ToEngine::kEmbed:
      return handle_embed(std::move(*message.mutable_embed()));
    case wire::ToEngine::kPing:
      return handle_ping(message.ping().number());
    case wire::ToEngine::kShutdown:
      shutting_down = true;
      if (loop == nullptr) return on_closed();  // Nothing runs while the model loads.
      // Behind the prompts that are being prepared: they were accepted.
      boost::asio::post(
          worker, [this] { boost::asio::post(context, [this] { loop->post(ShutdownJob{}); }); });
      return;
    case wire::ToEngine::MESSAGE_NOT_SET:
      return;
  }
}

void EngineLink::State::handle_submit(wire::Submit submit) {
  const SequenceId id = submit.request();
  if (loop == nullptr || shutting_down) {
    return fail_request(id, base::make_error(base::ErrorCode::cancelled,
                                             loop == nullptr ? "The model is still loading."
                                                             : "The engine is shutting down."));
  }
  if (preparing.size() >= options.preparing_max) return fail_request(id, tokenizer_busy());
  preparing.emplace(id, false);
  auto work = std::make_shared<Preparation>(Preparation{std::move(submit), base::now()});
  boost::asio::post(worker, [this, work = std::move(work)] { prepare(work); });
}

// On the worker. What has to be compiled first holds up nobody else.
void EngineLink::State::prepare(const std::shared_ptr<Preparation>& work) {
  const SequenceId id = work->submit.request();
  auto wanted = constraint_of(work->submit, *text);
  if (wanted.has_error()) return hand_over(id, wanted.error());
  if (!*wanted) return build(work, nullptr);
  if (auto known = constraints->find(**wanted)) return build(work, std::move(known));
  boost::asio::post(compiler, [this, work, id, wanted = std::move(**wanted)] {
    auto made = constraints->make(wanted);
    if (made.has_error()) return hand_over(id, made.error());
    boost::asio::post(worker, [this, work, constraint = std::move(*made)]() mutable {
      build(work, std::move(constraint));
    });
  });
}

// On the worker.
void EngineLink::State::build(const std::shared_ptr<Preparation>& work,
                              std::unique_ptr<TokenConstraint> constraint) {
  std::shared_ptr<ConstrainedAnswer> answer;
  if (constraint) {
    answer = std::make_shared<ConstrainedAnswer>(std::move(constraint), text->vocabulary(),
                                                 constraints->ends());
  }
  hand_over(work->submit.request(),
            build_job(work->submit, *text, limits, work->arrival, std::move(answer)));
}

void EngineLink::State::hand_over(SequenceId id, base::Result<SubmitJob> job) {
  auto made = std::make_shared<base::Result<SubmitJob>>(std::move(job));
  boost::asio::post(context, [this, id, made] { prepared(id, std::move(*made)); });
}

void EngineLink::State::prepared(SequenceId id, base::Result<SubmitJob> job) {
  if (take_prepared(id)) return fail_request(id, cancelled());
  if (job.has_error()) return fail_request(id, job.error());
  loop->post(std::move(job.value()));
}

// Its preparation is over; true when it was cancelled meanwhile.
bool EngineLink::State::take_prepared(std::uint64_t number) {
  const auto entry = preparing.find(number);
  const bool was_cancelled = entry != preparing.end() && entry->second;
  preparing.erase(number);
  return was_cancelled;
}

void EngineLink::State::handle_cancel(std::uint64_t id) {
  const auto entry = preparing.find(id);
  if (entry != preparing.end()) {
    entry->second = true;
  } else if (loop != nullptr) {
    loop->cancel(id);
  }
}

// Between steps the loop answers itself, which proves that it lives; else how long its step takes
// is told at once, and the server decides what is too long.
void EngineLink::State::handle_ping(std::uint64_t number) {
  wire::FromEngine message;
  wire::Pong* pong = message.mutable_pong();
  pong->set_number(number);
  if (loop != nullptr) {
    const EngineLoop::Pulse pulse = loop->pulse(base::now());
    if (!pulse.step) return loop->post(PingJob{number});
    pong->set_step_ms(pulse.step->count());
    pong->set_expected_step_ms(pulse.expected.count());
  }
  write(message);
}

bool EngineLink::State::refuse_call(std::uint64_t call) {
  if (loop != nullptr && !shutting_down) return false;
  fail_call(call, base::make_error(base::ErrorCode::cancelled, "The engine takes no calls now."));
  return true;
}

void EngineLink::State::handle_tokenize(wire::Tokenize call) {
  if (refuse_call(call.call())) return;
  boost::asio::post(worker, [this, call = std::move(call)] {
    base::Result<wire::TokenizeReply> reply = tokenize(call, *text, limits);
    wire::FromEngine message;
    if (reply.has_value()) *message.mutable_tokenize_reply() = std::move(*reply);
    boost::asio::post(context, [this, number = call.call(), reply = std::move(reply),
                                message = std::move(message)] {
      if (reply.has_error()) return fail_call(number, reply.error());
      write(message);
    });
  });
}

void EngineLink::State::handle_detokenize(wire::Detokenize call) {
  if (refuse_call(call.call())) return;
  const base::Result<wire::DetokenizeReply> reply = detokenize(call, *text);
  if (reply.has_error()) return fail_call(call.call(), reply.error());
  wire::FromEngine message;
  *message.mutable_detokenize_reply() = *reply;
  write(message);
}

void EngineLink::State::handle_embed(wire::Embed call) {
  if (refuse_call(call.call())) return;
  if (preparing.size() >= options.preparing_max) return fail_call(call.call(), tokenizer_busy());
  preparing.emplace(call.call(), false);
  boost::asio::post(worker, [this, call = std::move(call)] {
    auto job = std::make_shared<base::Result<EmbedJob>>(build_embed(call, *text, limits));
    boost::asio::post(context, [this, number = call.call(), job] {
      if (take_prepared(number)) return fail_call(number, cancelled());
      if (job->has_error()) return fail_call(number, job->error());
      loop->post(std::move(job->value()));
    });
  });
}

void EngineLink::State::write(const wire::FromEngine& message) {
  write_payload(message.SerializeAsString());
}

void EngineLink::State::write_payload(std::string payload) {
  const base::Result<void> sent = channel.send(std::move(payload));
  if (!sent.has_error()) return;
  if (finishing) return;
  // The server does not read, or has gone: without it there is nobody to work for.
  log.error("the link to the server is broken", {{"error", sent.error().message}});
  on_closed();
}

void EngineLink::State::fail_request(SequenceId id, const base::Error& error) {
  wire::FromEngine message;
  wire::SequenceEvent* event = message.mutable_step()->add_events();
  event->set_request(id);
  *event->mutable_failed() = to_wire(error);
  write(message);
}

void EngineLink::State::fail_call(std::uint64_t call, const base::Error& error) {
  wire::FromEngine message;
  message.mutable_call_failed()->set_call(call);
  *message.mutable_call_failed()->mutable_failure() = to_wire(error);
  write(message);
}

}  // namespace deepseek::engine
