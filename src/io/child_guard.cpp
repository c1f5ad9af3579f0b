#include "io/child_guard.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>

namespace deepseek::io {

namespace {

constexpr int status_no_program = 127;
constexpr int pauses_max = 1000;  // ten seconds: a process in the kernel's hands may not end at all
constexpr timespec pause_max{0, 10'000'000};

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&set, number);
  return set;
}

[[noreturn]] void run_program(char** program, pid_t guard) {
  ::setsid();
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // If the guard itself is killed, at least the program goes with it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == guard) ::execvp(program[0], program);
  std::fprintf(stderr, "cannot run %s: %s\n", program[0], std::strerror(errno));
  ::_exit(status_no_program);
}

// The parent of a process, by /proc/PID/stat; 0 if it is gone. The name in it may hold anything.
pid_t parent_of(const char* pid) {
  const std::string path = "/proc/" + std::string(pid) + "/stat";
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::array<char, 512> text{};
  const ssize_t size = ::read(file, text.data(), text.size() - 1);
  ::close(file);
  if (size <= 0) return 0;
  const char* const name_end = std::strrchr(text.data(), ')');
  int parent = 0;
  if (name_end == nullptr || std::sscanf(name_end + 1, " %*c %d", &parent) != 1) return 0;
  return parent;
}

void kill_children(pid_t guard) {
  DIR* const processes = ::opendir("/proc");
  if (processes == nullptr) return;
  while (const dirent* const entry = ::readdir(processes)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    const std::string_view name(entry->d_name);
    pid_t pid = 0;
    std::from_chars(name.data(), name.data() + name.size(), pid);
    if (pid > 0 && parent_of(entry->d_name) == guard) ::kill(pid, SIGKILL);
  }
  ::closedir(processes);
}

// Kills until nobody is left: a killed process leaves its children to us, the next round has them.
void sweep(pid_t group) {
  const pid_t guard = ::getpid();
  sigset_t ended_signal;
  sigemptyset(&ended_signal);
  sigaddset(&ended_signal, SIGCHLD);
  for (int pauses = 0; pauses < pauses_max;) {
    ::kill(-group, SIGKILL);
    kill_children(guard);
    pid_t ended = 0;
    do {
      ended = ::waitpid(-1, nullptr, WNOHANG);
    } while (ended > 0);
    if (ended < 0 && errno == ECHILD) return;
    if (::sigtimedwait(&ended_signal, nullptr, &pause_max) < 0) ++pauses;
  }
}

// True when the server's end is closed.
bool take_orders(pid_t program) {
  std::array<char, 16> orders{};
  const ssize_t size = ::read(child_guard_control, orders.data(), orders.size());
  if (size == 0) return true;
  if (size < 0) return errno != EINTR && errno != EAGAIN;
  for (ssize_t i = 0; i < size; ++i) ::kill(-program, orders[static_cast<std::size_t>(i)]);
  return false;
}

// Reaps whoever ended; true, and how, when the program itself has.
bool reap(pid_t program, int& how) {
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended <= 0) return false;
    if (ended != program) continue;
    how = status;
    return true;
  }
}

// Until the program has ended (true, and how) or the server is gone or wants it dead.
bool watch(pid_t program, int signals, int& how) {
  std::array<pollfd, 2> events{pollfd{child_guard_control, POLLIN, 0}, pollfd{signals, POLLIN, 0}};
  while (true) {
    if (::poll(events.data(), events.size(), -1) < 0 && errno != EINTR) return false;
    if (events[1].revents != 0) {
      signalfd_siginfo info{};
      const ssize_t size = ::read(signals, &info, sizeof info);
      if (size == sizeof info && info.ssi_signo != SIGCHLD) {
        ::kill(-program, static_cast<int>(info.ssi_signo));
      }
      if (reap(program, how)) return true;
    }
    if (events[0].revents != 0 && take_orders(program)) return false;
  }
}

int end_as(int how) {
  if (!WIFSIGNALED(how)) return WEXITSTATUS(how);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::signal(WTERMSIG(how), SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::raise(WTERMSIG(how));
  return 128 + WTERMSIG(how);
}

}  // namespace

int run_child_guard(char** program) {
  const sigset_t watched = watched_signals();
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  ::fcntl(child_guard_control, F_SETFD, FD_CLOEXEC);
  const int signals = ::signalfd(-1, &watched, SFD_CLOEXEC);
  const pid_t guard = ::getpid();
  const pid_t child = signals < 0 || ::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ? -1 : ::fork();
  if (child == 0) run_program(program, guard);
  if (child < 0) {
    std::fprintf(stderr, "cannot guard %s: %s\n", program[0], std::strerror(errno));
    return status_no_program;
  }
  int how = 0;
  const bool ended = watch(child, signals, how);
  sweep(child);
  // Killed at the server's wish.
  return end_as(ended ? how : SIGKILL);
}

}  // namespace deepseek::io
