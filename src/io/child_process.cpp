#include "io/child_process.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

extern char** environ;

namespace deepseek::io {

namespace asio = boost::asio;
using base::ErrorCode;

namespace {

// Everything the child needs, made before the fork: between fork and exec only async-signal-safe
// calls are allowed.
struct Launch {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::vector<std::array<int, 3>> descriptors;  // ours, the child's, a copy above all of those
  int number_max = 2;
  int failure_pipe = -1;
  pid_t parent = 0;
  bool ends_with_parent = true;
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const std::string& text : strings) out.push_back(const_cast<char*>(text.c_str()));
  return out;
}

Launch prepare(const ChildOptions& options, int failure_pipe) {
  Launch launch;
  launch.arguments = pointers(options.arguments);
  launch.arguments.insert(launch.arguments.begin(), const_cast<char*>(options.program.c_str()));
  launch.arguments.push_back(nullptr);
  launch.environment = pointers(options.environment);
  launch.environment.push_back(nullptr);
  for (const auto& [ours, theirs] : options.descriptors) {
    launch.descriptors.push_back({ours, theirs, -1});
    launch.number_max = std::max(launch.number_max, theirs);
  }
  launch.failure_pipe = failure_pipe;
  launch.parent = ::getpid();
  launch.ends_with_parent = options.ends_with_parent;
  return launch;
}

[[noreturn]] void fail(int failure_pipe) {
  const int number = errno;
  [[maybe_unused]] const ssize_t written = ::write(failure_pipe, &number, sizeof number);
  ::_exit(127);
}

// The child's descriptors: 0 is /dev/null, 1 and 2 stay, the given ones get their numbers, all
// others close at exec.
void arrange_descriptors(Launch& launch) {
  const int first_free = launch.number_max + 1;
  launch.failure_pipe = ::fcntl(launch.failure_pipe, F_DUPFD_CLOEXEC, first_free);
  if (launch.failure_pipe < 0) ::_exit(127);
  for (auto& [ours, theirs, copy] : launch.descriptors) {
    copy = ::fcntl(ours, F_DUPFD_CLOEXEC, first_free);
    if (copy < 0) fail(launch.failure_pipe);
  }
  if (::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) != 0) {
    for (int number = 3; number < 65536; ++number) ::fcntl(number, F_SETFD, FD_CLOEXEC);
  }
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::dup2(null, 0) < 0) fail(launch.failure_pipe);
  if (null > 2) ::close(null);
  for (const auto& [ours, theirs, copy] : launch.descriptors) {
    if (::dup2(copy, theirs) < 0) fail(launch.failure_pipe);
  }
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP) ::signal(number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void run_child(Launch& launch) {
  ::setpgid(0, 0);
  arrange_descriptors(launch);
  reset_signals();
  if (launch.ends_with_parent && ::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    fail(launch.failure_pipe);
  }
  if (::getppid() != launch.parent) ::_exit(127);  // it died before the line above
  char** environment = launch.environment.size() > 1 ? launch.environment.data() : environ;
  ::execve(launch.arguments[0], launch.arguments.data(), environment);
  fail(launch.failure_pipe);
}

// The errno with which the child failed before its program ran, or 0: the pipe closes at exec.
int read_failure(int descriptor) {
  int number = 0;
  ssize_t size = 0;
  do {
    size = ::read(descriptor, &number, sizeof number);
  } while (size < 0 && errno == EINTR);
  return size == sizeof number ? number : 0;
}

base::Error spawn_error(const std::string& program, const char* step, int number) {
  return base::make_error(ErrorCode::internal,
                          "cannot start " + program + ": " + step + std::strerror(number));
}

ChildExit to_exit(const siginfo_t& info) {
  ChildExit exit;
  if (info.si_code == CLD_EXITED) {
    exit.status = info.si_status;
  } else {
    exit.signal = info.si_status;
  }
  return exit;
}

}  // namespace

std::string ChildExit::describe() const {
  if (status) return "exit status " + std::to_string(*status);
  if (!signal) return "ended for an unknown reason";
  const char* name = ::sigdescr_np(*signal);
  return "killed by signal " + std::to_string(*signal) + " (" + (name ? name : "unknown") + ")";
}

struct ChildProcess::State {
  State(const asio::any_io_executor& executor, pid_t child, int descriptor)
      : pid(child), pidfd(executor, descriptor) {}

  ~State() {
    if (reaped) return;
    signal(SIGKILL);
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0 && errno == EINTR) {
    }
  }

  // The number is ours until it is reaped, so this cannot hit a stranger.
  void signal(int number) const {
    if (reaped) return;
    if (::kill(-pid, number) != 0) ::kill(pid, number);
  }

  std::optional<ChildExit> reap() {
    siginfo_t info{};
    // What the child left in its group ends with it; first, while the zombie holds the number.
    if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid != pid) {
      return std::nullopt;
    }
    ::kill(-pid, SIGKILL);
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
    reaped = true;
    return to_exit(info);
  }

  pid_t pid;
  asio::posix::stream_descriptor pidfd;
  bool reaped = false;
};

base::Result<ChildProcess> ChildProcess::spawn(asio::any_io_executor executor,
                                               const ChildOptions& options) {
  std::array<int, 2> failure{-1, -1};
  if (::pipe2(failure.data(), O_CLOEXEC) != 0) {
    return spawn_error(options.program, "no pipe: ", errno);
  }
  Launch launch = prepare(options, failure[1]);
  const pid_t pid = ::fork();
  if (pid == 0) run_child(launch);
  const int fork_errno = errno;
  ::close(failure[1]);
  if (pid < 0) {
    ::close(failure[0]);
    return spawn_error(options.program, "no new process: ", fork_errno);
  }
  const int number = read_failure(failure[0]);
  ::close(failure[0]);
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  const int pidfd_errno = errno;
  if (number != 0 || pidfd < 0) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    if (pidfd >= 0) ::close(pidfd);
    return spawn_error(options.program,
                       number != 0 ? "" : "no pidfd: ", number != 0 ? number : pidfd_errno);
  }
  ::fcntl(pidfd, F_SETFD, FD_CLOEXEC);
  return ChildProcess(std::make_unique<State>(std::move(executor), pid, pidfd));
}

ChildProcess::ChildProcess(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChildProcess::~ChildProcess() = default;
ChildProcess::ChildProcess(ChildProcess&&) noexcept = default;
ChildProcess& ChildProcess::operator=(ChildProcess&&) noexcept = default;

int ChildProcess::pid() const {
  return state_->pid;
}

void ChildProcess::signal(int number) {
  state_->signal(number);
}

asio::awaitable<ChildExit> ChildProcess::wait() {
  State* const state = state_.get();
  while (true) {
    std::optional<ChildExit> exit = state->reap();
    if (exit) co_return *exit;
    co_await state->pidfd.async_wait(asio::posix::stream_descriptor::wait_read,
                                     asio::use_awaitable);
  }
}

}  // namespace deepseek::io
