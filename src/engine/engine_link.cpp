#include "engine/engine_link.hpp"

#include "base/version.hpp"
#include "engine/constraint_of.hpp"
#include "io/frame_channel.hpp"
#include "io/task_group.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <atomic>
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

base::Error images_busy() {
  base::Error error = base::make_error(base::ErrorCode::queue_full,
                                       "Too many images wait to be read by the engine.");
  error.retry_after = base::Milliseconds(1000);
  return error;
}

base::Error sees_nothing(const std::string& param) {
  return base::make_error(base::ErrorCode::not_implemented,
                          param + ": this model does not see images.", param);
}

std::uint64_t bytes_of_images(const wire::Chat& chat) {
  std::uint64_t bytes = 0;
  for (const wire::Image* image : images_of(chat)) bytes += image->file().size();
  return bytes;
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
        compiler(1),
        viewer(1) {}

  boost::asio::awaitable<void> read_loop();
  void handle(wire::ToEngine message);
  void handle_submit(wire::Submit submit);
  void handle_cancel(std::uint64_t id);
  bool take_prepared(std::uint64_t number);
  void handle_ping(std::uint64_t number);
  void handle_tokenize(wire::Tokenize call);
  void handle_detokenize(wire::Detokenize call);
  void handle_embed(wire::Embed call);
  // Shared by the threads that prepare it: it was cancelled meanwhile.
  using Cancelled = std::shared_ptr<std::atomic<bool>>;
  struct Preparation {
    wire::Submit submit;
    base::TimePoint arrival;
    Cancelled cancelled;
    Pictures pictures{};
  };
  base::Result<Cancelled> begin_preparing(std::uint64_t number, std::uint64_t image_bytes);
  base::Result<Pictures> look(const wire::Chat& chat, const Cancelled& stopped);
  void look_and_prepare(const std::shared_ptr<Preparation>& work);
  void answer_tokenize(const wire::Tokenize& call, const Pictures& pictures);
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
  boost::asio::thread_pool viewer;    // one thread: images, which take long

  const TextModel* text = nullptr;
  ConstraintSource* constraints = nullptr;
  PictureStore* images = nullptr;  // null: the model sees none
  EngineLoop* loop = nullptr;
  JobLimits limits;
  bool shutting_down = false;
  bool finishing = false;  // our own end: the closed channel is no surprise
  struct Prepared {
    Cancelled cancelled;
    std::uint64_t image_bytes = 0;
  };
  std::unordered_map<std::uint64_t, Prepared> preparing;  // requests and calls
  std::uint64_t image_bytes = 0;                          // of all of them
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
                        const JobLimits& limits, PictureStore* images) {
  boost::asio::post(state_->context,
                    [state = state_.get(), &text, &constraints, &loop, limits, images] {
                      state->text = &text;
                      state->constraints = &constraints;
                      state->images = images;
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
  for (boost::asio::thread_pool* const pool :
       {&state_->viewer, &state_->compiler, &state_->worker}) {
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
      boost::asio::post(viewer, [this] {
        boost::asio::post(
            worker, [this] { boost::asio::post(context, [this] { loop->post(ShutdownJob{}); }); });
      });
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
  const base::Result<Cancelled> begun = begin_preparing(id, bytes_of_images(submit.chat()));
  if (begun.has_error()) return fail_request(id, begun.error());
  auto work = std::make_shared<Preparation>(Preparation{std::move(submit), base::now(), *begun});
  if (images_of(work->submit.chat()).empty()) {
    boost::asio::post(worker, [this, work = std::move(work)] { prepare(work); });
  } else {
    boost::asio::post(viewer, [this, work = std::move(work)] { look_and_prepare(work); });
  }
}

base::Result<EngineLink::State::Cancelled> EngineLink::State::begin_preparing(std::uint64_t number,
                                                                              std::uint64_t bytes) {
  if (preparing.size() >= options.preparing_max) return tokenizer_busy();
  if (image_bytes + bytes > options.image_bytes_max && image_bytes > 0) return images_busy();
  Cancelled cancelled = std::make_shared<std::atomic<bool>>(false);
  preparing.emplace(number, Prepared{cancelled, bytes});
  image_bytes += bytes;
  return cancelled;
}

// On the viewer. Each image is seen once, and who waits behind it waits only for who came first.
base::Result<Pictures> EngineLink::State::look(const wire::Chat& chat, const Cancelled& stopped) {
  Pictures pictures;
  for (const wire::Image* image : images_of(chat)) {
    if (images == nullptr) return sees_nothing(image->param());
    if (*stopped) return cancelled();
    base::Result<PicturePointer> picture = images->look(image->file(), image->param());
    if (picture.has_error()) return picture.error();
    pictures.push_back(std::move(*picture));
  }
  return pictures;
}

void EngineLink::State::look_and_prepare(const std::shared_ptr<Preparation>& work) {
  base::Result<Pictures> pictures = look(work->submit.chat(), work->cancelled);
  if (pictures.has_error()) return hand_over(work->submit.request(), pictures.error());
  work->pictures = std::move(*pictures);
  boost::asio::post(worker, [this, work] { prepare(work); });
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
  hand_over(work->submit.request(), build_job(work->submit, *text, limits, work->arrival,
                                              std::move(answer), std::move(work->pictures)));
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
  if (entry == preparing.end()) return false;
  const bool was_cancelled = *entry->second.cancelled;
  image_bytes -= entry->second.image_bytes;
  preparing.erase(entry);
  return was_cancelled;
}

void EngineLink::State::handle_cancel(std::uint64_t id) {
  const auto entry = preparing.find(id);
  if (entry != preparing.end()) {
    *entry->second.cancelled = true;
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
  const std::uint64_t number = call.call();
  const base::Result<Cancelled> begun = begin_preparing(number, bytes_of_images(call.chat()));
  if (begun.has_error()) return fail_call(number, begun.error());
  auto shared = std::make_shared<const wire::Tokenize>(std::move(call));
  if (images_of(shared->chat()).empty()) {
    boost::asio::post(worker, [this, shared] { answer_tokenize(*shared, {}); });
    return;
  }
  boost::asio::post(viewer, [this, shared, stopped = *begun] {
    auto pictures = std::make_shared<base::Result<Pictures>>(look(shared->chat(), stopped));
    boost::asio::post(worker, [this, shared, pictures] {
      if (pictures->has_value()) return answer_tokenize(*shared, **pictures);
      boost::asio::post(context, [this, shared, pictures] {
        take_prepared(shared->call());
        fail_call(shared->call(), pictures->error());
      });
    });
  });
}

// On the worker.
void EngineLink::State::answer_tokenize(const wire::Tokenize& call, const Pictures& pictures) {
  base::Result<wire::TokenizeReply> reply = tokenize(call, *text, limits, pictures);
  wire::FromEngine message;
  if (reply.has_value()) *message.mutable_tokenize_reply() = std::move(*reply);
  boost::asio::post(context, [this, number = call.call(), reply = std::move(reply),
                              message = std::move(message)] {
    if (take_prepared(number)) return fail_call(number, cancelled());
    if (reply.has_error()) return fail_call(number, reply.error());
    write(message);
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
  const base::Result<Cancelled> begun = begin_preparing(call.call(), 0);
  if (begun.has_error()) return fail_call(call.call(), begun.error());
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
