#include "protocol/rpc/rpc_message.hpp"

#include "protocol/json.hpp"
#include "protocol/quote.hpp"

#include <google/protobuf/message.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>
#include <limits>

namespace deepseek::protocol {
namespace {

namespace pb = google::protobuf;
using base::ErrorCode;

// protobuf says "(messages[0]) colour: Cannot find field." or "(messages[0].role): invalid value
// …", and leaves out the place at the top.
base::Error word_json_problem(std::string_view text) {
  std::string path;
  if (const auto end = text.find(')'); text.starts_with('(') && end != std::string_view::npos) {
    path = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
  }
  while (text.starts_with(' ') || text.starts_with(':')) text.remove_prefix(1);
  if (const auto mark = text.find(": Cannot find field"); mark != std::string_view::npos) {
    if (!path.empty()) path += '.';
    path += text.substr(0, mark);
    return base::make_error(ErrorCode::invalid_request,
                            quote_value(path) + " is no field of this request", path);
  }
  std::string message = path.empty() ? "the body is no such request: " : path + ": ";
  return base::make_error(ErrorCode::invalid_request, message + quote_value(text), path);
}

base::Result<void> read_json(std::string_view text, const RequestLimits& limits,
                             pb::Message& message) {
  if (text.empty()) return {};
  const auto object = parse_json_object(text, limits);
  if (object.has_error()) return object.error();
  pb::util::JsonParseOptions options;
  options.ignore_unknown_fields = false;
  const auto status = pb::util::JsonStringToMessage({text.data(), text.size()}, &message, options);
  if (!status.ok()) {
    const auto problem = status.message();
    return word_json_problem({problem.data(), problem.size()});
  }
  return {};
}

}  // namespace

base::Result<void> read_rpc(RpcCodec codec, std::string_view bytes, const RequestLimits& limits,
                            pb::Message& message) {
  if (codec == RpcCodec::json) return read_json(bytes, limits, message);
  const pb::LogSilencer silent;  // the caller is told what is wrong, and nobody else
  constexpr auto size_max = static_cast<std::size_t>(std::numeric_limits<int>::max());
  if (bytes.size() > size_max ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::make_error(ErrorCode::invalid_request, "the bytes are no message of the type " +
                                                            message.GetDescriptor()->full_name() +
                                                            ", or a string in it is not UTF-8");
  }
  return {};
}

std::string write_rpc(RpcCodec codec, const pb::Message& message) {
  if (codec == RpcCodec::binary) return message.SerializeAsString();
  pb::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  [[maybe_unused]] const auto status = pb::util::MessageToJsonString(message, &text, options);
  return text;
}

std::string write_rpc_piece(RpcCodec codec, const pb::Message& message) {
  if (codec == RpcCodec::json) return "data: " + write_rpc(codec, message) + "\n\n";
  constexpr std::size_t prefix = 5;  // not compressed; the length in four bytes
  const std::size_t size = message.ByteSizeLong();
  std::string piece(prefix, '\0');
  for (int i = 0; i < 4; ++i) {
    piece[static_cast<std::size_t>(4 - i)] = static_cast<char>((size >> (8 * i)) & 0xFF);
  }
  piece.reserve(prefix + size);
  message.AppendToString(&piece);
  return piece;
}

}  // namespace deepseek::protocol
