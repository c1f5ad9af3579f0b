// A request message as the JSON object that the decoders of this room read.
//
// Pure; private to this folder. Only what is set is in the object.
#pragma once

#include "base/result.hpp"
#include "protocol/request_limits.hpp"

#include <boost/json/object.hpp>
#include <string>

namespace deepseek::v1 {
class ChatRequest;
class EmbedRequest;
class GenerateRequest;
}  // namespace deepseek::v1

namespace deepseek::protocol {

// Errors: invalid_request, for what the object has no place for.
base::Result<boost::json::object> rpc_tree(const v1::ChatRequest& request,
                                           const RequestLimits& limits);
base::Result<boost::json::object> rpc_tree(const v1::GenerateRequest& request,
                                           const RequestLimits& limits);
base::Result<boost::json::object> rpc_tree(const v1::EmbedRequest& request,
                                           const RequestLimits& limits);

// The decoders name fields of the object; this is the message's own name of one.
std::string rpc_param(const std::string& param);

}  // namespace deepseek::protocol
