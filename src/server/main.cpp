// deepseek-server: reads what it shall do, checks it, serves, and ends as the signals say.
//
// Exit status: 0 after a normal end, 2 when the configuration, a model or a port stops the start,
// 1 for a mistake of ours, 128 plus its number when a second signal ended it.
#include "base/version.hpp"
#include "io/child_guard.hpp"
#include "server/command_line.hpp"
#include "server/configuration_loader.hpp"
#include "server/route_explain.hpp"
#include "server/server.hpp"

#include <sys/resource.h>
#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::server {
namespace {

constexpr int status_refused = 2;
constexpr int status_mistake = 1;

int refuse(const base::Error& error) {
  std::fprintf(stderr, "deepseek-server: %s\n", error.message.c_str());
  return status_refused;
}

int print(const std::string& text) {
  const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  return written ? 0 : status_mistake;
}

std::string read_standard_input() {
  constexpr std::size_t bytes_max = 4u << 20;
  std::string text;
  std::array<char, 16'384> piece{};
  while (text.size() < bytes_max) {
    const std::size_t size = std::fread(piece.data(), 1, piece.size(), stdin);
    if (size == 0) break;
    text.append(piece.data(), size);
  }
  return text;
}

void prepare_process() {
  std::signal(SIGPIPE, SIG_IGN);
  // One descriptor for each connection: as many as the system allows.
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

int serve(Configuration configuration, CommandLine command_line) {
  prepare_process();
  Server server(std::move(configuration), std::move(command_line));
  auto prepared = server.prepare();
  if (prepared.has_error()) return refuse(prepared.error());
  return server.run();
}

int run(std::span<const std::string_view> arguments) {
  auto command_line = parse_command_line(arguments);
  if (command_line.has_error()) return refuse(command_line.error());
  using enum CommandLine::Action;
  switch (command_line->action) {
    case help:
      return print(help_text());
    case version:
      return print("deepseek-server " + std::string(base::version()) + " (llama.cpp " +
                   std::string(base::llama_cpp()) + ")\n");
    case print_config_docs:
      return print(configuration_document());
    case serve:
    case check_config:
    case print_config:
    case explain_route:
      break;
  }
  auto loaded = load_configuration(*command_line, system_outside());
  if (loaded.has_error()) return refuse(loaded.error());
  if (command_line->action == print_config) return print(print_configuration(*loaded));
  if (command_line->action == check_config) return print("The configuration is good.\n");
  if (command_line->action == explain_route) {
    auto explained = explain_route_offline(loaded->values, read_standard_input());
    return explained.has_error() ? refuse(explained.error()) : print(*explained + "\n");
  }
  return server::serve(std::move(loaded->values), std::move(*command_line));
}

}  // namespace
}  // namespace deepseek::server

int main(int argc, char** argv) {
  // What this program starts for a managed backend, in place of the program itself.
  if (argc > 2 && argv[1] == deepseek::io::child_guard_flag) {
    return deepseek::io::run_child_guard(argv + 2);
  }
  try {
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    return deepseek::server::run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "deepseek-server: %s\n", error.what());
    return deepseek::server::status_mistake;
  }
}
