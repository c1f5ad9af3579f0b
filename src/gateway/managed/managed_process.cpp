#include "gateway/managed/managed_process.hpp"

#include "base/random.hpp"
#include "gateway/resilience/health_prober.hpp"
#include "io/guarded_child.hpp"
#include "io/line_cutter.hpp"
#include "io/task_group.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

extern char** environ;

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;
using Kind = ManagedEvent::Kind;

namespace {

constexpr std::size_t line_bytes_max = 500;
constexpr int lines_per_second_max = 50;

bool port_is_free(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free =
      ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(socket, 1) == 0;
  ::close(socket);
  return free;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& more) {
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    if (!more.contains(std::string(text.substr(0, text.find('='))))) all.emplace_back(text);
  }
  for (const auto& [name, value] : more) all.push_back(name + "=" + value);
  return all;
}

// Why the program cannot be started; empty if it can.
std::string why_no_program(const std::string& program) {
  const char* const path = std::getenv("PATH");
  if (!io::find_program(program, path == nullptr ? "" : path).empty()) return {};
  const bool named = program.find('/') != std::string::npos;
  return "there is no program \"" + program + "\"" + (named ? "" : " in PATH") + " that may be run";
}

}  // namespace

std::uint16_t find_free_port() {
  constexpr std::uint64_t first = 20'000;
  constexpr std::uint64_t count = 12'000;
  constexpr int tries = 100;
  for (int i = 0; i < tries; ++i) {
    const auto port = static_cast<std::uint16_t>(first + base::random_bits() % count);
    if (port_is_free(port)) return port;
  }
  return 0;
}

struct ManagedProcess::Core : std::enable_shared_from_this<ManagedProcess::Core> {
  Core(asio::any_io_executor given_executor, ManagedProcessOptions given_options,
       std::vector<std::string> given_argv, base::Logger given_logger)
      : executor(std::move(given_executor)),
        options(std::move(given_options)),
        argv(std::move(given_argv)),
        logger(given_logger),
        fsm(options.supervision),
        tasks(executor,
              [given_logger](std::string_view task, std::string_view what) {
                given_logger.error("a task failed", {{"task", task}, {"what", what}});
              }),
        tick(executor),
        pause(executor),
        status(fsm.status()) {
    check.url.host = "127.0.0.1";
    check.url.port = options.port;
    check.path = options.health_path;
  }

  void step(const ManagedEvent& event);
  void perform(ManagedAction action);
  void log_change(const BackendStatus& before);
  void publish();
  void arm();
  asio::awaitable<void> run(std::shared_ptr<Core> self);
  asio::awaitable<void> read_lines(std::shared_ptr<Core> self,
                                   std::shared_ptr<io::GuardedChild> from);
  asio::awaitable<void> watch_health(std::shared_ptr<Core> self, std::uint64_t life);
  void say(const std::string& line);

  asio::any_io_executor executor;
  const ManagedProcessOptions options;
  const std::vector<std::string> argv;
  base::Logger logger;
  base::LogLimit line_limit{lines_per_second_max};
  HealthProberOptions check;
  ManagedFsm fsm;
  io::TaskGroup tasks;
  asio::steady_timer tick;
  asio::steady_timer pause;                 // between two checks
  std::shared_ptr<io::GuardedChild> child;  // shared with the task that reads its lines
  std::uint64_t life = 0;

  std::atomic<bool> is_ready{false};
  std::mutex mutex;
  BackendStatus status;
  base::Milliseconds retry_after{1'000};
  std::vector<std::weak_ptr<asio::steady_timer>> alarms;
};

void ManagedProcess::Core::step(const ManagedEvent& event) {
  const BackendStatus before = fsm.status();
  const ManagedAction action = fsm.resume(event, base::now());
  publish();
  log_change(before);
  arm();
  perform(action);
}

void ManagedProcess::Core::publish() {
  std::vector<std::weak_ptr<asio::steady_timer>> called;
  {
    const std::lock_guard lock(mutex);
    const bool same = status.state == fsm.status().state;
    status = fsm.status();
    retry_after = fsm.retry_after(base::now());
    is_ready.store(status.state == BackendState::ready);
    if (same) return;
    called.swap(alarms);
  }
  for (const auto& weak : called) {
    const auto alarm = weak.lock();
    if (!alarm) continue;
    asio::post(alarm->get_executor(), [weak] {
      if (const auto timer = weak.lock()) timer->cancel();
    });
  }
}

void ManagedProcess::Core::log_change(const BackendStatus& before) {
  const BackendStatus& now = fsm.status();
  if (now.state == before.state && now.reason == before.reason) return;
  const std::initializer_list<base::LogField> fields = {{"backend", options.name},
                                                        {"state", to_string(now.state)},
                                                        {"reason", now.reason},
                                                        {"port", static_cast<int>(options.port)},
                                                        {"restarts", now.restarts}};
  if (now.state == BackendState::failed) {
    logger.error("a managed backend has failed for good", fields);
  } else {
    logger.info("managed backend", fields);
  }
}

void ManagedProcess::Core::arm() {
  if (!fsm.wake_at()) {
    tick.cancel();
    return;
  }
  tick.expires_at(*fsm.wake_at());
  tick.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const std::shared_ptr<Core> core = weak.lock();
    if (core && !error) core->step({.kind = Kind::tick});
  });
}

void ManagedProcess::Core::perform(ManagedAction action) {
  switch (action) {
    case ManagedAction::none:
      return;
    case ManagedAction::spawn:
      tasks.spawn("managed program", run(shared_from_this()));
      return;
    case ManagedAction::terminate:
      if (child) child->signal(SIGTERM);
      return;
    case ManagedAction::kill:
      if (child) child->kill();
      return;
    case ManagedAction::abandon:
      if (child) child->abandon();
      return;
  }
}

// One life of the program: from its start until it is reaped.
asio::awaitable<void> ManagedProcess::Core::run([[maybe_unused]] std::shared_ptr<Core> self) {
  std::string why = why_no_program(argv.front());
  if (why.empty() && !port_is_free(options.port)) {
    why = "port " + std::to_string(options.port) + " of 127.0.0.1 is taken by another program";
  }
  if (why.empty() && fsm.status().state == BackendState::stopped) why = "it was not started";
  if (!why.empty()) {
    step({.kind = Kind::spawn_failed, .text = std::move(why)});
    co_return;
  }
  auto spawned = io::GuardedChild::spawn(
      executor, {options.guard_program, argv, environment_with(options.environment)});
  if (spawned.has_error()) {
    step({.kind = Kind::spawn_failed, .text = spawned.error().message});
    co_return;
  }
  const std::shared_ptr<io::GuardedChild> running = std::move(*spawned);
  child = running;
  ++life;
  step({.kind = Kind::spawned, .number = static_cast<std::uint32_t>(child->pid())});
  tasks.spawn("managed health", watch_health(shared_from_this(), life));
  tasks.spawn("managed output", read_lines(shared_from_this(), running));
  const io::ChildExit exit = co_await running->wait();
  running->finish_output();
  child.reset();
  pause.cancel();
  step({.kind = Kind::exited, .text = (exit.signal ? "was " : "ended with ") + exit.describe()});
}

asio::awaitable<void> ManagedProcess::Core::read_lines([[maybe_unused]] std::shared_ptr<Core> self,
                                                       std::shared_ptr<io::GuardedChild> from) {
  io::LineCutter cutter(line_bytes_max);
  while (true) {
    const std::string piece = co_await from->read_output();
    if (piece.empty()) break;
    for (const std::string& line : cutter.push(piece)) say(line);
  }
  const std::string rest = cutter.finish();
  if (!rest.empty()) say(rest);
}

void ManagedProcess::Core::say(const std::string& line) {
  std::int64_t suppressed = 0;
  if (!line_limit.allow(base::now(), suppressed)) return;
  logger.info("output", {{"backend", options.name}, {"line", line}, {"suppressed", suppressed}});
}

asio::awaitable<void> ManagedProcess::Core::watch_health(
    [[maybe_unused]] std::shared_ptr<Core> self, std::uint64_t of_life) {
  while (child && life == of_life) {
    const bool well = co_await check_health(check, executor);
    if (!child || life != of_life) co_return;
    step({.kind = Kind::check, .well = well});
    const bool quiet = well && fsm.status().state == BackendState::ready;
    pause.expires_after(quiet
                            ? options.health_interval
                            : std::min(options.health_interval_starting, options.health_interval));
    [[maybe_unused]] auto waited = co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

ManagedProcess::ManagedProcess(std::shared_ptr<Core> core) : core_(std::move(core)) {}
ManagedProcess::~ManagedProcess() = default;

base::Result<std::unique_ptr<ManagedProcess>> ManagedProcess::make(asio::any_io_executor executor,
                                                                   ManagedProcessOptions options,
                                                                   base::Logger logger) {
  const std::string place = "backend \"" + options.name + "\": ";
  auto argv = managed_argv(options.command, options.port);
  if (argv.has_error()) {
    argv.error().message = place + argv.error().message;
    return argv.error();
  }
  const std::string why = why_no_program(argv->front());
  if (!why.empty()) return base::make_error(ErrorCode::invalid_request, place + why);
  if (options.port == 0) {
    return base::make_error(ErrorCode::internal, place + "no port of 127.0.0.1 is free");
  }
  return std::unique_ptr<ManagedProcess>(new ManagedProcess(
      std::make_shared<Core>(std::move(executor), std::move(options), std::move(*argv), logger)));
}

const ManagedProcessOptions& ManagedProcess::options() const {
  return core_->options;
}

void ManagedProcess::launch() {
  core_->step({.kind = Kind::start});
}

void ManagedProcess::retry() {
  core_->step({.kind = Kind::retry});
}

asio::awaitable<void> ManagedProcess::stop() {
  const std::shared_ptr<Core> core = core_;
  core->step({.kind = Kind::stop});
  core->pause.cancel();
  co_await core->tasks.join();  // the program's task ends when it is reaped
  core->tick.cancel();
}

bool ManagedProcess::ready() const {
  return core_->is_ready.load(std::memory_order_relaxed);
}

BackendStatus ManagedProcess::status() const {
  const std::lock_guard lock(core_->mutex);
  return core_->status;
}

base::Error ManagedProcess::unavailable() const {
  const std::lock_guard lock(core_->mutex);
  base::Error error = base::make_error(
      ErrorCode::unavailable,
      "The backend \"" + core_->options.name + "\" is not ready: " + core_->status.reason + ".");
  error.retry_after = core_->retry_after;
  return error;
}

void ManagedProcess::call_when_changed(const std::shared_ptr<asio::steady_timer>& alarm) {
  const std::lock_guard lock(core_->mutex);
  std::erase_if(core_->alarms, [](const auto& weak) { return weak.expired(); });
  core_->alarms.push_back(alarm);
}

}  // namespace deepseek::gateway
