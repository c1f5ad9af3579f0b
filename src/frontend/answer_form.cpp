#include "frontend/answer_form.hpp"

#include "base/clock.hpp"
#include "base/id.hpp"
#include "frontend/rpc_routes.hpp"
#include "protocol/rpc/rpc_encode.hpp"

#include <array>
#include <charconv>
#include <cstdint>

namespace deepseek::frontend {
namespace {

// Tells clients that answers come from the same model as before: FNV-1a (64 bits) of its name.
std::string fingerprint(std::string_view model) {
  std::uint64_t hash = 14695981039346656037U;
  for (const char c : model) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), hash, 16).ptr;
  return "fp_" + std::string(digits.data(), end);
}

}  // namespace

base::Result<protocol::Request> decode_request(Endpoint endpoint, const io::HttpRequest& request,
                                               const protocol::DecodeContext& context) {
  if (is_rpc(endpoint)) return decode_rpc_request(endpoint, request, context);
  if (endpoint == Endpoint::generate) {
    const auto query = io::parse_query(request.query);
    return protocol::decode_generate(request.body, query, context);
  }
  if (request.body.empty()) {
    return base::make_error(base::ErrorCode::invalid_request,
                            "the request has no body; send a JSON object");
  }
  switch (endpoint) {
    case Endpoint::completions:
      return protocol::decode_completions(request.body, context);
    case Endpoint::infer:
      return protocol::decode_infer(request.body, context);
    case Endpoint::messages:
      return protocol::decode_messages(request.body, context);
    case Endpoint::responses:
      return protocol::decode_responses(request.body, context);
    default:
      return protocol::decode_chat(request.body, context);
  }
}

protocol::AnswerHead make_answer_head(Endpoint endpoint, std::string model) {
  std::string_view prefix = "chatcmpl-";
  if (endpoint == Endpoint::completions || endpoint == Endpoint::generate) prefix = "cmpl-";
  if (endpoint == Endpoint::infer) prefix = "infer-";
  if (endpoint == Endpoint::responses) prefix = "resp_";
  if (endpoint == Endpoint::messages) prefix = "msg_";
  protocol::AnswerHead head;
  head.id = base::random_id(prefix);
  head.created = base::unix_seconds();
  head.system_fingerprint = fingerprint(model);
  head.model = std::move(model);
  return head;
}

std::unique_ptr<protocol::StreamEncoder> make_stream_encoder(Endpoint endpoint,
                                                             const protocol::AnswerHead& head,
                                                             const protocol::Request& request) {
  switch (endpoint) {
    case Endpoint::completions:
      return protocol::make_completions_stream(head, request);
    case Endpoint::infer:
      return protocol::make_infer_stream(head, request);
    case Endpoint::messages:
      return protocol::make_messages_stream(head, request);
    case Endpoint::responses:
      return protocol::make_responses_stream(head, request);
    case Endpoint::generate:
      return protocol::make_generate_stream(head, request);
    case Endpoint::rpc_json:
    case Endpoint::rpc_binary:
      return protocol::make_rpc_stream(rpc_codec(endpoint), head, request);
    default:
      return protocol::make_chat_stream(head, request);
  }
}

std::string answer_body(Endpoint endpoint, const protocol::AnswerHead& head,
                        const protocol::Request& request, const protocol::Answer& answer) {
  switch (endpoint) {
    case Endpoint::completions:
      return protocol::completions_body(head, request, answer);
    case Endpoint::infer:
      return protocol::infer_body(head, answer);
    case Endpoint::messages:
      return protocol::messages_body(head, answer);
    case Endpoint::responses:
      return protocol::responses_body(head, request, answer).text;
    case Endpoint::generate:
      return protocol::generate_body(request, answer);
    case Endpoint::rpc_json:
    case Endpoint::rpc_binary:
      return protocol::rpc_answer_body(rpc_codec(endpoint), head, request, answer);
    default:
      return protocol::chat_body(head, answer);
  }
}

}  // namespace deepseek::frontend
