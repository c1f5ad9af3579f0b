// The client forms that ask for an answer: which decoder reads a request of each, and which encoder
// writes its answer.
//
// Pure. One place, so that the coroutine that runs an answer knows no form.
#pragma once

#include "base/result.hpp"
#include "frontend/endpoint_table.hpp"
#include "io/http_message.hpp"
#include "protocol/decode.hpp"
#include "protocol/encode.hpp"

#include <memory>
#include <string>

namespace deepseek::frontend {

// `endpoint` is chat, completions, infer, generate, messages, responses, rpc_json or rpc_binary in
// all of these.
base::Result<protocol::Request> decode_request(Endpoint endpoint, const io::HttpRequest& request,
                                               const protocol::DecodeContext& context);

// A new id of the form's kind, the time, and the model's own name.
protocol::AnswerHead make_answer_head(Endpoint endpoint, std::string model);

std::unique_ptr<protocol::StreamEncoder> make_stream_encoder(Endpoint endpoint,
                                                             const protocol::AnswerHead& head,
                                                             const protocol::Request& request);

std::string answer_body(Endpoint endpoint, const protocol::AnswerHead& head,
                        const protocol::Request& request, const protocol::Answer& answer);

}  // namespace deepseek::frontend
