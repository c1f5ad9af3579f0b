#include "gateway/model_check.hpp"

#include "base/clock.hpp"
#include "io/child_process.hpp"
#include "io/task_group.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;

namespace {

constexpr std::size_t output_max = 1u << 20;

// A pipe that closes itself.
struct Pipe {
  std::array<int, 2> ends{-1, -1};
  Pipe() { [[maybe_unused]] const int failed = ::pipe2(ends.data(), O_CLOEXEC); }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(std::size_t index) {
    if (ends[index] >= 0) ::close(ends[index]);
    ends[index] = -1;
  }
};

// Appends what is there. False at the end.
bool read_some(int descriptor, std::string& text) {
  std::array<char, 4096> bytes;
  const ssize_t size = ::read(descriptor, bytes.data(), bytes.size());
  if (size < 0) return errno == EINTR || errno == EAGAIN;
  if (text.size() < output_max) text.append(bytes.data(), static_cast<std::size_t>(size));
  return size > 0;
}

// Both outputs of the check until they end. False when the deadline comes first.
bool read_outputs(Pipe& output, Pipe& errors, base::TimePoint deadline, std::string& output_text,
                  std::string& error_text) {
  while (output.ends[0] >= 0 || errors.ends[0] >= 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - base::now());
    if (left.count() <= 0) return false;
    std::array<pollfd, 2> polled{pollfd{output.ends[0], POLLIN, 0},
                                 pollfd{errors.ends[0], POLLIN, 0}};
    ::poll(polled.data(), polled.size(), static_cast<int>(left.count()));
    if (polled[0].revents != 0 && !read_some(output.ends[0], output_text)) output.close_end(0);
    if (polled[1].revents != 0 && !read_some(errors.ends[0], error_text)) errors.close_end(0);
  }
  return true;
}

asio::awaitable<void> wait_for(io::ChildProcess& child, std::optional<io::ChildExit>& exit) {
  exit = co_await child.wait();
}

// The line that the engine wrote for us; other lines come from the libraries it uses.
std::string clear_line(std::string_view text) {
  constexpr std::string_view mark = "deepseek-engine: ";
  std::string_view last;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with(mark)) return std::string(line.substr(mark.size()));
    if (!line.empty()) last = line;
  }
  return std::string(last);
}

ModelCheck read_facts(std::string line) {
  ModelCheck check;
  boost::system::error_code error;
  const boost::json::value facts = boost::json::parse(line, error);
  for (const char* name : {"model_bytes", "draft_bytes", "projector_bytes", "kv_bytes"}) {
    const auto* object = facts.if_object();
    const boost::json::value* number = object != nullptr ? object->if_contains(name) : nullptr;
    if (number == nullptr || !number->is_number()) continue;
    check.memory_bytes += number->to_number<std::uint64_t>(error);
  }
  check.facts = std::move(line);
  return check;
}

}  // namespace

base::Result<ModelCheck> check_model(const EngineCommand& command,
                                     std::chrono::milliseconds timeout) {
  Pipe output;
  Pipe errors;
  if (output.ends[0] < 0 || errors.ends[0] < 0) {
    return base::make_error(ErrorCode::internal,
                            std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  asio::io_context context(1);
  io::ChildOptions options;
  options.program = command.program;
  options.arguments = engine_arguments(command);
  options.arguments.emplace_back("--check");
  options.descriptors = {{output.ends[1], 1}, {errors.ends[1], 2}};
  base::Result<io::ChildProcess> child = io::ChildProcess::spawn(context.get_executor(), options);
  if (child.has_error()) return child.error();
  output.close_end(1);
  errors.close_end(1);
  std::string output_text;
  std::string error_text;
  if (!read_outputs(output, errors, base::now() + timeout, output_text, error_text)) {
    return base::make_error(ErrorCode::deadline_exceeded,
                            command.program + " did not check " + command.model_path + " within " +
                                std::to_string(timeout.count()) + " ms");
  }
  std::optional<io::ChildExit> exit;
  io::TaskGroup tasks(context.get_executor());
  tasks.spawn("wait for the check", wait_for(*child, exit));
  context.run_for(timeout);
  const bool ended = exit.has_value();
  if (ended && exit->status == 0) return read_facts(output_text.substr(0, output_text.find('\n')));
  std::string line = clear_line(error_text);
  if (line.empty() || !ended || exit->signal) {
    line = "the check of " + command.model_path + " by " + command.program + " " +
           (ended ? exit->signal ? "was " : "ended with " : "did not end") +
           (ended ? exit->describe() : "") + (line.empty() ? "" : ": " + line);
  }
  return base::make_error(ErrorCode::invalid_request, std::move(line));
}

}  // namespace deepseek::gateway
