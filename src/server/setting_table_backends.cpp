// The table, third part: other servers that answer.
#include "server/setting_form.hpp"
#include "server/setting_member.hpp"

#include <array>

namespace deepseek::server {
namespace {

using C = Configuration;
using B = C::Backend;
constexpr auto backends = &C::backends;

const std::array table{
    Setting{
        .name = "backends[].name",
        .help =
            "What routes, logs and metrics call it. Another name than every model and than local.",
        .example = "first",
        .minimum = 1,
        .maximum = 64,
        .form = form::name,
        .accepts = form::is_name,
        .field = in_entry<&B::name, backends>},
    Setting{.name = "backends[].type",
            .help =
                "openai for every server of the OpenAI form, deepseek for the official API, "
                "azure for Azure OpenAI, managed for a program that this server starts, grpc for "
                "another deepseek-server that is called over gRPC, anthropic for a server of "
                "Anthropic's form (Messages).",
            .example = "openai",
            .field = in_entry<&B::type, backends>},
    Setting{.name = "backends[].base_url",
            .help = "Where it is, with the path before /chat/completions, or before /messages with "
                    "type anthropic; with type grpc host and port alone, http:// without TLS and "
                    "https:// with it. managed has none. "
                    "${NAME} stands for a variable of the environment.",
            .example = "http://127.0.0.1:9001/v1",
            .maximum = 2'048,
            .expand = true,
            .form = form::url,
            .accepts = form::is_url,
            .field = in_entry<&B::base_url, backends>},
    Setting{.name = "backends[].api_key",
            .help = "What it asks for as a key. Give it as ${NAME} (environment) or file:PATH; it "
                    "is never printed. Empty sends none.",
            .example = "${FIRST_KEY}",
            .maximum = 4'096,
            .form = form::visible,
            .accepts = form::is_visible,
            .field = in_entry<&B::api_key, backends>},
    Setting{.name = "backends[].models",
            .help = "Models that it serves; empty is any.",
            .example = "deepseek-chat, deepseek-reasoner",
            .maximum = 256,
            .field = in_entry<&B::models, backends>},
    Setting{.name = "backends[].upstream_models",
            .help = "What to call a model there: `{our name: its name}`. Others keep their name.",
            .example = "deepseek-chat=deepseek-flash",
            .maximum = 256,
            .field = in_entry<&B::upstream_models, backends>},
    Setting{.name = "backends[].continuation",
            .help = "How it goes on with an answer that broke off elsewhere: prefix as DeepSeek, "
                    "continue_final_message as vLLM, assistant_last as llama-server and Anthropic, "
                    "none if it cannot, as some models of Anthropic. Left out it is none, with "
                    "type deepseek prefix, with type anthropic assistant_last, with an engine "
                    "that engine's.",
            .example = "prefix",
            .field = in_entry<&B::continuation, backends>},
    Setting{.name = "backends[].token_limit_field",
            .help = "Its name for the limit of an answer's tokens: a client's max_tokens and "
                    "max_completion_tokens are both told under this one. Empty leaves them as they "
                    "are. Left out it is empty, with type deepseek max_tokens.",
            .example = "max_tokens",
            .maximum = 32,
            .form = form::token_limit,
            .accepts = form::is_token_limit,
            .field = in_entry<&B::token_limit_field, backends>},
    Setting{.name = "backends[].weight",
            .help = "Its share beside the others, for weighted_round_robin.",
            .example = "1",
            .minimum = 1,
            .maximum = 1'000,
            .field = in_entry<&B::weight, backends>},
    Setting{.name = "backends[].zone",
            .help = "Where it runs; compared with server.zone.",
            .example = "eu-1",
            .maximum = 64,
            .form = form::name,
            .accepts = form::is_name,
            .field = in_entry<&B::zone, backends>},
    Setting{.name = "backends[].in_flight_max",
            .help = "Most requests at a time; more go to the next backend or wait.",
            .example = "1000",
            .minimum = 1,
            .maximum = 1'000'000,
            .field = in_entry<&B::in_flight_max, backends>},
    Setting{.name = "backends[].price_input",
            .help = "Price of a million tokens of prompt.",
            .example = "2",
            .maximum = 1'000'000,
            .field = in_entry<&B::price_input, backends>},
    Setting{.name = "backends[].price_input_cached",
            .help = "Price of a million tokens of prompt that it had in its cache.",
            .example = "0.2",
            .maximum = 1'000'000,
            .field = in_entry<&B::price_input_cached, backends>},
    Setting{.name = "backends[].price_output",
            .help = "Price of a million tokens of answer.",
            .example = "3",
            .maximum = 1'000'000,
            .field = in_entry<&B::price_output, backends>},
    Setting{.name = "backends[].price_currency",
            .help = "Currency of the three prices, in three letters.",
            .example = "CNY",
            .minimum = 3,
            .maximum = 3,
            .form = form::currency,
            .accepts = form::is_capitals,
            .field = in_entry<&B::price_currency, backends>},
    Setting{.name = "backends[].off_peak",
            .help =
                "When its prices are multiplied by off_peak_factor; may go over midnight, may name "
                "days and a zone: \"Mon-Fri 00:00-08:30; UTC+8\". Empty is never.",
            .example = "18:00-09:00",
            .maximum = 256,
            .form = form::hours,
            .accepts = form::is_hours,
            .field = in_entry<&B::off_peak, backends>},
    Setting{.name = "backends[].off_peak_factor",
            .help = "What the prices are multiplied by then.",
            .example = "0.5",
            .maximum = 1,
            .field = in_entry<&B::off_peak_factor, backends>},
    Setting{.name = "backends[].connect_timeout",
            .help = "Longest wait for a connection, with DNS and TLS.",
            .example = "5s",
            .minimum = 10,
            .maximum = 10 * minute,
            .field = in_entry<&B::connect_timeout, backends>},
    Setting{.name = "backends[].first_token_timeout",
            .help = "Longest wait for the first token, from the start of the request; then the "
                    "next backend is asked.",
            .example = "60s",
            .minimum = 100,
            .maximum = hour,
            .field = in_entry<&B::first_token_timeout, backends>},
    Setting{.name = "backends[].gap_timeout",
            .help = "Longest pause between two tokens.",
            .example = "60s",
            .minimum = 100,
            .maximum = hour,
            .field = in_entry<&B::gap_timeout, backends>},
    Setting{.name = "backends[].health_path",
            .help =
                "Path for GET that answers 200 while it is well. Empty makes no checks but "
                "those of real requests; with type managed left out it is /health. With type grpc "
                "there is none: the standard health service is asked.",
            .example = "/health",
            .maximum = 1'024,
            .form = form::path,
            .accepts = form::is_path,
            .field = in_entry<&B::health_path, backends>},
    Setting{.name = "backends[].health_interval",
            .help = "Pause between two such checks.",
            .example = "10s",
            .minimum = 100,
            .maximum = hour,
            .field = in_entry<&B::health_interval, backends>},
    Setting{.name = "backends[].pool_idle_max",
            .help = "Connections without a request that each I/O thread keeps open.",
            .example = "256",
            .maximum = 65'536,
            .field = in_entry<&B::pool_idle_max, backends>},
    Setting{.name = "backends[].allow_fields",
            .help = "Fields of a request that may pass to it beside those of its form.",
            .example = "top_k, min_p",
            .maximum = 64,
            .form = form::name,
            .accepts = form::is_name,
            .field = in_entry<&B::allow_fields, backends>},
    Setting{.name = "backends[].api_version",
            .help = "Value of api-version in requests to Azure OpenAI; empty sends none. With type "
                    "anthropic that of anthropic-version; empty is 2023-06-01.",
            .example = "2024-10-21",
            .maximum = 64,
            .form = form::name,
            .accepts = form::is_name,
            .field = in_entry<&B::api_version, backends>},
    Setting{.name = "backends[].beta_features",
            .help = "With type anthropic the values of anthropic-beta in every request to it.",
            .example = "context-1m-2025-08-07",
            .maximum = 16,
            .form = form::name,
            .accepts = form::is_name,
            .field = in_entry<&B::beta_features, backends>},
    Setting{.name = "backends[].key_as_bearer",
            .help = "With type anthropic: send the key as Authorization: Bearer, not as x-api-key.",
            .example = "false",
            .field = in_entry<&B::key_as_bearer, backends>},
    Setting{.name = "backends[].answer_tokens",
            .help = "With type anthropic the limit of an answer's tokens for clients that give "
                    "none, since this form needs one. What the model thinks comes on top.",
            .example = "4096",
            .minimum = 1,
            .maximum = 1'000'000,
            .field = in_entry<&B::answer_tokens, backends>},
    Setting{.name = "backends[].trust_file",
            .help = "PEM file with the certificates that its TLS is checked against. Empty takes "
                    "those of the system.",
            .example = "ca.pem",
            .maximum = 4'096,
            .field = path_in_entry<&B::trust_file, backends>},
    Setting{.name = "backends[].engine",
            .help = "What a managed backend is: vllm, sglang and llama-server get their flags from "
                    "the settings below, none is started as command says.",
            .example = "vllm",
            .field = in_entry<&B::engine, backends>},
    Setting{.name = "backends[].model",
            .help = "What the engine of a managed backend loads: a file, a folder, or a name of "
                    "its hub. Requests call it by models.",
            .example = "/srv/models/qwen3-8b",
            .maximum = 4'096,
            .expand = true,
            .field = in_entry<&B::model, backends>},
    Setting{.name = "backends[].command",
            .help = "Program and arguments of a managed backend; with an engine what stands in "
                    "place of its program, such as /opt/vllm/bin/vllm, serve. {port} stands for "
                    "the port it must listen on, ${NAME} for a variable of the environment. "
                    "--print-config shows them: give keys to the program in its environment.",
            .example = "serve-model, --port, {port}",
            .maximum = 256,
            .expand = true,
            .field = in_entry<&B::command, backends>},
    Setting{.name = "backends[].arguments",
            .help = "Further arguments of a managed backend, behind those that its engine gets.",
            .example = "--max-model-len, 8192",
            .maximum = 256,
            .expand = true,
            .field = in_entry<&B::arguments, backends>},
    Setting{.name = "backends[].environment",
            .help = "Variables of a managed backend beside those of this server, such as the "
                    "devices that it may use. --print-config shows them.",
            .example = "CUDA_VISIBLE_DEVICES=0",
            .maximum = 64,
            .form = form::name,
            .accepts = form::is_name,
            .field = in_entry<&B::environment, backends>},
    Setting{.name = "backends[].port",
            .help = "Port of 127.0.0.1 that a managed backend listens on; 0 takes a free one.",
            .example = "8000",
            .maximum = 65'535,
            .field = in_entry<&B::port, backends>},
    Setting{
        .name = "backends[].start_timeout",
        .help = "How long a managed backend may take until it is well; then it is started again.",
        .example = "600s",
        .minimum = second,
        .maximum = day,
        .field = in_entry<&B::start_timeout, backends>},
    Setting{.name = "backends[].tensor_parallel",
            .help = "Over how many devices each layer is split: --tensor-parallel-size of vllm, "
                    "--tp-size of sglang.",
            .example = "4",
            .minimum = 1,
            .maximum = 1'024,
            .field = in_entry<&B::tensor_parallel, backends>},
    Setting{.name = "backends[].pipeline_parallel",
            .help = "Over how many groups of devices the layers are dealt: "
                    "--pipeline-parallel-size of vllm, --pp-size of sglang.",
            .example = "2",
            .minimum = 1,
            .maximum = 1'024,
            .field = in_entry<&B::pipeline_parallel, backends>},
    Setting{.name = "backends[].expert_parallel",
            .help = "Over how many devices the experts are dealt: --ep-size of sglang; with vllm "
                    "tensor_parallel × data_parallel, which is --enable-expert-parallel.",
            .example = "8",
            .minimum = 1,
            .maximum = 1'024,
            .field = in_entry<&B::expert_parallel, backends>},
    Setting{.name = "backends[].data_parallel",
            .help = "How many copies of the model answer: --data-parallel-size of vllm, --dp-size "
                    "of sglang.",
            .example = "2",
            .minimum = 1,
            .maximum = 1'024,
            .field = in_entry<&B::data_parallel, backends>},
};

}  // namespace

std::span<const Setting> backend_settings() {
  return table;
}

}  // namespace deepseek::server
