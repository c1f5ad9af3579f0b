// The neutral request: what every client form (OpenAI, DeepSeek, Anthropic, infer, generate) is
// decoded into and every backend is asked for.
//
// Pure values; moved from the decoder to the gateway, owned by the request's coroutine.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace deepseek::protocol {

enum class Role { system, user, assistant, tool, developer };

std::string_view to_string(Role role);

struct TextPart {
  std::string text;
};
struct ImagePart {
  std::string
      url;  // A data: or https: URL; nobody fetches it before a backend that can see is chosen.
  std::string detail = {};  // low, high, auto; as the client wrote it
};
using ContentPart = std::variant<TextPart, ImagePart>;

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON as text, as the wire has it.
};

struct Message {
  Role role = Role::user;
  std::vector<ContentPart> content;
  std::string name;
  std::string reasoning_content;
  std::vector<ToolCall> tool_calls;
  std::string tool_call_id;
  bool prefix =
      false;  // DeepSeek's prefix completion: the answer continues this assistant message.
  bool tool_failed = false;  // Role::tool: what the tool says is why it failed
  // Anthropic's proof that the reasoning is its model's, and reasoning that only it can read. They
  // mean nothing to any other form.
  std::string reasoning_signature = {};
  std::vector<std::string> redacted_reasoning = {};

  // All text parts joined, in order.
  std::string text() const;
};

// A function that the model may ask the client to call.
struct Tool {
  std::string name;
  std::string description;
  std::string parameters;  // JSON Schema as text; empty: it takes no arguments
  bool strict = false;     // arguments are always valid against the schema
};

struct ToolChoice {
  enum class Kind { automatic, none, required, named };
  Kind kind = Kind::automatic;
  std::string name;  // of the one that must be called
};

// What the text of an answer must be, whatever the model would rather say.
struct Constraint {
  enum class Kind { none, json_object, json_schema, grammar, regex, choice };
  Kind kind = Kind::none;
  std::string text;                  // the schema as JSON, the grammar as EBNF, the expression
  std::vector<std::string> choices;  // Kind::choice: one of these
  std::string param;                 // the client's field, for refusals
  std::string name = {};             // Kind::json_schema: what the client calls it; often empty
  bool strict = true;                // Kind::json_schema: held to, or only shown to the model
};

using TokenIds = std::vector<std::int32_t>;
using Prompt = std::variant<std::string, TokenIds>;

// Unset means: the backend's and the model's own default.
struct Sampling {
  std::optional<double> temperature;         // [0, 2]
  std::optional<double> top_p;               // (0, 1]
  std::optional<double> min_p;               // [0, 1]
  std::optional<std::int32_t> top_k;         // ≥ 0; 0 is off
  std::optional<double> frequency_penalty;   // [-2, 2]
  std::optional<double> presence_penalty;    // [-2, 2]
  std::optional<double> repetition_penalty;  // (0, 2]
  std::optional<std::uint64_t> seed;
  std::map<std::int32_t, double> logit_bias;  // token id → [-100, 100]
  bool ignore_eos = false;
};

enum class Operation { chat, completion };

// Whose form the client speaks. Bytes of an upstream may pass to the client unchanged only where
// both speak the same one: OpenAI's for the first two, Anthropic's for `messages`. Only there is
// Request::raw_body a body that such an upstream may get.
enum class ClientForm { chat, completions, messages, other };

constexpr bool speaks_openai(ClientForm form) {
  return form == ClientForm::chat || form == ClientForm::completions;
}

// What not every backend can do. A decoder notes each use; local_support.hpp refuses what engines
// of this machine lack.
enum class Feature {
  tools,
  hosted_tools,  // tools that are no functions: they run at the provider
  functions,
  response_format,
  audio,
  images,
  suffix,
  web_search,
  best_of,
  echo_logprobs,  // echo together with logprobs
  echo_tokens,    // echo of a prompt that was given as token ids
};

std::string_view to_string(Feature feature);

struct FeatureUse {
  Feature feature;
  std::string param;  // where, as "messages[0].content[1]"
};

struct Request {
  Operation operation = Operation::chat;
  ClientForm form = ClientForm::other;
  // The client's body, which the decoder has read and found valid; set by the frontend after it.
  // Empty for a request that did not come as JSON over HTTP.
  std::string raw_body;
  std::string model;                      // As the client named it; empty until a default is taken.
  std::vector<Message> messages;          // Operation::chat
  std::vector<Prompt> prompts;            // Operation::completion: one or several
  std::string prompt_field = "messages";  // the client's name of the field that holds it
  Sampling sampling;
  std::optional<std::int32_t> tokens_max;  // max_tokens, max_completion_tokens, max_new_tokens
  bool tokens_max_assumed = false;         // the client gave none: it is the form's own default
  std::vector<std::string> stop;
  std::int32_t choices = 1;  // n; each prompt gets as many answers
  std::optional<std::int32_t>
      logprobs;  // number of alternatives per token; 0 means only the token's own
  bool stream = false;
  bool stream_usage = false;  // stream_options.include_usage
  bool echo = false;
  std::string suffix;   // Operation::completion: the answer stands between the prompt and this
  std::string user;     // opaque, from the client
  std::string user_id;  // DeepSeek's: isolates cache and fairness per end user; ≤ 512 bytes
  std::string id;       // our request id, set by the frontend
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  bool parallel_tool_calls = true;
  Constraint constraint;
  std::optional<bool> thinking;  // DeepSeek's thinking.type; unset: the model's default
  std::string reasoning_effort;  // as the client wrote it: low, high, max …; or empty
  std::optional<std::int32_t> thinking_tokens;  // Anthropic's budget_tokens
  std::string response_echo;  // of the Responses form: what its answer repeats, as JSON to the end
  std::vector<FeatureUse> features;  // in the order of the body, each feature once
  // Names of fields that nobody here knows, the first 32: an upstream gets only those that its
  // configuration allows.
  std::vector<std::string> unknown_fields;

  bool uses(Feature feature) const;

  // How many answers the client will see.
  std::size_t sequence_count() const {
    const std::size_t inputs = operation == Operation::chat ? 1 : prompts.size();
    return inputs * static_cast<std::size_t>(choices);
  }
};

// The backend tells the prompt itself, with its logprobs or from its tokens; the form that the
// client speaks puts nothing in front.
bool echo_is_told(const Request& request);

// What POST /v1/embeddings asks for, or the texts of POST /v1/rerank.
struct EmbeddingRequest {
  std::string model;
  std::vector<Prompt> inputs;
  // The first input is a question: how well do the others answer it?
  bool ranks = false;
  bool base64 = false;
  std::optional<std::int32_t> dimensions;
  std::string user;
  std::string id;
};

// What POST /v1/rerank asks for.
struct RerankRequest {
  EmbeddingRequest texts;  // the question, then the documents
  std::size_t results_max = 0;
  bool returns_documents = false;

  std::size_t documents() const { return texts.inputs.size() - 1; }
  const std::string& document(std::size_t index) const {
    return std::get<std::string>(texts.inputs[index + 1]);
  }
};

// What POST /v1/tokenize, /v1/detokenize and a count of tokens ask for.
struct TokenizeRequest {
  // A text or chat becomes tokens, tokens become text.
  std::variant<std::string, Request, TokenIds> input;
  std::string model;
  std::string id;
  bool add_special = true;  // the model's own begin token, before a text
  bool counts = false;      // only the number of tokens is asked for
};

}  // namespace deepseek::protocol
