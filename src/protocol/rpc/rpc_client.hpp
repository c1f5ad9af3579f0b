// The client's side of deepseek.v1.DeepSeekService: neutral requests as messages, and pieces of an
// answer as events.
//
// Pure. A reader lives for one answer.
#pragma once

#include "base/result.hpp"
#include "protocol/event.hpp"
#include "protocol/request.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

// The method's path; its stream, whether or not the client asked for one.
std::string_view rpc_stream_path(const Request& request);
// A request for it, for `model`. With `spoken` the answer goes on behind that text, and the limit
// of its tokens is lowered by what was made; only for a request that why_not_continued() allows to
// be continued by prefix. Error: not_implemented, for what the service has no field for.
base::Result<std::string> rpc_request_bytes(const Request& request, std::string_view model,
                                            const Spoken* spoken);

inline constexpr std::string_view rpc_embed_path = "/deepseek.v1.DeepSeekService/Embed";
std::string rpc_embed_bytes(const EmbeddingRequest& request, std::string_view model);
struct RpcEmbeddings {
  std::vector<std::vector<float>> vectors;  // in the order of the inputs
  std::int64_t prompt_tokens = 0;
};
// upstream_failed for bytes that are no answer to `inputs` texts.
base::Result<RpcEmbeddings> read_rpc_embeddings(std::string_view bytes, std::size_t inputs);

class RpcAnswerReader {
 public:
  explicit RpcAnswerReader(std::size_t sequences) : ended_(sequences) {}

  // Appends the events of one AnswerChunk. upstream_failed for bytes that are none, or that go on
  // where a choice has ended.
  base::Result<void> push(std::string_view bytes, std::vector<Event>& events);
  bool finished() const { return ended_count_ == ended_.size(); }

 private:
  std::vector<bool> ended_;
  std::size_t ended_count_ = 0;
};

}  // namespace deepseek::protocol
