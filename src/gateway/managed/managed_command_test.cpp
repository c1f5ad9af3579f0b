#include "gateway/managed/managed_command.hpp"

#include <gmock/gmock.h>

namespace deepseek::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::string> argv(const ManagedCommand& command) {
  const auto made = managed_argv(command, 9100);
  return made.has_error() ? std::vector<std::string>{made.error().message} : *made;
}

std::string error(const ManagedCommand& command) {
  const auto checked = check_managed(command);
  return checked.has_error() ? checked.error().message : "no error";
}

ManagedCommand of(ManagedEngine engine) {
  ManagedCommand command;
  command.engine = engine;
  command.model = "/srv/m";
  return command;
}

TEST(ManagedCommand, OfVllm) {
  ManagedCommand command = of(ManagedEngine::vllm);
  EXPECT_THAT(argv(command),
              ElementsAre("vllm", "serve", "/srv/m", "--host", "127.0.0.1", "--port", "9100"));
  command.names = {"a", "b"};
  command.tensor_parallel = 4;
  command.pipeline_parallel = 2;
  command.data_parallel = 2;
  command.expert_parallel = 8;
  command.arguments = {"--max-model-len", "8192"};
  EXPECT_THAT(argv(command),
              ElementsAre("vllm", "serve", "/srv/m", "--host", "127.0.0.1", "--port", "9100",
                          "--served-model-name", "a", "b", "--tensor-parallel-size", "4",
                          "--pipeline-parallel-size", "2", "--data-parallel-size", "2",
                          "--enable-expert-parallel", "--max-model-len", "8192"));
  command.expert_parallel = 4;
  EXPECT_THAT(error(command), StartsWith("expert_parallel: found 4; allowed with engine vllm is 1"
                                         " or tensor_parallel × data_parallel, 8"));
}

TEST(ManagedCommand, OfSglang) {
  ManagedCommand command = of(ManagedEngine::sglang);
  command.program = {"/opt/sglang/bin/python", "-m", "sglang.launch_server"};
  command.names = {"a", "b"};
  command.tensor_parallel = 8;
  command.pipeline_parallel = 2;
  command.data_parallel = 4;
  command.expert_parallel = 8;
  EXPECT_THAT(argv(command), ElementsAre("/opt/sglang/bin/python", "-m", "sglang.launch_server",
                                         "--model-path", "/srv/m", "--host", "127.0.0.1", "--port",
                                         "9100", "--served-model-name", "a", "--tp-size", "8",
                                         "--pp-size", "2", "--dp-size", "4", "--ep-size", "8"));
}

TEST(ManagedCommand, OfLlamaServer) {
  ManagedCommand command = of(ManagedEngine::llama_server);
  command.names = {"a"};
  command.arguments = {"-c", "4096"};
  EXPECT_THAT(argv(command), ElementsAre("llama-server", "-m", "/srv/m", "--host", "127.0.0.1",
                                         "--port", "9100", "--alias", "a", "-c", "4096"));
  command.tensor_parallel = 2;
  EXPECT_THAT(error(command), HasSubstr("tensor_parallel: found 2 with engine llama-server"));
  command.tensor_parallel = 1;
  command.model.clear();
  EXPECT_THAT(error(command), HasSubstr("model: found nothing; allowed with engine llama-server"));
}

TEST(ManagedCommand, OfAnyProgram) {
  ManagedCommand command;
  EXPECT_THAT(error(command), HasSubstr("command: found nothing"));
  command.program = {"serve", "--listen=127.0.0.1:{port}", "{port}"};
  command.arguments = {"{port}{port}"};
  EXPECT_THAT(argv(command), ElementsAre("serve", "--listen=127.0.0.1:9100", "9100", "91009100"));
  command.data_parallel = 2;
  EXPECT_THAT(error(command), HasSubstr("data_parallel: found 2 with engine none"));
  command.data_parallel = 1;
  command.model = "m";
  EXPECT_THAT(error(command), HasSubstr("model: found one with engine none"));
}

TEST(ManagedCommand, FactsAreInTheOrderOfTheEngines) {
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(static_cast<int>(facts_of(static_cast<ManagedEngine>(i)).engine), i);
  }
  EXPECT_EQ(facts_of(ManagedEngine::vllm).continuation,
            protocol::Continuation::continue_final_message);
  EXPECT_EQ(facts_of(ManagedEngine::llama_server).continuation,
            protocol::Continuation::assistant_last);
}

}  // namespace
}  // namespace deepseek::gateway
