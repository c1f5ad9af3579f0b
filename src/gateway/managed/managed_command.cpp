#include "gateway/managed/managed_command.hpp"

#include <array>

namespace deepseek::gateway {

using base::Result;

namespace {

using protocol::Continuation;

const std::array<ManagedEngineFacts, 4>& table() {
  static const std::array<ManagedEngineFacts, 4> rows{{
      {ManagedEngine::none, "none", {}, "", "", false, "", "", "", "", false, Continuation::none},
      {ManagedEngine::vllm,
       "vllm",
       {"vllm", "serve"},
       "",
       "--served-model-name",
       true,
       "--tensor-parallel-size",
       "--pipeline-parallel-size",
       "--data-parallel-size",
       "--enable-expert-parallel",
       true,
       Continuation::continue_final_message},
      {ManagedEngine::sglang,
       "sglang",
       {"python3", "-m", "sglang.launch_server"},
       "--model-path",
       "--served-model-name",
       false,
       "--tp-size",
       "--pp-size",
       "--dp-size",
       "--ep-size",
       false,
       Continuation::continue_final_message},
      {ManagedEngine::llama_server,
       "llama-server",
       {"llama-server"},
       "-m",
       "--alias",
       false,
       "",
       "",
       "",
       "",
       false,
       Continuation::assistant_last},
  }};
  return rows;
}

base::Error refused(std::string what) {
  return base::make_error(base::ErrorCode::invalid_request, std::move(what));
}

std::string with_port(std::string text, const std::string& port) {
  constexpr std::string_view mark = "{port}";
  std::size_t at = text.find(mark);
  while (at != std::string::npos) {
    text.replace(at, mark.size(), port);
    at = text.find(mark, at + port.size());
  }
  return text;
}

struct Degree {
  std::string_view setting;
  std::string_view flag;
  std::uint32_t count;
};

std::array<Degree, 4> degrees(const ManagedCommand& command, const ManagedEngineFacts& facts) {
  return {{{"tensor_parallel", facts.tensor_flag, command.tensor_parallel},
           {"pipeline_parallel", facts.pipeline_flag, command.pipeline_parallel},
           {"data_parallel", facts.data_flag, command.data_parallel},
           {"expert_parallel", facts.expert_flag, command.expert_parallel}}};
}

}  // namespace

const ManagedEngineFacts& facts_of(ManagedEngine engine) {
  return table()[static_cast<std::size_t>(engine)];
}

Result<void> check_managed(const ManagedCommand& command) {
  const ManagedEngineFacts& facts = facts_of(command.engine);
  const bool known = command.engine != ManagedEngine::none;
  if (!known && command.program.empty()) {
    return refused(
        "command: found nothing; allowed with engine none are a program and its arguments");
  }
  if (known && command.model.empty()) {
    return refused("model: found nothing; allowed with engine " + std::string(facts.name) +
                   " is the model that it loads");
  }
  if (!known && !command.model.empty()) {
    return refused("model: found one with engine none; allowed is one with an engine");
  }
  for (const Degree& degree : degrees(command, facts)) {
    if (degree.count <= 1 || !degree.flag.empty()) continue;
    return refused(std::string(degree.setting) + ": found " + std::to_string(degree.count) +
                   " with engine " + std::string(facts.name) +
                   "; allowed is 1, and its own flags in arguments");
  }
  const std::uint32_t spread = command.tensor_parallel * command.data_parallel;
  if (facts.expert_switch && command.expert_parallel > 1 && command.expert_parallel != spread) {
    return refused("expert_parallel: found " + std::to_string(command.expert_parallel) +
                   "; allowed with engine " + std::string(facts.name) +
                   " is 1 or tensor_parallel × data_parallel, " + std::to_string(spread));
  }
  return {};
}

Result<std::vector<std::string>> managed_argv(const ManagedCommand& command, std::uint16_t port) {
  auto checked = check_managed(command);
  if (checked.has_error()) return checked.error();
  const ManagedEngineFacts& facts = facts_of(command.engine);
  const std::string number = std::to_string(port);
  std::vector<std::string> argv;
  for (const std::string& part : command.program) argv.push_back(with_port(part, number));
  if (argv.empty()) argv.assign(facts.program.begin(), facts.program.end());
  const auto add = [&argv](std::string_view flag, std::string value) {
    argv.emplace_back(flag);
    argv.push_back(std::move(value));
  };
  if (command.engine != ManagedEngine::none) {
    if (!facts.model_flag.empty()) argv.emplace_back(facts.model_flag);
    argv.push_back(command.model);
    add("--host", "127.0.0.1");
    add("--port", number);
    if (!command.names.empty()) {
      add(facts.name_flag, command.names.front());
      if (facts.many_names) argv.insert(argv.end(), command.names.begin() + 1, command.names.end());
    }
    for (const Degree& degree : degrees(command, facts)) {
      if (degree.count <= 1) continue;
      argv.emplace_back(degree.flag);
      const bool bare = facts.expert_switch && degree.flag == facts.expert_flag;
      if (!bare) argv.push_back(std::to_string(degree.count));
    }
  }
  for (const std::string& part : command.arguments) argv.push_back(with_port(part, number));
  return argv;
}

}  // namespace deepseek::gateway
