// The program `deepseek`: asks a running server and prints what it says.
#include "base/version.hpp"
#include "cli/client.hpp"
#include "cli/command.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

void print(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
  std::fflush(file);
}

std::string read_standard_input() {
  constexpr std::size_t prompt_max = 4u << 20;
  std::string text;
  char buffer[16384];
  while (text.size() < prompt_max) {
    const std::size_t count = std::fread(buffer, 1, sizeof buffer, stdin);
    if (count == 0) break;
    text.append(buffer, count);
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  using deepseek::cli::Command;
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  auto command = deepseek::cli::parse_command(arguments);
  if (command.has_error()) {
    print(stderr, "deepseek: " + command.error().message + "\n");
    return 2;
  }
  if (command->action == Command::Action::help) {
    print(stdout, deepseek::cli::help_text());
    return 0;
  }
  if (command->action == Command::Action::version) {
    print(stdout, "deepseek " + std::string(deepseek::base::version()) + "\n");
    return 0;
  }
  if (command->prompt == "-") command->prompt = read_standard_input();
  const char* key = std::getenv("DEEPSEEK_API_KEY");
  return deepseek::cli::run_command(
      command.value(), key == nullptr ? "" : key,
      {[](std::string_view text) { print(stdout, text); },
       [](std::string_view text) { print(stderr, "deepseek: " + std::string(text) + "\n"); }});
}
