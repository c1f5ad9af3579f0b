#include "io/guarded_child.hpp"

#include "io/child_guard.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;

namespace {

constexpr std::size_t piece_bytes_max = 4096;

struct Pipe {
  std::array<int, 2> ends{-1, -1};  // to read, to write
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    for (const int end : ends) {
      if (end >= 0) ::close(end);
    }
  }
  bool open() { return ::pipe2(ends.data(), O_CLOEXEC) == 0; }
  int release(std::size_t end) { return std::exchange(ends[end], -1); }
};

bool may_run(const std::string& file) {
  struct stat about{};
  return ::stat(file.c_str(), &about) == 0 && S_ISREG(about.st_mode) &&
         ::access(file.c_str(), X_OK) == 0;
}

}  // namespace

GuardedChild::GuardedChild(ChildProcess guard, asio::posix::stream_descriptor output, int control)
    : guard_(std::move(guard)), output_(std::move(output)), control_(control) {
  output_.native_non_blocking(true);
}

GuardedChild::~GuardedChild() {
  kill();
}

base::Result<std::unique_ptr<GuardedChild>> GuardedChild::spawn(
    asio::any_io_executor executor, const GuardedChildOptions& options) {
  Pipe control;
  Pipe output;
  if (!control.open() || !output.open()) {
    return base::make_error(base::ErrorCode::internal,
                            std::string("no pipe for a child: ") + std::strerror(errno));
  }
  // An order never waits: the guard reads at once, or is dead.
  ::fcntl(control.ends[1], F_SETFL, O_NONBLOCK);
  ChildOptions guard;
  guard.program = options.guard_program;
  guard.arguments.emplace_back(child_guard_flag);
  guard.arguments.insert(guard.arguments.end(), options.command.begin(), options.command.end());
  guard.environment = options.environment;
  guard.ends_with_parent = false;
  guard.descriptors = {
      {control.ends[0], child_guard_control}, {output.ends[1], 1}, {output.ends[1], 2}};
  auto spawned = ChildProcess::spawn(executor, guard);
  if (spawned.has_error()) return spawned.error();
  return std::unique_ptr<GuardedChild>(new GuardedChild(
      std::move(*spawned), asio::posix::stream_descriptor(executor, output.release(0)),
      control.release(1)));
}

void GuardedChild::signal(int number) {
  if (control_ < 0) return;
  const char order = static_cast<char>(number);
  [[maybe_unused]] const ssize_t written = ::write(control_, &order, 1);
}

void GuardedChild::kill() {
  if (control_ >= 0) ::close(std::exchange(control_, -1));
}

void GuardedChild::abandon() {
  kill();
  guard_.signal(SIGKILL);
}

asio::awaitable<std::string> GuardedChild::read_output() {
  std::string piece(piece_bytes_max, '\0');
  if (!finished_) {
    auto [error, size] =
        co_await output_.async_read_some(asio::buffer(piece), asio::as_tuple(asio::use_awaitable));
    if (!error || !finished_) {
      piece.resize(error ? 0 : size);
      co_return piece;
    }
  }
  const ssize_t size = ::read(output_.native_handle(), piece.data(), piece.size());
  piece.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  co_return piece;
}

void GuardedChild::finish_output() {
  finished_ = true;
  output_.cancel();
}

std::string find_program(const std::string& name, const std::string& path) {
  if (name.find('/') != std::string::npos) return may_run(name) ? name : std::string();
  std::string_view rest = path;
  while (!rest.empty()) {
    const std::size_t end = rest.find(':');
    const std::string file = std::string(rest.substr(0, end)) + "/" + name;
    if (may_run(file)) return file;
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return {};
}

}  // namespace deepseek::io
