// The table, second part: models, their names, the engine and its memory.
#include "server/setting_member.hpp"

#include <array>

namespace deepseek::server {
namespace {

using C = Configuration;
constexpr auto models = &C::models;
constexpr auto engine = &C::engine;
constexpr auto memory = &C::memory;
constexpr auto images = &C::images;

const std::array table{
    Setting{.name = "models[].name",
            .help = "What requests call the model.",
            .example = "smollm2-135m-instruct",
            .minimum = 1,
            .maximum = 256,
            .field = in_entry<&C::Model::name, models>},
    Setting{.name = "models[].path",
            .help = "GGUF file. A relative path is looked for beside this configuration file, then "
                    "in share/models of the installation.",
            .example = "/srv/models/qwen3-8b.Q4_K_M.gguf",
            .minimum = 1,
            .maximum = 4'096,
            .field = model_path_at},
    Setting{.name = "models[].preload",
            .help = "Load the model at start; otherwise the first request for it does.",
            .example = "true",
            .field = in_entry<&C::Model::preload, models>},
    Setting{.name = "models[].embeddings",
            .help = "Allow POST /v1/embeddings with this model (a chat model gives its pooled "
                    "states).",
            .example = "true",
            .field = in_entry<&C::Model::embeddings, models>},
    Setting{.name = "models[].context_max",
            .help = "Most tokens of prompt and answer together. 0 is what the model was made for.",
            .example = "8192",
            .maximum = 10'000'000,
            .field = in_entry<&C::Model::context_max, models>},

    Setting{.name = "models[].draft_path",
            .help = "GGUF file of a smaller model with the same vocabulary, which guesses tokens "
                    "where engine.speculation allows it, prompt lookup finds none, and it is "
                    "faster; what is said stays the same. Found as models[].path is. Empty: none.",
            .example = "/srv/models/qwen3-0.6b.Q4_K_M.gguf",
            .maximum = 4'096,
            .field = in_entry<&C::Model::draft_path, models>},
    Setting{.name = "models[].mmproj",
            .help = "GGUF file of the projector that reads images for this model, as llama.cpp "
                    "makes it (mmproj). Found as models[].path is. Empty: the model sees no "
                    "images.",
            .example = "/srv/models/mmproj-smolvlm-500m.gguf",
            .maximum = 4'096,
            .field = in_entry<&C::Model::mmproj, models>},
    Setting{.name = "models[].adapters",
            .help = "LoRA adapters for this model: `{name: GGUF file}`. A request whose model is "
                    "such a name is answered with that adapter; several may be in use at the same "
                    "time. A relative path is looked for as models[].path is.",
            .example = "legal=/srv/adapters/legal.gguf",
            .maximum = 64,
            .field = in_entry<&C::Model::adapters, models>},

    Setting{.name = "default_model",
            .help = "The model of requests that name none. Left out, it is the first in `models`.",
            .example = "smollm2-135m-instruct",
            .maximum = 256,
            .reloadable = true,
            .field = at<&C::default_model>},

    Setting{.name = "aliases.*",
            .help = "Another name for a model: `alias: model`. Left out, the names that tutorials "
                    "use all mean the default model.",
            .example = "smollm2-135m-instruct",
            .minimum = 1,
            .maximum = 256,
            .reloadable = true,
            .field = alias_at},

    Setting{.name = "engine.program",
            .help = "The engine's program. Empty is deepseek-engine beside deepseek-server.",
            .example = "/opt/deepseek/bin/deepseek-engine",
            .maximum = 4'096,
            .field = path_at<engine, &C::Engine::program>},
    Setting{.name = "engine.threads",
            .help = "Threads that generate tokens, for each model. 0 is the number of physical "
                    "cores.",
            .example = "8",
            .maximum = 1'024,
            .field = at<engine, &C::Engine::threads>},
    Setting{.name = "engine.threads_prefill",
            .help = "Threads that read prompts. 0 is the same as engine.threads.",
            .example = "16",
            .maximum = 1'024,
            .field = at<engine, &C::Engine::threads_prefill>},
    Setting{.name = "engine.sequences_max",
            .help = "Answers that one model generates at the same time, in one batch.",
            .example = "16",
            .minimum = 1,
            .maximum = 256,
            .field = at<engine, &C::Engine::sequences_max>},
    Setting{.name = "engine.batch_size",
            .help = "Another name of engine.sequences_max.",
            .example = "16",
            .minimum = 1,
            .maximum = 256,
            .alias_of = "engine.sequences_max",
            .field = at<engine, &C::Engine::sequences_max>},
    Setting{.name = "engine.dynamic_batching",
            .help = "Requests join and leave the running batch at every token. false answers one "
                    "request after another.",
            .example = "true",
            .field = at<engine, &C::Engine::dynamic_batching>},
    Setting{.name = "engine.min_batch_size",
            .help = "Requests with which an idle model begins; it waits for them no longer than "
                    "engine.batch_wait.",
            .example = "4",
            .minimum = 1,
            .maximum = 256,
            .field = at<engine, &C::Engine::min_batch_size>},
    Setting{.name = "engine.batch_wait",
            .help = "How long an idle model waits for engine.min_batch_size requests.",
            .example = "10ms",
            .maximum = minute,
            .field = at<engine, &C::Engine::batch_wait>},
    Setting{.name = "engine.priority_queue_size",
            .help = "Requests that may wait for a model; one more is refused with 429.",
            .example = "256",
            .minimum = 1,
            .maximum = 100'000,
            .field = at<engine, &C::Engine::priority_queue_size>},
    Setting{.name = "engine.queue_timeout",
            .help = "Longest wait in that queue; then 429.",
            .example = "60s",
            .minimum = 10,
            .maximum = day,
            .field = at<engine, &C::Engine::queue_timeout>},
    Setting{.name = "engine.prefill_chunk",
            .help = "Most tokens of prompts read in one step while answers are generated; "
                    "engine.target_token_gap usually makes it fewer.",
            .example = "512",
            .minimum = 1,
            .maximum = 8'192,
            .field = at<engine, &C::Engine::prefill_chunk>},
    Setting{.name = "engine.target_token_gap",
            .help = "Time between two tokens of an answer that reading other prompts should not "
                    "exceed. Longer reads prompts faster.",
            .example = "100ms",
            .minimum = 10,
            .maximum = minute,
            .field = at<engine, &C::Engine::target_token_gap>},
    Setting{.name = "engine.prefix_sharing",
            .help = "Whose prompts may share what was computed for a common beginning: those of "
                    "one user of a tenant, of one tenant, all, or none. Who shares can tell from "
                    "the time to the first token what others have sent.",
            .example = "tenant",
            .field = at<engine, &C::Engine::prefix_sharing>},
    Setting{.name = "engine.cache_memory",
            .help = "Host memory for what was computed of prompts whose place in the KV cache was "
                    "given up; the longest unused goes first. Taken only when it is needed.",
            .example = "4GB",
            .maximum = 64 * 1024 * gigabyte,
            .field = at<engine, &C::Engine::cache_memory>},
    Setting{.name = "engine.cache_dir",
            .help = "Folder for what was computed of common beginnings of prompts, so that it "
                    "survives a restart and is not bound by memory. It holds prompts. Empty: "
                    "nothing is stored.",
            .example = "/var/lib/deepseek/prefixes",
            .maximum = 4'096,
            .field = path_at<engine, &C::Engine::cache_dir>},
    Setting{.name = "engine.cache_dir_size",
            .help = "At most so much of the disk for each model in engine.cache_dir; the longest "
                    "unused goes first.",
            .example = "20GB",
            .minimum = megabyte,
            .maximum = 64 * 1024 * gigabyte,
            .field = at<engine, &C::Engine::cache_dir_size>},
    Setting{.name = "engine.speculation",
            .help = "Guesses the next tokens and computes several in one step; what is said stays "
                    "the same. prompt_lookup takes what followed the same words before, in the "
                    "prompt or the answer, where that is faster.",
            .example = "prompt_lookup",
            .field = at<engine, &C::Engine::speculation>},
    Setting{.name = "engine.draft_max",
            .help = "Most guessed tokens of one answer in a step.",
            .example = "8",
            .minimum = 1,
            .maximum = 64,
            .field = at<engine, &C::Engine::draft_max>},
    Setting{.name = "engine.flash_attention",
            .help = "Fused attention. auto takes it where the model and the processor allow it.",
            .example = "auto",
            .field = at<engine, &C::Engine::flash_attention>},
    Setting{.name = "engine.layout",
            .help = "Layout of the weights in memory. auto packs each for this processor's fast "
                    "kernels where they were measured to be faster; nothing is lost by it, but for "
                    "layout_loss_max. as_is leaves them, and attention, as llama.cpp has them.",
            .example = "as_is",
            .field = at<engine, &C::Engine::layout>},
    Setting{.name = "engine.layout_loss_max",
            .help = "Weights in formats without fast kernels (F16, BF16, Q2_K, Q3_K, IQ…) are "
                    "converted to Q8_0 where that is faster and raises the perplexity of a fixed "
                    "text by no more percent than this; measured at the first load. 0: never.",
            .example = "0",
            .maximum = 100,
            .field = at<engine, &C::Engine::layout_loss_max>},
    Setting{.name = "engine.kv_type",
            .help = "Number format of the KV cache. q8_0 halves its memory, q4_0 quarters it; both "
                    "need flash attention.",
            .example = "q8_0",
            .field = at<engine, &C::Engine::kv_type>},
    Setting{.name = "engine.grammar_cache",
            .help = "Memory for what is compiled of schemas, grammars and tools; those used least "
                    "lately make room.",
            .example = "64MB",
            .minimum = megabyte,
            .maximum = 64 * 1024 * gigabyte,
            .field = at<engine, &C::Engine::grammar_cache>},
    Setting{.name = "engine.grammar_timeout",
            .help = "A schema or grammar that takes longer to compile is refused.",
            .example = "2s",
            .minimum = 10,
            .maximum = 600'000,
            .field = at<engine, &C::Engine::grammar_timeout>},
    Setting{.name = "engine.attention_window",
            .help = "Tokens at the end of a conversation that a model sees at least; what is "
                    "before is forgotten, but for the first few. KV memory is bounded by it, and "
                    "models[].context_max may be more than the model was made for. 0: all.",
            .example = "4096",
            .maximum = 10'000'000,
            .field = at<engine, &C::Engine::attention_window>},
    Setting{.name = "engine.attention_sinks",
            .help = "First tokens that are kept with engine.attention_window: models lean on them.",
            .example = "4",
            .maximum = 1'024,
            .field = at<engine, &C::Engine::attention_sinks>},
    Setting{.name = "engine.stream_credits",
            .help = "Tokens that one answer may be ahead of its reader before it pauses.",
            .example = "64",
            .minimum = 1,
            .maximum = 65'536,
            .field = at<engine, &C::Engine::stream_credits>},
    Setting{.name = "engine.warmup_requests",
            .help = "Short generations after loading, before the model counts as ready.",
            .example = "1",
            .maximum = 100,
            .field = at<engine, &C::Engine::warmup_requests>},
    Setting{.name = "engine.restart_backoff_max",
            .help = "Longest pause before an engine that keeps failing is started again.",
            .example = "10s",
            .minimum = 100,
            .maximum = hour,
            .field = at<engine, &C::Engine::restart_backoff_max>},
    Setting{.name = "engine.silence_timeout",
            .help = "An engine that has work and whose process does not answer for so long is "
                    "killed and restarted; its answers go on. More where the machine swaps.",
            .example = "2s",
            .minimum = 100,
            .maximum = hour,
            .field = at<engine, &C::Engine::silence_timeout>},
    Setting{.name = "engine.wedge_timeout",
            .help = "An engine whose process answers, but whose step takes so long, is killed and "
                    "restarted; so is one whose step takes ten times as long as it should.",
            .example = "30s",
            .minimum = second,
            .maximum = hour,
            .field = at<engine, &C::Engine::wedge_timeout>},
    Setting{.name = "engine.shutdown_timeout",
            .help = "How long an engine may take to end by itself before it is killed.",
            .example = "5s",
            .maximum = 10 * minute,
            .field = at<engine, &C::Engine::shutdown_timeout>},

    Setting{.name = "memory.max_cache_size",
            .help = "Memory for the KV cache of each model: a size, or a share of this machine's "
                    "memory.",
            .example = "16GB",
            .minimum = megabyte,
            .maximum = 64 * 1024 * gigabyte,
            .field = at<memory, &C::Memory::max_cache_size>},
    Setting{.name = "memory.max_models_size",
            .help = "Memory for the weights and KV caches of all models together. A model that "
                    "finds no room waits until others are idle and unloads the longest unused; a "
                    "model that is in use stays.",
            .example = "64GB",
            .minimum = megabyte,
            .maximum = 64 * 1024 * gigabyte,
            .field = at<memory, &C::Memory::max_models_size>},

    Setting{.name = "network.batch_size",
            .help = "Another name of engine.prefill_chunk.",
            .example = "256",
            .minimum = 1,
            .maximum = 8'192,
            .alias_of = "engine.prefill_chunk",
            .field = at<engine, &C::Engine::prefill_chunk>},

    Setting{.name = "images.count_max",
            .help = "Most images in one request to a model of this machine.",
            .example = "8",
            .minimum = 1,
            .maximum = 1'024,
            .field = at<images, &C::Images::count_max>},
    Setting{.name = "images.bytes_max",
            .help = "Largest file of an image.",
            .example = "20MB",
            .minimum = 1'024,
            .maximum = 32u << 20,
            .field = at<images, &C::Images::bytes_max>},
    Setting{.name = "images.pixels_max",
            .help = "Most pixels of an image, width times height: a small file may hold a huge "
                    "image.",
            .example = "50000000",
            .minimum = 1'024,
            .maximum = 1u << 28,
            .field = at<images, &C::Images::pixels_max>},
    Setting{.name = "images.remote",
            .help = "Fetch images that a request names by an https URL. Only public addresses are "
                    "connected to, and no redirect is followed. Otherwise such a request is "
                    "refused, and images come as data URLs.",
            .example = "true",
            .field = at<images, &C::Images::remote>},
    Setting{.name = "images.remote_timeout",
            .help = "How long fetching one image may take.",
            .example = "5s",
            .minimum = 100,
            .maximum = 600'000,
            .field = at<images, &C::Images::remote_timeout>},
};

}  // namespace

std::span<const Setting> engine_settings() {
  return table;
}

}  // namespace deepseek::server
