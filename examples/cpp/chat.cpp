// Prints an answer as it is written, with Boost.Beast and Boost.JSON. Build it with
//   g++ -std=c++20 chat.cpp -o chat -lboost_json
// DEEPSEEK_URL is the server's address, such as http://127.0.0.1:8080.
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace json = boost::json;

struct Address {
  std::string host = "127.0.0.1";
  std::string port = "8080";
};

Address address() {
  const char* const given = std::getenv("DEEPSEEK_URL");
  if (given == nullptr) return {};
  std::string_view url(given);
  constexpr std::string_view scheme = "http://";
  if (!url.starts_with(scheme)) throw std::runtime_error("DEEPSEEK_URL must begin with http://");
  url.remove_prefix(scheme.size());
  const std::size_t colon = url.find(':');
  if (colon == std::string_view::npos) return {std::string(url), "80"};
  return {std::string(url.substr(0, colon)), std::string(url.substr(colon + 1))};
}

std::string question(std::string_view text) {
  return json::serialize(json::value{
      {"model", "deepseek-chat"},
      {"messages", json::array{json::value{{"role", "user"}, {"content", text}}}},
      {"max_tokens", 64},
      {"stream", true},
  });
}

// One "data: {…}" of the stream.
void show(std::string_view frame) {
  constexpr std::string_view data = "data: ";
  if (!frame.starts_with(data) || frame == "data: [DONE]") return;
  const json::value chunk = json::parse(frame.substr(data.size()));
  const json::array& choices = chunk.at("choices").as_array();
  if (choices.empty()) return;
  const json::value* const content = choices[0].at("delta").as_object().if_contains("content");
  if (content != nullptr && content->is_string()) {
    std::fwrite(content->as_string().data(), 1, content->as_string().size(), stdout);
    std::fflush(stdout);
  }
}

// Prints the frames that are whole and keeps the rest.
void show_frames(std::string& text) {
  for (std::size_t end = text.find("\n\n"); end != std::string::npos; end = text.find("\n\n")) {
    show(std::string_view(text).substr(0, end));
    text.erase(0, end + 2);
  }
}

void chat(std::string_view text) {
  const Address to = address();
  asio::io_context context;
  asio::ip::tcp::resolver resolver(context);
  beast::tcp_stream stream(context);
  stream.connect(resolver.resolve(to.host, to.port));

  http::request<http::string_body> request(http::verb::post, "/v1/chat/completions", 11);
  request.set(http::field::host, to.host);
  request.set(http::field::content_type, "application/json");
  if (const char* const key = std::getenv("DEEPSEEK_KEY")) {
    request.set(http::field::authorization, std::string("Bearer ") + key);
  }
  request.body() = question(text);
  request.prepare_payload();
  http::write(stream, request);

  beast::flat_buffer buffer;
  http::response_parser<http::buffer_body> parser;
  http::read_header(stream, buffer, parser);
  std::string held;
  std::array<char, 4096> piece{};
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    beast::error_code error;
    http::read(stream, buffer, parser, error);
    if (error && error != http::error::need_buffer) throw beast::system_error(error);
    held.append(piece.data(), piece.size() - parser.get().body().size);
    if (parser.get().result() == http::status::ok) show_frames(held);
  }
  if (parser.get().result() != http::status::ok) throw std::runtime_error(held);
  std::puts("");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    chat(argc > 1 ? argv[1] : "Tell me about the sea.");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "chat: %s\n", error.what());
    return 1;
  }
}
