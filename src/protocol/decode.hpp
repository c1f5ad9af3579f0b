// The decoders: from the bytes of a body to a neutral request, or an error with its `param`.
//
// Pure and thread-safe; linear in the size of the body. The content type is the frontend's
// business: a body is always read as JSON. Each form has its own .cpp: openai_chat.cpp,
// completions.cpp, infer.cpp, generate.cpp, embeddings.cpp, rerank.cpp, tokenize.cpp.
#pragma once

#include "base/result.hpp"
#include "protocol/request.hpp"
#include "protocol/request_limits.hpp"

#include <boost/json/fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepseek::protocol {

// What the Responses form has beside the request that it is read as.
struct ResponsesFields {
  bool instructed = false;  // the first message are the instructions, which are no item
  bool stored = false;      // the client wants its response kept
  std::string previous_id;  // the response that this one goes on from; or empty
  // The client's new items, each the rest of a JSON object behind its id; only if they are stored.
  std::vector<std::string> input_items;
};

struct DecodeContext {
  const RequestLimits& limits;
  std::string_view header_model =
      {};                            // the DeepSeek-Model header; taken if the body names no model
  std::string_view request_id = {};  // becomes Request::id
  // Where decode_responses() puts what only it reads; null: this server keeps no responses.
  ResponsesFields* responses = nullptr;
};

// POST /v1/chat/completions. Errors: invalid_request. What not every backend can do (tools, images
// …) is checked in shape, noted in Request::features, and refused by the backend that cannot.
base::Result<Request> decode_chat(std::string_view body, const DecodeContext& context);

// POST /v1/completions. With `messages` in place of `prompt` the result is Operation::chat, which
// completions_body() and make_completions_stream() answer in both forms. Without max_tokens the
// prompt form makes 16 tokens, as OpenAI documents it. Here and in the two forms below, messages
// may hold images, but tools and the like are not_implemented: they need the chat form.
base::Result<Request> decode_completions(std::string_view body, const DecodeContext& context);

// POST /api/v1/infer: {"query": "…", "system": "…", …} becomes a chat with one question.
base::Result<Request> decode_infer(std::string_view body, const DecodeContext& context);

// POST /generate: `query` holds the decoded pairs of the query string, in order. The body may be
// empty, or a JSON object; a field may be given in one of the two only. A raw completion of 256
// tokens unless max_new_tokens or max_tokens says otherwise.
using QueryPair = std::pair<std::string, std::string>;
base::Result<Request> decode_generate(std::string_view body, std::span<const QueryPair> query,
                                      const DecodeContext& context);

// POST /v1/messages, Anthropic's form: always Operation::chat. A last message of the assistant is
// one that the answer continues. Blocks and tools that only the provider could serve are
// not_implemented, with their path.
base::Result<Request> decode_messages(std::string_view body, const DecodeContext& context);
// POST /v1/messages/count_tokens: the same body, which needs no max_tokens.
base::Result<Request> decode_count_tokens(std::string_view body, const DecodeContext& context);

// POST /v1/responses: items become messages. Always Operation::chat. What goes on from an earlier
// response needs put_before() of responses_items.hpp afterwards. Tools that run at the provider are
// not_implemented, with their path; so is an earlier response where the server keeps none.
base::Result<Request> decode_responses(std::string_view body, const DecodeContext& context);

// POST /v1/embeddings.
base::Result<EmbeddingRequest> decode_embeddings(std::string_view body,
                                                 const DecodeContext& context);

// POST /v1/rerank, in the form that Jina and Cohere share: `query`, `documents` (strings, or
// objects with `text`), `top_n`, `return_documents`.
base::Result<RerankRequest> decode_rerank(std::string_view body, const DecodeContext& context);

// The same three from the object that their body holds, for forms that are no JSON on the wire.
base::Result<Request> decode_chat_object(const boost::json::object& object,
                                         const DecodeContext& context);
base::Result<Request> decode_completions_object(const boost::json::object& object,
                                                const DecodeContext& context);
base::Result<EmbeddingRequest> decode_embeddings_object(const boost::json::object& object,
                                                        const DecodeContext& context);

// POST /v1/tokenize, in vLLM's form: `prompt`, a text, or `messages` with what else a chat's prompt
// is made of (`tools`, `thinking`).
base::Result<TokenizeRequest> decode_tokenize(std::string_view body, const DecodeContext& context);

// POST /v1/detokenize: `tokens`.
base::Result<TokenizeRequest> decode_detokenize(std::string_view body,
                                                const DecodeContext& context);

}  // namespace deepseek::protocol
