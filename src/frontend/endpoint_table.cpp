#include "frontend/endpoint_table.hpp"

#include "base/utf8.hpp"
#include "frontend/rpc_routes.hpp"
#include "protocol/quote.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace deepseek::frontend {
namespace {

using enum Endpoint;

constexpr std::string_view chat_about = "Chat in OpenAI's form, streamed or whole";
constexpr std::string_view completions_about = "Completion of a prompt, or of messages";
constexpr std::string_view embeddings_about = "Vectors of texts";
constexpr std::string_view rerank_about = "Documents by how well they answer a question";
constexpr std::string_view tokenize_about = "The tokens of a text or of a chat's prompt";
constexpr std::string_view detokenize_about = "The text of tokens";
constexpr std::string_view messages_about = "Chat in Anthropic's form, streamed or whole";
constexpr std::string_view responses_about = "Chat in the form of OpenAI's Responses";
constexpr std::string_view response_about = "One response that is kept";
constexpr std::string_view delete_about = "Forget a response";
constexpr std::string_view items_about = "The items that a kept response answered";
constexpr std::string_view cancel_about = "Refused: no response runs in the background";
constexpr std::string_view count_tokens_about = "How many tokens such a chat has";
constexpr std::string_view models_about = "The models and aliases of this server";
constexpr std::string_view model_about = "One model or alias";

constexpr std::array table{
    EndpointRow{"GET", "/", root, BodyForm::none, "/", "This overview; to a browser the chat page"},
    EndpointRow{"GET", "/chat", web_file, BodyForm::none, "/chat", "A page to chat on"},
    EndpointRow{"GET", "/chat.css", web_file, BodyForm::none, "/chat", "The look of that page"},
    EndpointRow{"GET", "/chat.js", web_file, BodyForm::none, "/chat", "The script of that page"},
    EndpointRow{"GET", "/docs", web_file, BodyForm::none, "/docs",
                "All of this as a page, to read and to try"},
    EndpointRow{"GET", "/docs/docs.js", web_file, BodyForm::none, "/docs",
                "The script of that page"},
    EndpointRow{"GET", "/docs/swagger-ui.css", web_file, BodyForm::none, "/docs",
                "The look of that page"},
    EndpointRow{"GET", "/docs/swagger-ui-bundle.js", web_file, BodyForm::none, "/docs",
                "Swagger UI"},
    EndpointRow{"GET", "/openapi.json", web_file, BodyForm::none, "/openapi.json",
                "The same for programs, as OpenAPI 3.1"},
    EndpointRow{"GET", "/openapi.yaml", web_file, BodyForm::none, "/openapi.yaml",
                "That document as YAML"},
    EndpointRow{"POST", "/v1/chat/completions", chat, BodyForm::json, "/v1/chat/completions",
                chat_about},
    EndpointRow{"POST", "/v1/completions", completions, BodyForm::json, "/v1/completions",
                completions_about},
    EndpointRow{"POST", "/v1/embeddings", embeddings, BodyForm::json, "/v1/embeddings",
                embeddings_about},
    EndpointRow{"POST", "/v1/rerank", rerank, BodyForm::json, "/v1/rerank", rerank_about},
    EndpointRow{"POST", "/v1/tokenize", tokenize, BodyForm::json, "/v1/tokenize", tokenize_about},
    EndpointRow{"POST", "/v1/detokenize", detokenize, BodyForm::json, "/v1/detokenize",
                detokenize_about},
    EndpointRow{"GET", "/v1/models", models, BodyForm::none, "/v1/models", models_about},
    EndpointRow{"GET", "/v1/models/{id}", model, BodyForm::none, "/v1/models/{id}", model_about},
    EndpointRow{"POST", "/chat/completions", chat, BodyForm::json, "/v1/chat/completions",
                chat_about},
    EndpointRow{"POST", "/completions", completions, BodyForm::json, "/v1/completions",
                completions_about},
    EndpointRow{"POST", "/embeddings", embeddings, BodyForm::json, "/v1/embeddings",
                embeddings_about},
    EndpointRow{"POST", "/rerank", rerank, BodyForm::json, "/v1/rerank", rerank_about},
    EndpointRow{"POST", "/tokenize", tokenize, BodyForm::json, "/v1/tokenize", tokenize_about},
    EndpointRow{"POST", "/detokenize", detokenize, BodyForm::json, "/v1/detokenize",
                detokenize_about},
    // DeepSeek's address for prefix completion and for what stands between prompt and suffix.
    EndpointRow{"POST", "/beta/chat/completions", chat, BodyForm::json, "/v1/chat/completions",
                chat_about},
    EndpointRow{"POST", "/beta/completions", completions, BodyForm::json, "/v1/completions",
                completions_about},
    EndpointRow{"GET", "/beta/models", models, BodyForm::none, "/v1/models", models_about},
    EndpointRow{"GET", "/beta/models/{id}", model, BodyForm::none, "/v1/models/{id}", model_about},
    EndpointRow{"GET", "/user/balance", balance, BodyForm::none, "/user/balance",
                "What the key's tenant may still spend, in DeepSeek's form"},
    EndpointRow{"GET", "/models", models, BodyForm::none, "/v1/models", models_about},
    EndpointRow{"GET", "/models/{id}", model, BodyForm::none, "/v1/models/{id}", model_about},
    EndpointRow{"POST", "/v1/responses", responses, BodyForm::json, "/v1/responses",
                responses_about},
    EndpointRow{"POST", "/responses", responses, BodyForm::json, "/v1/responses", responses_about},
    EndpointRow{"GET", "/v1/responses/{id}", response, BodyForm::none, "/v1/responses/{id}",
                response_about},
    EndpointRow{"DELETE", "/v1/responses/{id}", response, BodyForm::none, "/v1/responses/{id}",
                delete_about},
    EndpointRow{"GET", "/v1/responses/{id}/input_items", response_items, BodyForm::none,
                "/v1/responses/{id}/input_items", items_about},
    EndpointRow{"POST", "/v1/responses/{id}/cancel", response_cancel, BodyForm::none,
                "/v1/responses/{id}/cancel", cancel_about},
    EndpointRow{"GET", "/responses/{id}", response, BodyForm::none, "/v1/responses/{id}",
                response_about},
    EndpointRow{"DELETE", "/responses/{id}", response, BodyForm::none, "/v1/responses/{id}",
                delete_about},
    EndpointRow{"GET", "/responses/{id}/input_items", response_items, BodyForm::none,
                "/v1/responses/{id}/input_items", items_about},
    EndpointRow{"POST", "/responses/{id}/cancel", response_cancel, BodyForm::none,
                "/v1/responses/{id}/cancel", cancel_about},
    EndpointRow{"POST", "/v1/messages", messages, BodyForm::json, "/v1/messages", messages_about},
    EndpointRow{"POST", "/v1/messages/count_tokens", count_tokens, BodyForm::json,
                "/v1/messages/count_tokens", count_tokens_about},
    EndpointRow{"POST", "/anthropic/v1/messages", messages, BodyForm::json, "/v1/messages",
                messages_about},
    EndpointRow{"POST", "/anthropic/v1/messages/count_tokens", count_tokens, BodyForm::json,
                "/v1/messages/count_tokens", count_tokens_about},
    EndpointRow{"POST", "/api/v1/infer", infer, BodyForm::json, "/api/v1/infer",
                "One question, one answer"},
    EndpointRow{"POST", "/generate", generate, BodyForm::optional_json, "/generate",
                "A prompt, as query parameter or JSON, makes a JSON string"},
    EndpointRow{"GET", "/health", health, BodyForm::none, "/health", "The server lives"},
    EndpointRow{"GET", "/ready", ready, BodyForm::none, "/ready",
                "Requests can be answered, or why not"},
};

std::optional<int> hex_digit(char character) {
  if (character >= '0' && character <= '9') return character - '0';
  if (character >= 'a' && character <= 'f') return character - 'a' + 10;
  if (character >= 'A' && character <= 'F') return character - 'A' + 10;
  return std::nullopt;
}

// The id as text; nothing for a bad escape, invalid UTF-8 or control characters.
std::optional<std::string> decode_id(std::string_view text) {
  std::string id;
  for (std::size_t at = 0; at < text.size(); ++at) {
    char character = text[at];
    if (character == '%') {
      if (at + 2 >= text.size()) return std::nullopt;
      const auto high = hex_digit(text[at + 1]);
      const auto low = hex_digit(text[at + 2]);
      if (!high || !low) return std::nullopt;
      character = static_cast<char>(*high * 16 + *low);
      at += 2;
    }
    if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f) return std::nullopt;
    id.push_back(character);
  }
  if (id.empty() || !base::is_valid_utf8(id)) return std::nullopt;
  return id;
}

constexpr std::string_view id_mark = "{id}";

// The id's part of a path that is the row's; empty if it is not, or has no id.
std::string_view id_part(const EndpointRow& row, std::string_view path) {
  const std::size_t mark = row.path.find(id_mark);
  if (mark == std::string_view::npos) return {};
  const std::string_view tail = row.path.substr(mark + id_mark.size());
  if (path.size() <= mark + tail.size() || !path.starts_with(row.path.substr(0, mark)) ||
      !path.ends_with(tail)) {
    return {};
  }
  const std::string_view id = path.substr(mark, path.size() - mark - tail.size());
  const bool slashes = row.endpoint == model;  // names of models have them
  return slashes || id.find('/') == std::string_view::npos ? id : std::string_view{};
}

bool matches(const EndpointRow& row, std::string_view path) {
  if (row.path.find(id_mark) == std::string_view::npos) return path == row.path;
  return !id_part(row, path).empty();
}

bool answers(const EndpointRow& row, std::string_view method) {
  return row.method == method || (row.method == "GET" && method == "HEAD");
}

// Visits every row that HTTP has.
template <class Visit>
void each_row(Visit visit) {
  for (const EndpointRow& row : table) visit(row);
  for (const EndpointRow& row : rpc_http_table()) visit(row);
}

const EndpointRow* find_row(std::string_view path) {
  const EndpointRow* found = nullptr;
  each_row([&](const EndpointRow& row) {
    if (found == nullptr && matches(row, path)) found = &row;
  });
  return found;
}

base::Error no_such_path(std::string_view method, std::string_view path) {
  std::string message = "there is no endpoint " + protocol::quoted(path);
  if (path == "/" && method == "POST") message += " for POST";
  message += "; paths are exact, and GET / lists them";
  return base::make_error(base::ErrorCode::not_found, std::move(message));
}

base::Error no_such_method(std::string_view method, const EndpointRow& row) {
  std::string message(row.label);
  message += " is called with " + std::string(row.method) + ", not with ";
  message += protocol::quoted(method);
  if (row.body == BodyForm::json) message += "; send the request as a JSON body";
  return base::make_error(base::ErrorCode::method_not_allowed, std::move(message));
}

}  // namespace

std::span<const EndpointRow> endpoint_table() {
  return table;
}

base::Result<Route> find_endpoint(std::string_view method, std::string_view path) {
  const EndpointRow* other_method = nullptr;
  const EndpointRow* found = nullptr;
  each_row([&](const EndpointRow& row) {
    if (found != nullptr || !matches(row, path)) return;
    (answers(row, method) ? found : other_method) = &row;
  });
  if (found != nullptr) {
    const std::string_view part = id_part(*found, path);
    if (part.empty()) return Route{found, {}};
    auto id = decode_id(part);
    if (!id) return no_such_path(method, path);
    return Route{found, std::move(*id)};
  }
  // A POST to the root is a base_url without its path: to that client there is nothing here.
  const bool lost = other_method != nullptr && other_method->endpoint == root && method == "POST";
  if (other_method == nullptr || lost) return no_such_path(method, path);
  return no_such_method(method, *other_method);
}

std::string allowed_methods(std::string_view path) {
  std::string methods;
  each_row([&](const EndpointRow& row) {
    if (!matches(row, path)) return;
    if (!methods.empty()) methods += ", ";
    methods += row.method;
    if (row.method == "GET") methods += ", HEAD";
  });
  return methods;
}

std::string_view metric_label(std::string_view path) {
  const EndpointRow* const row = find_row(path);
  return row == nullptr ? "other" : row->label;
}

std::string_view known_method(std::string_view method) {
  constexpr std::array<std::string_view, 7> methods{"GET",    "HEAD",  "POST",   "PUT",
                                                    "DELETE", "PATCH", "OPTIONS"};
  const auto found = std::ranges::find(methods, method);
  return found == methods.end() ? "other" : *found;
}

}  // namespace deepseek::frontend
