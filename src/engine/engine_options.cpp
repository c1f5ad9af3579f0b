#include "engine/engine_options.hpp"

#include "base/units.hpp"

#include <array>
#include <charconv>
#include <string_view>

namespace deepseek::engine {
namespace {

using base::Result;

base::Error wrong(std::string_view flag, std::string_view found, std::string_view allowed) {
  return base::make_error(base::ErrorCode::invalid_request,
                          std::string(flag) + ": found \"" + std::string(found) +
                              "\", allowed is " + std::string(allowed) + ".");
}

Result<void> take_number(std::string_view flag, std::string_view text, std::int32_t low,
                         std::int32_t high, std::int32_t& value) {
  std::int32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < low || number > high) {
    return wrong(flag, text,
                 "a number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  value = number;
  return {};
}

Result<void> take_choice(std::string_view flag, std::string_view text,
                         std::initializer_list<std::string_view> choices, std::string& value) {
  std::string allowed;
  for (const std::string_view choice : choices) {
    if (text == choice) {
      value = choice;
      return {};
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(choice);
  }
  return wrong(flag, text, "one of " + allowed);
}

constexpr std::int32_t kMany = 1 << 30;

struct Flag {
  std::string_view name;
  std::string_view value;  // how the help names it; empty: no value
  std::string_view help;
  Result<void> (*take)(EngineOptions&, std::string_view);
};

constexpr std::
    array
        kFlags =
            {
                Flag{"--model", "FILE", "the GGUF file to load",
                     [](EngineOptions& o, std::string_view v) -> Result<void> {
                       o.model = v;
                       return {};
                     }},
                Flag{"--channel", "FD", "open socket to the server, as deepseek-server passes it",
                     [](EngineOptions& o, std::string_view v) {
                       std::int32_t number = 0;
                       const Result<void> taken = take_number("--channel", v, 0, 1 << 20, number);
                       o.channel = number;
                       return taken;
                     }},
                Flag{"--check", "",
                     "only look at the file and the machine: one line of JSON, or exit 2",
                     [](EngineOptions& o, std::string_view) -> Result<void> {
                       o.check = true;
                       return {};
                     }},
                Flag{"--threads", "N", "threads of decoding; 0: the physical cores",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--threads", v, 0, 1024, o.threads);
                     }},
                Flag{"--threads-prefill", "N", "threads of prefill; 0: as --threads",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--threads-prefill", v, 0, 1024, o.threads_prefill);
                     }},
                Flag{"--kv-bytes", "SIZE", "memory of the KV pool, as 512MB; 0: one full context",
                     [](EngineOptions& o, std::string_view v) -> Result<void> {
                       const Result<std::uint64_t> bytes = base::parse_bytes(v);
                       if (bytes.has_error()) return wrong("--kv-bytes", v, "a size as 512MB");
                       o.kv_bytes = *bytes;
                       return {};
                     }},
                Flag{"--kv-type", "TYPE", "f16, q8_0 or q4_0",
                     [](EngineOptions& o, std::string_view v) {
                       return take_choice("--kv-type", v, {"f16", "q8_0", "q4_0"}, o.kv_type);
                     }},
                Flag{"--sequences-max", "N", "sequences in one batch",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--sequences-max", v, 1, 256, o.sequences_max);
                     }},
                Flag{"--queue-max", "N", "requests that may wait",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--queue-max", v, 1, 1 << 20, o.queue_max);
                     }},
                Flag{"--prefill-chunk", "N",
                     "most prefill tokens of a step in which somebody decodes",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--prefill-chunk", v, 1, 1 << 16, o.prefill_chunk);
                     }},
                Flag{"--token-gap", "MS",
                     "between two tokens of an answer, as long as prefill decides it",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--token-gap", v, 1, 1 << 20, o.token_gap_ms);
                     }},
                Flag{"--prefix-sharing", "WHO",
                     "none, user, tenant or all: who may share a common prefix",
                     [](EngineOptions& o, std::string_view v) {
                       return take_choice("--prefix-sharing", v, {"none", "user", "tenant", "all"},
                                          o.prefix_sharing);
                     }},
                Flag{"--batch-min", "N", "requests with which an idle engine begins",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--batch-min", v, 1, 256, o.batch_min);
                     }},
                Flag{"--batch-wait", "MS", "how long it waits for so many",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--batch-wait", v, 0, 1 << 20, o.batch_wait_ms);
                     }},
                Flag{"--state-bytes", "SIZE",
                     "host memory for prefixes whose cells were given up; 0B: none",
                     [](EngineOptions& o, std::string_view v) -> Result<void> {
                       const Result<std::uint64_t> bytes = base::parse_bytes(v);
                       if (bytes.has_error()) return wrong("--state-bytes", v, "a size as 512MB");
                       o.state_bytes = *bytes;
                       return {};
                     }},
                Flag{"--cache-dir", "FOLDER", "where prefixes are stored; empty: nowhere",
                     [](EngineOptions& o, std::string_view v) -> Result<void> {
                       o.cache_dir = v;
                       return {};
                     }},
                Flag{"--cache-dir-bytes", "SIZE", "at most so much of them",
                     [](EngineOptions& o, std::string_view v) -> Result<void> {
                       const Result<std::uint64_t> bytes = base::parse_bytes(v);
                       if (bytes.has_error()) return wrong("--cache-dir-bytes", v, "a size as 4GB");
                       o.cache_dir_bytes = *bytes;
                       return {};
                     }},
                Flag{"--draft-max",
                     "N", "guessed tokens of one sequence in a step, where they pay; 0: none",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--draft-max", v, 0, 64, o.draft_max);
                     }},
                Flag{"--draft-model", "FILE", "a smaller model that guesses for this one",
                     [](EngineOptions& o, std::string_view v) -> Result<void> {
                       o.draft_model = v;
                       return {};
                     }},
                Flag{"--mmproj", "FILE", "the projector that reads images for this model",
                     [](EngineOptions& o, std::string_view v) -> Result<void> {
                       o.mmproj = v;
                       return {};
                     }},
                Flag{"--image-pixels-max", "N", "pixels of one image",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--image-pixels-max", v, 1, 1 << 28, o.image_pixels_max);
                     }},
                Flag{"--step-tokens-max", "N", "tokens of one step",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--step-tokens-max", v, 16, 1 << 16, o.step_tokens_max);
                     }},
                Flag{"--micro-batch", "N", "tokens computed at a time; small keeps memory low",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--micro-batch", v, 16, 1 << 16, o.micro_batch);
                     }},
                Flag{"--flash-attention", "WHEN", "auto, on or off",
                     [](EngineOptions& o, std::string_view v) {
                       return take_choice("--flash-attention", v, {"auto", "on", "off"},
                                          o.flash_attention);
                     }},
                Flag{"--layout", "WHICH", "of the weights: auto (the fastest here) or as_is",
                     [](EngineOptions& o, std::string_view v) {
                       return take_choice("--layout", v, {"auto", "as_is"}, o.layout);
                     }},
                Flag{"--layout-loss", "N",
                     "converted weights may raise the perplexity by so many millionths; 0: "
                     "convert none",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--layout-loss", v, 0, 1'000'000, o.layout_loss);
                     }},
                Flag{"--layout-file", "FILE", "keeps what was measured of layouts",
                     [](EngineOptions& o, std::string_view v) -> Result<void> {
                       o.layout_file = v;
                       return {};
                     }},
                Flag{"--grammar-cache", "SIZE", "at most so much of compiled constraints",
                     [](EngineOptions& o, std::string_view v) -> Result<void> {
                       const Result<std::uint64_t> bytes = base::parse_bytes(v);
                       if (bytes.has_error()) return wrong("--grammar-cache", v, "a size as 64MB");
                       o.grammar_cache_bytes = *bytes;
                       return {};
                     }},
                Flag{"--grammar-compile", "MS", "a constraint that takes longer is refused",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--grammar-compile", v, 1, 600'000, o.grammar_compile_ms);
                     }},
                Flag{"--context-max",
                     "N", "tokens of one sequence; 0: what the model was trained for",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--context-max", v, 0, kMany, o.context_max);
                     }},
                Flag{"--attention-window",
                     "N", "last tokens that a sequence keeps at least; 0: all of them",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--attention-window", v, 0, kMany, o.attention_window);
                     }},
                Flag{"--attention-sinks", "N", "first tokens that it keeps then",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--attention-sinks", v, 0, 1024, o.attention_sinks);
                     }},
                Flag{"--gpu-layers", "N", "layers on a GPU, if there is one; -1: all",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--gpu-layers", v, -1, 1 << 16, o.gpu_layers);
                     }},
                Flag{"--embeddings", "", "allow Embed: the pooled states of this model",
                     [](EngineOptions& o, std::string_view) -> Result<void> {
                       o.embeddings = true;
                       return {};
                     }},
                Flag{"--adapter", "NAME=FILE", "a LoRA adapter that requests may ask for; repeated",
                     [](EngineOptions& o, std::string_view v) -> Result<void> {
                       const std::size_t equals = v.find('=');
                       if (equals == 0 || equals >= v.size() - 1) {
                         return wrong("--adapter", v, "a name, = and a file");
                       }
                       o.adapters.emplace_back(v.substr(0, equals), v.substr(equals + 1));
                       return {};
                     }},
                Flag{"--warmup", "N", "requests run before the model counts as ready",
                     [](EngineOptions& o, std::string_view v) {
                       return take_number("--warmup", v, 0, 1000, o.warmup);
                     }},
                Flag{"--log-format", "FORMAT", "text or json",
                     [](EngineOptions& o, std::string_view v) {
                       std::string value;
                       const Result<void> taken =
                           take_choice("--log-format", v, {"text", "json"}, value);
                       o.log_format =
                           value == "json" ? base::LogFormat::json : base::LogFormat::text;
                       return taken;
                     }},
                Flag{"--log-level", "LEVEL", "debug, info, warning or error",
                     [](EngineOptions& o, std::string_view v) {
                       std::string value;
                       const Result<void> taken = take_choice(
                           "--log-level", v, {"debug", "info", "warning", "error"}, value);
                       o.log_level = value == "debug"     ? base::LogLevel::debug
                                     : value == "warning" ? base::LogLevel::warning
                                     : value == "error"   ? base::LogLevel::error
                                                          : base::LogLevel::info;
                       return taken;
                     }},
                Flag{"--help", "", "this text",
                     [](EngineOptions& o, std::string_view) -> Result<void> {
                       o.help = true;
                       return {};
                     }},
};

const Flag* find_flag(std::string_view name) {
  for (const Flag& flag : kFlags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

}  // namespace

Result<EngineOptions> parse_engine_options(std::span<const char* const> arguments) {
  EngineOptions options;
  for (std::size_t index = 0; index < arguments.size(); ++index) {
    std::string_view name = arguments[index];
    std::string_view value;
    const std::size_t equals = name.find('=');
    const bool attached = equals != std::string_view::npos;
    if (attached) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    }
    const Flag* flag = find_flag(name);
    if (flag == nullptr) return wrong(name, name, "a flag that --help lists");
    if (!flag->value.empty() && !attached) {
      if (index + 1 == arguments.size()) return wrong(name, "nothing", flag->value);
      value = arguments[++index];
    }
    const Result<void> taken = flag->take(options, value);
    if (taken.has_error()) return taken.error();
  }
  if (options.help) return options;
  if (options.model.empty()) return wrong("--model", "nothing", "the path of a GGUF file");
  if (!options.check && options.channel < 0) {
    return wrong("--channel", "nothing", "an open socket; deepseek-server starts this program");
  }
  return options;
}

std::string engine_help() {
  std::string text =
      "deepseek-engine holds one model. deepseek-server starts it; by hand use --check.\n\n";
  for (const Flag& flag : kFlags) {
    std::string line = "  " + std::string(flag.name);
    if (!flag.value.empty()) line += " " + std::string(flag.value);
    line.resize(std::max<std::size_t>(line.size() + 1, 28), ' ');
    text += line + std::string(flag.help) + "\n";
  }
  return text;
}

}  // namespace deepseek::engine
