// How much one request may ask for. Each field is a setting of the section `limits` and has its
// name; a refusal names the setting.
//
// Pure value; filled from the configuration by server/ and handed to the decoders.
#pragma once

#include <cstddef>
#include <cstdint>

namespace deepseek::protocol {

struct RequestLimits {
  std::int64_t json_depth_max = 64;           // arrays and objects inside each other
  std::int64_t json_keys_max = 1024;          // keys of one object
  std::int64_t choices_max = 16;              // n
  std::int64_t stop_max = 16;                 // entries of `stop`
  std::int64_t stop_bytes_max = 512;          // bytes of one entry
  std::int64_t prompts_max = 128;             // entries of `prompt`
  std::int64_t sequences_max = 256;           // prompts × n
  std::int64_t prompt_tokens_max = 1 << 20;   // ids of one prompt given as tokens
  std::int64_t token_id_max = (1 << 24) - 1;  // largest id in such a prompt or in logit_bias
  std::int64_t logprobs_max = 20;             // alternatives per token
  std::int64_t messages_max = 4096;           // entries of `messages`
  std::int64_t parts_max = 1024;              // content parts of one message
  std::int64_t tool_calls_max = 128;          // tool calls of one message
  std::int64_t tokens_max = 1 << 20;          // max_tokens and its other names
  std::int64_t logit_bias_max = 1024;         // entries of `logit_bias`
  std::int64_t model_bytes_max = 256;         // `model`
  std::int64_t name_bytes_max = 256;          // `name`, `tool_call_id` and names of tools
  std::int64_t user_bytes_max = 512;          // `user`
  std::int64_t user_id_bytes_max = 512;       // `user_id`; DeepSeek's own bound
  std::int64_t embedding_inputs_max = 2048;   // entries of `input`
  std::int64_t data_bytes_max = 1 << 20;      // `data` of /api/v1/infer
  std::int64_t data_rows_max = 10'000;        // rows of a table in it, and entries of its lists
};

}  // namespace deepseek::protocol
