// One answer as the cache keeps it: the bytes that its client was sent, packed, and the facts about
// them that a hit must tell.
//
// A value; immutable and shared once it is in a store, so any thread may replay it.
#pragma once

#include "gateway/cache/cache_key.hpp"
#include "protocol/event.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace deepseek::gateway {

struct CachedAnswer {
  std::string tenant;
  std::string model;  // the name in the answer
  AnswerForm form = AnswerForm::whole;
  protocol::Usage usage;
  std::int64_t created_ms = 0;  // since 1970; when the answer was complete
  std::int64_t expires_ms = 0;

  // As PiecePacker writes them: a whole body is one piece, a stream has one for each write.
  std::string packed;
  std::uint64_t raw_bytes = 0;              // of all pieces together
  std::optional<std::uint64_t> usage_mark;  // where in them the last usage object begins, after '{'
};

using CachedAnswerPtr = std::shared_ptr<const CachedAnswer>;

// The memory that one entry takes, allocator and index included.
std::size_t memory_bytes(const CachedAnswer& answer);

// All bytes again, with `"cached_answer":true` as the first field of their usage object, if they
// have one. Nothing for bytes that no packer has written, as a damaged file may hold.
std::optional<std::string> replay(const CachedAnswer& answer);

// After the '{' of the last usage object in one piece of an answer; nothing if it has none.
std::optional<std::size_t> find_usage_mark(std::string_view piece);

}  // namespace deepseek::gateway
