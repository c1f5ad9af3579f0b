// libFuzzer target over what reads a client's bytes in io/ before anything else: the head scanner,
// the head parser, the chunked decoder, and the query decoder. Checks that the outcome does not
// depend on how the bytes are sliced, and that what is accepted keeps the rules of framing.
#include "check.hpp"

#include "base/utf8.hpp"
#include "io/chunked_decoder.hpp"
#include "io/http_head.hpp"
#include "io/http_response_writer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using namespace deepseek;
using namespace deepseek::io;

constexpr std::size_t fields_max = 20;
constexpr std::uint64_t body_max = 512;

void check_head(const HttpHead& head) {
  const HttpRequest& request = head.request;
  check(is_token(request.method));
  check(!request.target.empty() && (request.target[0] == '/' || request.target == "*"));
  check(request.target.find('#') == std::string::npos);
  check(std::all_of(request.path.begin(), request.path.end(),
                    [](char c) { return c > ' ' && c < 0x7f; }));
  check(base::is_valid_utf8(request.query) && is_field_value(request.query));
  check(request.fields.size() <= fields_max);
  check(request.fields.count("host") <= 1);
  check(request.fields.count("content-length") + request.fields.count("transfer-encoding") <= 1);
  check(head.framing != BodyFraming::chunked || head.minor_version == 1);
  for (const auto& [name, value] : request.fields) check(is_token(name) && is_field_value(value));
  parse_query(request.query);
  // What was read can be written without breaking a line.
  HttpResponse response;
  response.fields = request.fields;
  std::string out;
  check(append_response_head(response, {}, out).has_value());
}

void check_refusal(const HttpRefusal& refusal) {
  const int status =
      refusal.status != 0 ? refusal.status : base::describe(refusal.error.code).http_status;
  check(status == 400 || status == 417 || status == 431 || status == 505);
  check(!refusal.error.message.empty());
}

void fuzz_head(std::string_view bytes) {
  HeadScanner at_once;
  const HeadScanner::Status status = at_once.scan(bytes);
  HeadScanner stepwise;
  HeadScanner::Status last = HeadScanner::Status::incomplete;
  for (std::size_t size = 1; size <= bytes.size() && last == HeadScanner::Status::incomplete;
       ++size) {
    last = stepwise.scan(bytes.substr(0, size));
  }
  check(last == status);
  if (status != HeadScanner::Status::complete) return;
  check(at_once.size() == stepwise.size() && at_once.size() <= bytes.size());
  const HeadResult head = parse_head(bytes.substr(0, at_once.size()), fields_max);
  if (head) {
    check_head(*head);
  } else {
    check_refusal(head.error());
  }
}

struct Decoded {
  ChunkedDecoder::Status status = ChunkedDecoder::Status::need_more;
  std::string body;
  std::size_t taken = 0;
};

Decoded decode(std::string_view bytes, std::size_t step) {
  Decoded out;
  ChunkedDecoder decoder(body_max);
  while (!bytes.empty() && out.status == ChunkedDecoder::Status::need_more) {
    std::string_view piece = bytes.substr(0, step);
    const std::size_t before = piece.size();
    out.status = decoder.decode(piece, out.body);
    out.taken += before - piece.size();
    bytes.remove_prefix(before - piece.size());
  }
  return out;
}

void fuzz_chunked(std::string_view bytes) {
  const Decoded whole = decode(bytes, bytes.size() + 1);
  const Decoded single = decode(bytes, 1);
  check(whole.status == single.status && whole.body == single.body && whole.taken == single.taken);
  check(whole.body.size() <= body_max);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // A head that nobody scanned must be refused or read, never crash.
  const HeadResult unscanned = parse_head(bytes, fields_max);
  if (unscanned) check_head(*unscanned);
  fuzz_head(bytes);
  fuzz_chunked(bytes);
  return 0;
}
