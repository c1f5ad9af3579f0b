// What an answer is billed by: the upstream's own counts if they can be true, else estimates.
//
// Pure. The rule for broken streams (docs/decisions/012-usage-of-broken-streams.md): what was
// delivered is billed. Each attempt that began to answer costs its prompt once, and the text that
// the client got from it; an attempt that ended before the first byte of its answer costs nothing.
#pragma once

#include "protocol/event.hpp"
#include "protocol/json_scanner.hpp"
#include "protocol/request.hpp"
#include "protocol/upstream_chunk.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace deepseek::protocol {

// Counts tokens by DeepSeek's own rule of thumb: 0.3 for a character of ASCII, 0.6 for any other.
// Text may come in any pieces that are whole characters.
class TokenEstimate {
 public:
  void add(std::string_view text);
  void add(const JsonText& text);
  std::int64_t tokens() const { return (tenths_ + 9) / 10; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::int64_t tenths_ = 0;
  std::size_t bytes_ = 0;
};

std::int64_t estimate_tokens(std::string_view text);
// Messages, prompts, tools and images of a request.
std::int64_t estimate_prompt_tokens(const Request& request);

// What is known about an answer without trusting the upstream.
struct DeliveredAnswer {
  void add(const UpstreamChunk& chunk);
  void add(const Event& event);

  TokenEstimate text;      // content, reasoning and tool calls of all choices, as delivered
  bool reasoning = false;  // reasoning was among it; otherwise there may be some that is hidden
  bool other = false;      // something that is no text was, so that bytes are no bound
  bool hidden = false;     // of the reasoning a summary was delivered, or nothing
};

struct CheckedUsage {
  Usage usage;
  bool prompt_estimated = false;
  bool completion_estimated = false;
};

// `reported` is as read from the upstream. A count that is missing, negative, zero where there was
// something, or beyond what the request and the text can make is replaced by an estimate; parts
// that are larger than their whole are cut down to it.
CheckedUsage check_usage(const std::optional<Usage>& reported, const Request& request,
                         const DeliveredAnswer& delivered);

// Tokens of the inputs of an embedding call, whose answer said so many (0: nothing).
std::int64_t check_embedding_tokens(std::int64_t reported, const EmbeddingRequest& request);

// Of an attempt that broke. `began`: a byte of its answer was there. `reported` is what the
// upstream had said by then, if anything.
CheckedUsage usage_of_broken(const std::optional<Usage>& reported, const Request& request,
                             const DeliveredAnswer& delivered, bool began);

}  // namespace deepseek::protocol
