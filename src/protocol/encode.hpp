// The encoders: from events to what one client form has on the wire.
//
// Pure; one object per answer, used from its coroutine's thread. A streamed answer is made by a
// StreamEncoder, frame by frame; a whole one by an Answer that gathers events and a xxx_body()
// function. They never fail, and never emit invalid UTF-8.
#pragma once

#include "base/error.hpp"
#include "protocol/answer.hpp"
#include "protocol/request.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

// What is the same in every chunk of an answer.
struct AnswerHead {
  std::string id;            // as base::random_id("chatcmpl-") makes it; "cmpl-" for completions
  std::int64_t created = 0;  // seconds since 1970
  std::string model;         // the model's own id
  std::string system_fingerprint = {};
  // The client already has the beginning of this stream: no role, no echo, and `usage_before`, of
  // what came before, is part of the usage at the end.
  bool resumed = false;
  bool stored = false;  // of the Responses form: the client is told that its response is kept
  Usage usage_before = {};
  MessageBlocks blocks = {};  // of a resumed answer of Anthropic's form
};

// A response as JSON, and where in it the list of its output stands.
struct ResponseText {
  std::string id;
  std::string text;
  std::size_t output_begin = 0;
  std::size_t output_end = 0;
};

class StreamEncoder {
 public:
  virtual ~StreamEncoder() = default;

  // Appends the SSE frames of this event, one string each: none or one, and one more before it
  // at the start of a choice. Started alone makes no frame, so that a failure before the first
  // token can still be answered with its own status.
  virtual void on_event(const Event& event, std::vector<std::string>& frames) = 0;

  // After the last event: the usage frame if the client asked for it, and "data: [DONE]".
  virtual void finish(std::vector<std::string>& frames) = 0;

  // In place of finish(), when the stream broke: an error frame, after which the connection closes.
  virtual void fail(const base::Error& error, std::vector<std::string>& frames);

  // Of the Responses form, for who keeps it: the response as finish(), or fail() with this error,
  // will tell it. Empty in other forms.
  virtual ResponseText response_text(const base::Error* error) const;
  // The response could not be kept, and what follows says so.
  virtual void set_unstored() {}

  // The sum over all sequences that have finished, and AnswerHead::usage_before.
  const Usage& usage() const { return usage_; }

 protected:
  explicit StreamEncoder(const Usage& usage_before) : usage_(usage_before) {}

  Usage usage_;
};

// POST /v1/chat/completions
std::unique_ptr<StreamEncoder> make_chat_stream(const AnswerHead& head, const Request& request);
std::string chat_body(const AnswerHead& head, const Answer& answer);

// POST /v1/completions. For Operation::chat each choice carries `text` and `message` (in a stream
// `text` and `delta`), since programs in circulation read either.
std::unique_ptr<StreamEncoder> make_completions_stream(const AnswerHead& head,
                                                       const Request& request);
std::string completions_body(const AnswerHead& head, const Request& request, const Answer& answer);

// POST /api/v1/infer: {"id", "model", "answer", "finish_reason", "usage", "timings"}; streamed:
// frames {"delta": "…"}, then one with everything but the answer's text, then [DONE].
std::unique_ptr<StreamEncoder> make_infer_stream(const AnswerHead& head, const Request& request);
std::string infer_body(const AnswerHead& head, const Answer& answer);

// POST /generate: a JSON string; streamed: frames with JSON strings, then [DONE].
std::unique_ptr<StreamEncoder> make_generate_stream(const AnswerHead& head, const Request& request);
std::string generate_body(const Request& request, const Answer& answer);

// POST /v1/messages: a message; streamed: message_start, the blocks one after the other,
// message_delta with the usage, message_stop.
std::unique_ptr<StreamEncoder> make_messages_stream(const AnswerHead& head, const Request& request);
std::string messages_body(const AnswerHead& head, const Answer& answer);
// POST /v1/messages/count_tokens
std::string count_tokens_body(std::int64_t tokens);
// {"type": "error", "error": {"type", "message"}, "request_id"}, bounded and redacted; a `param` is
// part of the message.
std::string anthropic_error_body(const base::Error& error, std::string_view request_id);
std::string anthropic_error_frame(const base::Error& error, std::string_view request_id);

// POST /v1/responses: a response; streamed: its events from response.created to
// response.completed, response.incomplete or response.failed.
std::unique_ptr<StreamEncoder> make_responses_stream(const AnswerHead& head,
                                                     const Request& request);
ResponseText responses_body(const AnswerHead& head, const Request& request, const Answer& answer);

// GET /v1/models and /v1/models/{id}
struct ModelCard {
  std::string id;
  std::int64_t created = 0;
  std::string owned_by;
  std::string root = {};  // for an alias: the model it stands for
};
std::string models_body(std::span<const ModelCard> models);
std::string model_body(const ModelCard& model);

// POST /v1/embeddings: floats in their shortest exact form, or base64 of little-endian float32.
std::string embeddings_body(std::string_view model, std::span<const std::vector<float>> vectors,
                            std::int64_t prompt_tokens, bool base64);

// POST /v1/rerank: {"id", "object", "model", "results": [{"index", "relevance_score"}], "usage"};
// with the document's text if the request wants it.
struct RankedDocument {
  std::size_t index = 0;  // of the request's documents
  double score = 0;
  bool operator==(const RankedDocument&) const = default;
};
std::string rerank_body(const RerankRequest& request, std::string_view model,
                        std::span<const RankedDocument> results, std::int64_t prompt_tokens);

// POST /v1/tokenize: {"count", "max_model_len", "tokens"}; POST /v1/detokenize: {"prompt"}, in
// which bytes that are no UTF-8 are replaced.
std::string tokens_body(std::span<const std::int32_t> tokens, std::int64_t context_max);
std::string detokenized_body(std::string_view text);

// GET /user/balance, in DeepSeek's form. `balance` is as "110.00 CNY"; empty: no amount is told.
std::string balance_body(std::string_view balance, bool available);

// {"error": {"message", "type", "param", "code"}}; the message is bounded and redacted.
std::string error_body(const base::Error& error);
// With a code that the table of errors does not have, since one form alone has it.
std::string error_body(const base::Error& error, std::string_view code);
std::string error_frame(const base::Error& error);  // "data: {…}\n\n"

// Whose words an error comes in.
enum class ErrorForm { openai, anthropic };
std::string error_body(const base::Error& error, ErrorForm form, std::string_view request_id);
std::string error_frame(const base::Error& error, ErrorForm form, std::string_view request_id);

}  // namespace deepseek::protocol
