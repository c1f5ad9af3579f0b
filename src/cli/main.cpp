// The program `deepseek`: asks a running server and prints what it says.
#include "base/version.hpp"
#include "cli/answer.hpp"
#include "cli/client.hpp"
#include "cli/command.hpp"
#include "cli/explanation.hpp"
#include "cli/offline.hpp"

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

std::string read_all(std::FILE* file) {
  constexpr std::size_t prompt_max = 4u << 20;
  std::string text;
  char buffer[16384];
  while (text.size() < prompt_max) {
    const std::size_t count = std::fread(buffer, 1, sizeof buffer, file);
    if (count == 0) break;
    text.append(buffer, count);
  }
  return text;
}

std::string read_standard_input() {
  return read_all(stdin);
}

deepseek::base::Result<std::string> read_question(const deepseek::cli::Command& command) {
  std::string body;
  if (!command.body_path.empty()) {
    std::FILE* const file = std::fopen(command.body_path.c_str(), "rb");
    if (file == nullptr) {
      return deepseek::base::make_error(deepseek::base::ErrorCode::invalid_request,
                                        "--body: cannot read " + command.body_path);
    }
    body = read_all(file);
    std::fclose(file);
  }
  return deepseek::cli::explain_question(command, body);
}

int explain_offline(const std::string& config, const std::string& question) {
  auto answer =
      deepseek::cli::ask_server_program({"--config", config, "--explain-route"}, question);
  if (!answer.has_error()) answer = deepseek::cli::explanation(*answer);
  if (answer.has_error()) {
    print(stderr, "deepseek: " + answer.error().message + "\n");
    return 1;
  }
  print(stdout, deepseek::cli::for_terminal(*answer));
  return 0;
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
  if (command->action == Command::Action::explain_route) {
    auto question = read_question(*command);
    if (question.has_error()) {
      print(stderr, "deepseek: " + question.error().message + "\n");
      return 2;
    }
    if (!command->config.empty()) return explain_offline(command->config, *question);
    command->prompt = std::move(*question);
  }
  const char* key = std::getenv("DEEPSEEK_API_KEY");
  return deepseek::cli::run_command(
      command.value(), key == nullptr ? "" : key,
      {[](std::string_view text) { print(stdout, text); },
       [](std::string_view text) { print(stderr, "deepseek: " + std::string(text) + "\n"); }});
}
