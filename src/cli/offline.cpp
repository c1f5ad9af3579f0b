#include "cli/offline.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

extern char** environ;

namespace deepseek::cli {

namespace fs = std::filesystem;
using base::ErrorCode;

namespace {

struct Pipe {
  std::array<int, 2> ends{-1, -1};
  bool made = ::pipe(ends.data()) == 0;
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close(0);
    close(1);
  }
  void close(std::size_t end) {
    if (ends[end] >= 0) ::close(std::exchange(ends[end], -1));
  }
};

void write_all(int descriptor, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t size = ::write(descriptor, text.data() + done, text.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    done += static_cast<std::size_t>(size);
  }
}

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 16'384> piece{};
  while (true) {
    const ssize_t size = ::read(descriptor, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
}

base::Error failed(std::string what) {
  return base::make_error(ErrorCode::unavailable, std::move(what));
}

}  // namespace

base::Result<std::string> ask_server_program(const std::vector<std::string>& arguments,
                                             const std::string& input) {
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::string program = folder / "deepseek-server";
  Pipe in;
  Pipe out;
  if (!in.made || !out.made) return failed(std::string("no pipe: ") + std::strerror(errno));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.ends[0], 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.ends[1], 1);
  for (const int end : {in.ends[0], in.ends[1], out.ends[0], out.ends[1]}) {
    ::posix_spawn_file_actions_addclose(&actions, end);
  }
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  pid_t child = 0;
  const int number =
      ::posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (number != 0) return failed("cannot run " + program + ": " + std::strerror(number));
  in.close(0);
  out.close(1);
  // It reads all of its input before it prints.
  write_all(in.ends[1], input);
  in.close(1);
  std::string answer = read_all(out.ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return failed("deepseek-server refused the configuration or the request; see above");
  }
  return answer;
}

}  // namespace deepseek::cli
