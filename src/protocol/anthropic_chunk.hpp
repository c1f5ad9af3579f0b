// What a relay needs of an event or message of Anthropic's form, as an UpstreamChunk: so that all
// that follows is the same for upstreams of every form.
//
// Pure; one reader per stream, used from its thread. All views are into the JSON text.
#pragma once

#include "protocol/upstream_chunk.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

// Reads the events of one stream. Calls are told apart by the block that they are in, and usage
// comes in two parts, so it remembers both.
class AnthropicChunkReader {
 public:
  // As read_upstream_chunk(): false if `json` is no valid JSON object. Events and blocks that are
  // not known are passed over; a block that is not known makes the answer `other`.
  bool read(std::string_view json, UpstreamChunk& chunk);

 private:
  struct Call {
    std::int32_t block = 0;
    bool given = false;  // all of its arguments came when it began
  };
  struct Counts {
    std::int64_t input = -1, written = 0, cached = 0, output = -1;
  };

  friend bool read_anthropic_message(std::string_view json, UpstreamChunk& chunk);
  void read_message(std::string_view message, UpstreamChunk& chunk, bool whole);
  void read_blocks(std::string_view blocks, UpstreamChunk& chunk);
  void begin_block(std::string_view block, std::int32_t index, UpstreamChunk& chunk);
  void read_delta(std::string_view delta, std::int32_t index, UpstreamChunk& chunk) const;
  void read_usage(std::string_view usage, UpstreamChunk& chunk);

  std::vector<Call> calls_;
  Counts counts_;
  MessageBlocks blocks_;
};

// Reads a whole message, or an error in its place, into an empty chunk with a choice for each block
// and one for the end. False if `json` is no valid JSON object. No choices: it is no message.
bool read_anthropic_message(std::string_view json, UpstreamChunk& chunk);

}  // namespace deepseek::protocol
