#include "protocol/upstream_error.hpp"

#include "base/utf8.hpp"
#include "protocol/quote.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace deepseek::protocol {
namespace {

using base::ErrorCode;
using std::chrono::milliseconds;

constexpr std::size_t body_bytes_max = 64 << 10;  // longer ones are no error bodies
constexpr std::size_t message_bytes_max = 512;
constexpr std::size_t param_bytes_max = 128;
constexpr milliseconds retry_after_max = std::chrono::hours(24);

// What an error object says, in the forms that are in use.
struct Words {
  JsonText message, code, type, param;
};

// Reads one object, and returns the value of its `error` if that is an object itself.
std::string_view read_words(JsonScanner& scanner, Words& words) {
  JsonText key, text;
  std::string_view inner;
  scanner.enter_object();
  while (scanner.next_key(key)) {
    if (scanner.peek() != '"') {
      const std::string_view value = scanner.value();
      if (key.is("error") && value.starts_with('{')) inner = value;
    } else if (scanner.string(text)) {
      // FastAPI's servers say `detail`; in some, `error` is the message itself.
      if (key.is("message") || key.is("detail") || key.is("error")) words.message = text;
      if (key.is("code")) words.code = text;
      if (key.is("type")) words.type = text;
      if (key.is("param")) words.param = text;
    }
  }
  return inner;
}

Words words_of(std::string_view body) {
  Words words;
  if (body.size() > body_bytes_max || !base::is_valid_utf8(body)) return words;
  JsonScanner scanner(body);
  if (scanner.peek() == '"') {
    scanner.string(words.message);  // the value of {"error": "…"}
    return scanner.finished() ? words : Words();
  }
  const std::string_view inner = read_words(scanner, words);
  if (!scanner.finished()) return {};
  if (!inner.empty()) {
    words = {};
    JsonScanner error(inner);
    read_words(error, words);
  }
  return words;
}

// "<p", "</p", "<!": the start of a tag.
bool looks_like_html(std::string_view text) {
  for (std::size_t at = text.find('<'); at < text.size(); at = text.find('<', at + 1)) {
    const char next = at + 1 < text.size() ? text[at + 1] : ' ';
    const bool letter = (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z');
    if (letter || next == '/' || next == '!') return true;
  }
  return false;
}

std::string mask(std::string_view text, std::string_view secret) {
  constexpr std::size_t secret_bytes_min = 4;  // shorter ones are no secrets, but parts of words
  if (secret.size() < secret_bytes_min) return std::string(text);
  std::string out;
  for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret)) {
    out += text.substr(0, at);
    out += "***";
    text.remove_prefix(at + secret.size());
  }
  out += text;
  return out;
}

// What may be repeated of an upstream's text; empty if nothing.
std::string repeatable(const JsonText& text, std::string_view key, std::size_t bytes_max) {
  std::string out = text.text();
  if (looks_like_html(out)) return {};
  out = mask(out, key);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  // Redacted before it is cut, so that no cut hides the shape of a key.
  out = redact(utf8_prefix(out, 4 * bytes_max));
  return std::string(utf8_prefix(out, bytes_max));
}

std::string with_words(std::string text, const std::string& words) {
  if (!words.empty()) text += ": " + words;
  return text;
}

bool is_about_length(const Words& words, std::string_view message) {
  return words.code.is("context_length_exceeded") || words.type.is("exceed_context_size_error") ||
         message.find("maximum context length") != std::string_view::npos ||
         message.starts_with("prompt is too long") ||
         message.find("exceed context limit") != std::string_view::npos;
}

std::optional<int> two_digits(std::string_view text, std::size_t at) {
  int number = 0;
  for (const char c : text.substr(at, 2)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

// "Sun, 06 Nov 1994 08:49:37 GMT" in seconds since 1970; the older forms of RFC 9110 are not read.
std::optional<std::int64_t> parse_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 29 || !text.ends_with(" GMT")) return std::nullopt;
  const auto* month = std::find(months.begin(), months.end(), text.substr(8, 3));
  const auto day = two_digits(text, 5), century = two_digits(text, 12), year = two_digits(text, 14);
  const auto hour = two_digits(text, 17), minute = two_digits(text, 20);
  const auto second = two_digits(text, 23);
  if (month == months.end() || !day || !century || !year || !hour || !minute || !second) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date(
      std::chrono::year(*century * 100 + *year),
      std::chrono::month(static_cast<unsigned>(month - months.begin()) + 1),
      std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return std::int64_t{days} * 86400 + *hour * 3600 + *minute * 60 + *second;
}

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool all = end.ec == std::errc() && end.ptr == text.data() + text.size();
  return all && number >= 0 ? std::optional(number) : std::nullopt;
}

milliseconds bounded_wait(double wait_ms) {
  const auto most = static_cast<double>(retry_after_max.count());
  return milliseconds(static_cast<std::int64_t>(std::ceil(std::min(wait_ms, most))));
}

}  // namespace

std::optional<milliseconds> parse_retry_after(std::string_view retry_after,
                                              std::string_view retry_after_ms,
                                              std::int64_t unix_now) {
  if (const auto wait_ms = parse_number(retry_after_ms)) return bounded_wait(*wait_ms);
  if (const auto seconds = parse_number(retry_after)) return bounded_wait(*seconds * 1000);
  if (const auto date = parse_date(retry_after)) {
    return bounded_wait(static_cast<double>(std::max<std::int64_t>(*date - unix_now, 0)) * 1000);
  }
  return std::nullopt;
}

base::Error parse_upstream_error(int status, std::string_view body,
                                 std::optional<milliseconds> retry_after, std::string_view key) {
  const Words words = words_of(body);
  const std::string said = repeatable(words.message, key, message_bytes_max);
  const std::string number = "(" + std::to_string(status) + ")";
  const auto make = [](ErrorCode code, std::string message) {
    return base::make_error(code, std::move(message));
  };
  base::Error error;
  switch (status) {
    case 400:
    case 422: {
      const bool length = is_about_length(words, said);
      const ErrorCode code = status == 422 ? ErrorCode::unprocessable : ErrorCode::invalid_request;
      error = make(length ? ErrorCode::context_length : code,
                   said.empty() ? "the upstream refused the request " + number : said);
      error.param = repeatable(words.param, key, param_bytes_max);
      return error;
    }
    case 401:
    case 403:
      return make(ErrorCode::upstream_failed,
                  "the upstream refused the key that is configured for it " + number);
    case 402:
      return make(ErrorCode::upstream_failed,
                  "the account that is configured for the upstream has no balance left " + number);
    case 404:
      if (said.empty()) break;
      error = make(ErrorCode::model_not_found, said);
      error.param = "model";
      return error;
    case 413:
      return make(ErrorCode::payload_too_large,
                  with_words("the request is too large for the upstream " + number, said));
    case 429:
      error = make(ErrorCode::rate_limited, "the upstream takes no more requests now " + number);
      error.retry_after = retry_after;
      return error;
    case 503:
    case 529:
      error =
          make(ErrorCode::unavailable, with_words("the upstream is overloaded " + number, said));
      error.retry_after = retry_after;
      return error;
    default:
      break;
  }
  return make(ErrorCode::upstream_failed, with_words("the upstream failed " + number, said));
}

std::string upstream_error_type(std::string_view error) {
  const std::string type = words_of(error).type.text();
  return std::string(utf8_prefix(type, param_bytes_max));
}

base::Error upstream_chunk_error(const UpstreamChunk& chunk, std::string_view key) {
  if (chunk.error.empty()) {
    std::string reason;
    for (const UpstreamChoice& choice : chunk.choices) {
      if (reason.empty()) reason = repeatable(choice.finish_text, key, param_bytes_max);
    }
    return base::make_error(ErrorCode::upstream_failed,
                            with_words("the upstream broke its answer off", reason));
  }
  const std::string said = repeatable(words_of(chunk.error).message, key, message_bytes_max);
  return base::make_error(ErrorCode::upstream_failed,
                          with_words("the upstream failed while it answered", said));
}

}  // namespace deepseek::protocol
