// libFuzzer target over everything that reads bytes from clients in protocol/: all decoders, the
// query string of /generate, the SSE reader, and the encoders of errors. The first byte picks the
// decoder, so that one corpus serves all.
#include "check.hpp"

#include "base/utf8.hpp"
#include "protocol/decode.hpp"
#include "protocol/encode.hpp"
#include "protocol/json.hpp"
#include "protocol/json_quick.hpp"
#include "protocol/openai_body.hpp"
#include "protocol/responses_items.hpp"
#include "protocol/rpc/rpc_decode.hpp"
#include "protocol/sse.hpp"

#include <cstddef>
#include <cstdint>

namespace {

using namespace deepseek;
using namespace deepseek::protocol;

// Whatever was refused must be worded as valid JSON that a client can read.
void check_error(const base::Error& error) {
  const std::string body = error_body(error);
  check(base::is_valid_utf8(body));
  check(body.size() < 8192);
  check(parse_json(body, RequestLimits()).has_value());
  check(base::describe(error.code).http_status == 400);
}

// What was accepted keeps the limits, and can be encoded.
void check_request(const Request& request, const RequestLimits& limits) {
  check(request.choices >= 1 && request.choices <= limits.choices_max);
  check(static_cast<std::int64_t>(request.sequence_count()) <= limits.sequences_max);
  check(static_cast<std::int64_t>(request.stop.size()) <= limits.stop_max);
  // An echoed prompt may be all that is wanted.
  check(!request.tokens_max || *request.tokens_max >= (request.echo ? 0 : 1));
  check(!request.sampling.temperature ||
        (*request.sampling.temperature >= 0 && *request.sampling.temperature <= 2));
  check(request.unknown_fields.size() <= 32);
  check(parse_json(openai_body(request), RequestLimits()).has_value());
  Answer answer(request);
  answer.add(Delta{0, "text", "", {}, {}});
  answer.add(Finished());
  const std::string body = completions_body({"id", 0, "model"}, request, answer);
  check(parse_json(body, RequestLimits()).has_value());
  answer.add(ToolCallDelta{0, 0, "call", "name", "{\"half"});
  check(parse_json(messages_body({"id", 0, "model"}, answer), RequestLimits()).has_value());
  check(parse_json(chat_body({"id", 0, "model"}, answer), RequestLimits()).has_value());
  const ResponseText response = responses_body({"id", 0, "model"}, request, answer);
  check(parse_json(response.text, {}).has_value());
  Request next;
  const EarlierItems said{
      {},
      std::string_view(response.text)
          .substr(response.output_begin, response.output_end - response.output_begin)};
  check(put_before(next, false, std::span(&said, 1), limits).has_value());
}

void finish(const base::Result<Request>& result, const RequestLimits& limits) {
  if (result) {
    check_request(*result, limits);
  } else {
    check_error(result.error());
  }
}

// "name=value&name=value" without percent signs: the frontend has decoded them.
std::vector<QueryPair> pairs_of(std::string_view text) {
  std::vector<QueryPair> pairs;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    pairs.emplace_back(pair.substr(0, equals), value);
  }
  return pairs;
}

// The same bytes in two cuts must give the same events.
void read_sse(std::string_view text) {
  std::vector<SseEvent> whole, cut;
  SseReader first, second;
  const bool whole_ok = first.push(text, whole).has_value();
  bool cut_ok = true;
  for (std::size_t i = 0; i < text.size() && cut_ok; i += 3) {
    cut_ok = second.push(text.substr(i, 3), cut).has_value();
  }
  check(whole_ok == cut_ok);
  check(whole == cut);
}

// The quick half of the parser accepts nothing that the careful one refuses, and reads it as it
// does. Numbers with a fraction may differ in their last bit.
void compare_parsers(std::string_view text) {
  const RequestLimits limits;
  const auto quick = parse_json_quickly(text, limits);
  if (!quick) return;
  const auto careful = parse_json_carefully(text, limits);
  check(careful.has_value());
  if (text.find_first_of(".eE") == std::string_view::npos) check(*quick == *careful);
}

// What was accepted and is kept can be gone on with.
void put_again(const ResponsesFields& fields, const RequestLimits& limits) {
  check(fields.stored || fields.input_items.empty());
  const std::string kept = stored_items("resp_1", fields.input_items);
  const EarlierItems items{kept, {}};
  Request next;
  check(put_before(next, false, std::span(&items, 1), limits).has_value());
  check(items_body(std::span(&items, 1), {}).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const RequestLimits limits;
  const DecodeContext context{limits};
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  compare_parsers(text);
  switch (data[0] % 13) {
    case 0:
      finish(decode_chat(text, context), limits);
      break;
    case 1:
      finish(decode_completions(text, context), limits);
      break;
    case 2:
      finish(decode_infer(text, context), limits);
      break;
    case 3:
      finish(decode_generate(text, {}, context), limits);
      break;
    case 4:
      finish(decode_generate("", pairs_of(text), context), limits);
      break;
    case 5: {
      const auto result = decode_embeddings(text, context);
      if (!result) check_error(result.error());
      break;
    }
    case 6:
      read_sse(text);
      break;
    case 8:
      finish(decode_messages(text, context), limits);
      break;
    case 9: {
      ResponsesFields fields;
      const auto result = decode_responses(text, {limits, {}, {}, &fields});
      finish(result, limits);
      if (result) put_again(fields, limits);
      break;
    }
    case 10:
      finish(decode_rpc_answer(RpcMethod::chat, RpcCodec::json, text, context), limits);
      break;
    case 11:
      finish(decode_rpc_answer(RpcMethod::chat, RpcCodec::binary, text, context), limits);
      break;
    case 12:
      finish(decode_rpc_answer(RpcMethod::generate, RpcCodec::binary, text, context), limits);
      break;
    default: {
      const auto result = decode_rerank(text, context);
      if (!result) {
        check_error(result.error());
      } else {
        check(result->documents() >= 1 && result->results_max <= result->documents());
      }
    }
  }
  return 0;
}
