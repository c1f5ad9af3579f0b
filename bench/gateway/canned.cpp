#include "canned.hpp"

#include <charconv>

#include "text.hpp"

namespace bench {
namespace {

constexpr std::string_view kFrameStart =
    R"({"id":"chatcmpl-bench0000000001","object":"chat.completion.chunk","created":1760000000,)"
    R"("model":"bench",)";

std::string chunk(std::string_view payload) {
  char size[16];
  const auto end = std::to_chars(size, size + sizeof size, payload.size(), 16).ptr;
  return joined(std::string_view(size, static_cast<std::size_t>(end - size)), "\r\n", payload,
                "\r\n");
}

std::string event(std::string_view members) {
  return chunk(joined("data: ", kFrameStart, members, "}\n\n"));
}

}  // namespace

bool has_true(std::string_view body, std::string_view name) {
  const std::string quoted = joined("\"", name, "\":");
  std::size_t at = body.find(quoted);
  if (at == std::string_view::npos) return false;
  at += quoted.size();
  while (at < body.size() && body[at] == ' ') ++at;
  return body.substr(at, 4) == "true";
}

std::string json_response(std::string_view status, std::string_view body) {
  return joined("HTTP/1.1 ", status,
                "\r\nContent-Type: application/json\r\nContent-Length: ", body.size(), "\r\n\r\n",
                body);
}

std::string completion_response() {
  return json_response(
      "200 OK",
      R"({"id":"chatcmpl-bench0000000001","object":"chat.completion","created":1760000000,)"
      R"("model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":)"
      R"("Hello! This answer was written before anybody asked, and it is always the same."},)"
      R"("logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":21,)"
      R"("completion_tokens":16,"total_tokens":37},"system_fingerprint":"fp_bench"})");
}

std::string_view stream_head() {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
         "X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n";
}

std::string content_chunk(int number, std::int64_t sent_ns) {
  return event(joined(R"("choices":[{"index":0,"delta":{)",
                      number == 0 ? R"("role":"assistant",)" : "", R"("content":"[)", number, "@",
                      sent_ns, R"(]"},"finish_reason":null}])"));
}

std::string stream_end(int frames, bool usage) {
  std::string text = event(R"("choices":[{"index":0,"delta":{},"finish_reason":"stop"}])");
  if (usage) {
    text += event(joined(R"("choices":[],"usage":{"prompt_tokens":21,"completion_tokens":)", frames,
                         R"(,"total_tokens":)", frames + 21, "}"));
  }
  return text + chunk("data: [DONE]\n\n") + "0\r\n\r\n";
}

StreamCheck::Frame StreamCheck::line(std::string_view text) {
  if (!text.starts_with("data:")) return {};
  if (text.find("[DONE]") != std::string_view::npos) done_ = true;
  if (text.find("\"stop\"") != std::string_view::npos) finished_ = true;
  const std::size_t at = text.find("\"[");
  if (at == std::string_view::npos) return {};
  int number = -1;
  Frame frame;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data() + at + 2, end, number);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '@') return {};
  std::from_chars(first.ptr + 1, end, frame.sent_ns);
  frame.found = number == frames_ && !finished_;
  if (frame.found) {
    ++frames_;
  } else {
    ++disordered_;
  }
  return frame;
}

}  // namespace bench
