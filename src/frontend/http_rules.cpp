#include "frontend/http_rules.hpp"

#include "protocol/quote.hpp"

#include <algorithm>
#include <array>

namespace deepseek::frontend {
namespace {

constexpr std::size_t request_id_max = 128;
constexpr std::chrono::milliseconds default_retry_after{1000};

constexpr std::array<std::string_view, 6> foreign_families{"multipart/", "image/", "audio/",
                                                           "video/",     "font/",  "model/"};
constexpr std::array<std::string_view, 11> foreign_types{
    "text/html",        "text/xml",         "text/csv",
    "application/xml",  "application/pdf",  "application/zip",
    "application/gzip", "application/grpc", "application/x-protobuf",
    "application/yaml", "application/x-tar"};

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](char character) {
    return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a')
                                                : character;
  });
  return result;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_foreign(std::string_view type) {
  const auto in_family = [type](std::string_view family) { return type.starts_with(family); };
  return std::ranges::any_of(foreign_families, in_family) ||
         std::ranges::find(foreign_types, type) != foreign_types.end() || type.ends_with("+xml");
}

// Anthropic's SDKs look for another name.
void add_request_id(io::HttpResponse& response, std::string_view request_id,
                    protocol::ErrorForm form) {
  response.fields.add("X-Request-Id", request_id);
  if (form == protocol::ErrorForm::anthropic) response.fields.add("Request-Id", request_id);
}

bool is_worth_retrying(base::ErrorCode code) {
  using enum base::ErrorCode;
  return code == unavailable || code == queue_full || code == rate_limited;
}

}  // namespace

bool is_sane_request_id(std::string_view id) {
  const auto sane = [](char character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '.' || character == '_' ||
           character == '-';
  };
  return !id.empty() && id.size() <= request_id_max && std::ranges::all_of(id, sane);
}

std::string choose_request_id(const io::HttpRequest& request, std::string made) {
  const auto given = request.fields.find("x-request-id");
  return given && is_sane_request_id(*given) ? std::string(*given) : std::move(made);
}

base::Result<void> check_body_form(const EndpointRow& row, const io::HttpRequest& request) {
  if (row.body == BodyForm::none) return {};
  if (const auto coding = request.fields.find("content-encoding")) {
    if (const std::string name = lower(trim(*coding)); !name.empty() && name != "identity") {
      return base::make_error(
          base::ErrorCode::unsupported_media_type,
          "the body has Content-Encoding " + protocol::quoted(name) + "; send it uncompressed");
    }
  }
  const auto field = request.fields.find("content-type");
  if (!field) return {};
  const std::string type = lower(trim(field->substr(0, field->find(';'))));
  if (!is_foreign(type)) return {};
  return base::make_error(base::ErrorCode::unsupported_media_type,
                          "the body has Content-Type " + protocol::quoted(type) +
                              "; send JSON with Content-Type application/json");
}

protocol::ErrorForm error_form(std::string_view path) {
  const bool anthropic = path.starts_with("/anthropic/") || path == "/v1/messages" ||
                         path.starts_with("/v1/messages/");
  return anthropic ? protocol::ErrorForm::anthropic : protocol::ErrorForm::openai;
}

io::HttpResponse json_response(int status, std::string body, std::string_view request_id,
                               protocol::ErrorForm form) {
  io::HttpResponse response;
  response.status = status;
  response.fields.add("Content-Type", "application/json; charset=utf-8");
  add_request_id(response, request_id, form);
  response.body = std::move(body);
  return response;
}

io::HttpResponse error_response(const base::Error& error, std::string_view request_id,
                                protocol::ErrorForm form) {
  io::HttpResponse response =
      json_response(base::describe(error.code).http_status,
                    protocol::error_body(error, form, request_id), request_id, form);
  response.error = error;
  auto wait = error.retry_after;
  if (!wait && is_worth_retrying(error.code)) wait = default_retry_after;
  if (wait) {
    const std::int64_t milliseconds = std::max<std::int64_t>(wait->count(), 0);
    const std::int64_t seconds = std::max<std::int64_t>((milliseconds + 999) / 1000, 1);
    response.fields.add("Retry-After", std::to_string(seconds));
    response.fields.add("Retry-After-Ms", std::to_string(milliseconds));
  }
  if (error.code == base::ErrorCode::insufficient_balance) {
    response.fields.add("X-Should-Retry", "false");
  }
  return response;
}

io::HttpResponse stream_response(std::string_view request_id, protocol::ErrorForm form) {
  io::HttpResponse response;
  response.fields.add("Content-Type", "text/event-stream; charset=utf-8");
  response.fields.add("Cache-Control", "no-cache");
  response.fields.add("X-Accel-Buffering", "no");
  add_request_id(response, request_id, form);
  return response;
}

}  // namespace deepseek::frontend
