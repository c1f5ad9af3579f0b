// What to start for a managed backend: the flags of each engine, from one table of facts.
//
// Pure. The flags are those of vLLM's `vllm serve`, SGLang's `sglang.launch_server` and llama.cpp's
// `llama-server`; whatever else an engine can do is the owner's to add in `arguments`.
#pragma once

#include "base/result.hpp"
#include "gateway/managed/managed_engine.hpp"
#include "protocol/continuation_kind.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

struct ManagedCommand {
  ManagedEngine engine = ManagedEngine::none;
  std::vector<std::string> program;    // none: all of it; else in place of the engine's own program
  std::vector<std::string> arguments;  // behind everything
  std::string model;                   // a file, a folder, or a name of a hub
  std::vector<std::string> names;      // what requests call the model there
  std::uint32_t tensor_parallel = 1;
  std::uint32_t pipeline_parallel = 1;
  std::uint32_t expert_parallel = 1;
  std::uint32_t data_parallel = 1;
  bool operator==(const ManagedCommand&) const = default;
};

// What is known of an engine. An empty flag: it cannot do that.
struct ManagedEngineFacts {
  ManagedEngine engine;
  std::string_view name;  // as the configuration has it
  std::vector<std::string_view> program;
  std::string_view model_flag;  // empty: the model stands without one
  std::string_view name_flag;
  bool many_names;  // the flag takes all names, not only the first
  std::string_view tensor_flag;
  std::string_view pipeline_flag;
  std::string_view data_flag;
  std::string_view expert_flag;
  bool expert_switch;  // a flag without a number: as many as tensor × data
  protocol::Continuation continuation;
};
const ManagedEngineFacts& facts_of(ManagedEngine engine);

// program and arguments; {port} in `program` and `arguments` stands for the port. Errors
// are invalid_request and name the setting: an engine that cannot do what is asked.
base::Result<std::vector<std::string>> managed_argv(const ManagedCommand& command,
                                                    std::uint16_t port);

// The check of the above for one that is configured, before any port is known.
base::Result<void> check_managed(const ManagedCommand& command);

}  // namespace deepseek::gateway
