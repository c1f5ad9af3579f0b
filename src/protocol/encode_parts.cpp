#include "protocol/encode_parts.hpp"

#include "base/utf8.hpp"
#include "protocol/json.hpp"
#include "protocol/object_writer.hpp"

#include <algorithm>
#include <cmath>

namespace deepseek::protocol {
namespace {

constexpr double least_logprob = -9999;  // OpenAI's word for "too unlikely to say"

void append_field(std::string& out, std::string_view name_with_comma, std::int64_t value) {
  out += name_with_comma;
  append_json_integer(out, value);
}

void append_logprob(std::string& out, double value) {
  append_json_number(out, std::isfinite(value) ? std::max(value, least_logprob) : least_logprob);
}

void append_bytes(std::string& out, std::string_view bytes) {
  out += '[';
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) out += ',';
    append_json_integer(out, static_cast<unsigned char>(bytes[i]));
  }
  out += ']';
}

// Without the closing brace.
void append_chat_token(std::string& out, const TokenLogprob& token) {
  out += "{\"token\":";
  append_json_string(out, token.bytes);
  out += ",\"logprob\":";
  append_logprob(out, token.logprob);
  out += ",\"bytes\":";
  append_bytes(out, token.bytes);
}

// A token that is no text by itself is written as OpenAI does: bytes:\xe4\xb8.
std::string completion_token(const TokenLogprob& token) {
  if (base::is_valid_utf8(token.bytes)) return token.bytes;
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out = "bytes:";
  for (const char c : token.bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += "\\x";
    out += hex[byte >> 4];
    out += hex[byte & 15];
  }
  return out;
}

// The alternatives by text, and the token itself if it is not among them.
void append_top_logprobs(std::string& out, const TokenLogprob& token) {
  std::vector<std::string> seen;
  out += '{';
  const auto append = [&](const TokenLogprob& one) {
    std::string text = completion_token(one);
    if (std::find(seen.begin(), seen.end(), text) != seen.end()) return;
    if (!seen.empty()) out += ',';
    append_json_string(out, text);
    out += ':';
    append_logprob(out, one.logprob);
    seen.push_back(std::move(text));
  };
  for (const TokenLogprob& alternative : token.alternatives) append(alternative);
  append(token);
  out += '}';
}

std::int64_t count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

}  // namespace

void append_usage(std::string& out, const Usage& usage) {
  append_field(out, "{\"prompt_tokens\":", usage.prompt_tokens);
  append_field(out, ",\"completion_tokens\":", usage.completion_tokens);
  append_field(out, ",\"total_tokens\":", usage.total_tokens());
  append_field(out,
               ",\"prompt_tokens_details\":{\"cached_tokens\":", usage.prompt_cache_hit_tokens);
  append_field(out,
               "},\"completion_tokens_details\":{\"reasoning_tokens\":", usage.reasoning_tokens);
  append_field(out, "},\"prompt_cache_hit_tokens\":", usage.prompt_cache_hit_tokens);
  append_field(out, ",\"prompt_cache_miss_tokens\":", usage.prompt_cache_miss_tokens());
  out += '}';
}

void append_timings(std::string& out, const Timings& timings) {
  const auto milliseconds = [&](std::string_view name, double value) {
    out += name;
    append_json_number(out, std::round(value * 1000) / 1000);
  };
  milliseconds("{\"queue_ms\":", timings.queue_ms);
  milliseconds(",\"prefill_ms\":", timings.prefill_ms);
  milliseconds(",\"decode_ms\":", timings.decode_ms);
  out += '}';
}

void append_chat_logprobs(std::string& out, const std::vector<TokenLogprob>& tokens) {
  out += "{\"content\":[";
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) out += ',';
    append_chat_token(out, tokens[i]);
    out += ",\"top_logprobs\":[";
    for (std::size_t j = 0; j < tokens[i].alternatives.size(); ++j) {
      if (j > 0) out += ',';
      append_chat_token(out, tokens[i].alternatives[j]);
      out += '}';
    }
    out += "]}";
  }
  out += "],\"refusal\":null}";
}

void append_completion_logprobs(std::string& out, const std::vector<TokenLogprob>& tokens,
                                std::int64_t& text_offset) {
  std::string logprobs, tops, offsets;
  out += "{\"tokens\":[";
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) {
      for (std::string* list : {&out, &logprobs, &tops, &offsets}) *list += ',';
    }
    append_json_string(out, completion_token(tokens[i]));
    if (tokens[i].first) {
      logprobs += "null";
      tops += "null";
    } else {
      append_logprob(logprobs, tokens[i].logprob);
      append_top_logprobs(tops, tokens[i]);
    }
    append_json_integer(offsets, text_offset);
    text_offset += count_characters(tokens[i].bytes);
  }
  out += "],\"token_logprobs\":[" + logprobs + "],\"top_logprobs\":[" + tops +
         "],\"text_offset\":[" + offsets + "]}";
}

void append_tool_input(std::string& out, const std::string& arguments) {
  if (arguments.empty()) {
    out += "{}";
  } else if (parse_json_object(arguments, {})) {
    out += arguments;
  } else {
    ObjectWriter object(out);
    object.string("arguments", arguments);
    object.close();
  }
}

void append_tool_calls(std::string& out, const std::vector<ToolCall>& calls) {
  out += '[';
  for (std::size_t i = 0; i < calls.size(); ++i) {
    out += i > 0 ? ",{\"id\":" : "{\"id\":";
    append_json_string(out, calls[i].id);
    out += ",\"type\":\"function\",\"function\":{\"name\":";
    append_json_string(out, calls[i].name);
    out += ",\"arguments\":";
    append_json_string(out, calls[i].arguments);
    out += "}}";
  }
  out += ']';
}

std::string answer_prefix(const AnswerHead& head, std::string_view object) {
  std::string out = "{\"id\":";
  append_json_string(out, head.id);
  out += ",\"object\":\"";
  out += object;
  out += "\",\"created\":";
  append_json_integer(out, head.created);
  out += ",\"model\":";
  append_json_string(out, head.model);
  if (!head.system_fingerprint.empty()) {
    out += ",\"system_fingerprint\":";
    append_json_string(out, head.system_fingerprint);
  }
  return out;
}

std::string usage_frame(const std::string& prefix, const Usage& usage) {
  std::string out = prefix + "],\"usage\":";
  append_usage(out, usage);
  out += "}\n\n";
  return out;
}

std::string data_frame(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 8);
  out += "data: ";
  out += text;
  out += "\n\n";
  return out;
}

std::string_view echoed_prompt(const Request& request, std::size_t sequence) {
  if (!request.echo || request.operation != Operation::completion) return {};
  if (echo_is_told(request)) return {};
  const std::size_t prompt = sequence / static_cast<std::size_t>(request.choices);
  if (prompt >= request.prompts.size()) return {};
  const auto* text = std::get_if<std::string>(&request.prompts[prompt]);
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

}  // namespace deepseek::protocol
