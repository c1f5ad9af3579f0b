#include "gateway/answer_progress.hpp"

#include "protocol/continuation.hpp"
#include "protocol/upstream_events.hpp"

#include <utility>

namespace deepseek::gateway {

using protocol::Event;

namespace {

constexpr std::size_t head_frame_max = 64u << 10;  // bytes of a frame that is looked into

// Id, model and time of the first frame: what all later ones must repeat.
std::optional<protocol::Resumed> read_head(std::string_view frames) {
  const std::size_t begin = frames.find("data:");
  if (begin == std::string_view::npos) return std::nullopt;
  frames.remove_prefix(begin + 5);
  const std::string_view line = frames.substr(0, frames.find_first_of("\r\n"));
  if (line.size() > head_frame_max) return std::nullopt;
  protocol::UpstreamChunk chunk;
  if (!protocol::read_upstream_chunk(line, chunk)) return std::nullopt;
  protocol::AnswerHead head = protocol::read_answer_head(chunk);
  return protocol::Resumed{std::move(head.id), std::move(head.model), head.created};
}

}  // namespace

AnswerProgress::AnswerProgress(const protocol::Request& request, std::size_t continuation_bytes_max)
    : request_(request), bytes_max_(continuation_bytes_max), unfinished_(request.sequence_count()) {
  decline(protocol::why_never_continued(request));
}

void AnswerProgress::decline(std::string_view why) {
  if (cannot_continue_.empty()) cannot_continue_ = why;
}

void AnswerProgress::begin_leg(std::size_t speaker) {
  if (std::exchange(speaker_, speaker) != speaker) spoken_.token_ids.clear();
  ++legs_;
  leg_ = {};
}

void AnswerProgress::end_leg(const protocol::Usage& cost) {
  earlier_ += cost;
  if (spoken_.token_ids.empty()) spoken_.tokens += cost.completion_tokens;
}

void AnswerProgress::restart() {
  spoken_ = {};
  unfinished_ = request_.sequence_count();
  begun_ = false;
  restarted_ = true;
}

void AnswerProgress::remember(std::string_view content, std::string_view reasoning) {
  if (content.empty() && reasoning.empty()) return;
  begun_ = true;
  leg_.delivered.text.add(content);
  leg_.delivered.text.add(reasoning);
  leg_.delivered.reasoning = leg_.delivered.reasoning || !reasoning.empty();
  if (!cannot_continue_.empty()) return;
  if (spoken_.content.size() + spoken_.reasoning.size() + content.size() + reasoning.size() >
      bytes_max_) {
    decline("its text is longer than retry.continuation_bytes_max");
    spoken_ = {};
    return;
  }
  spoken_.content += content;
  spoken_.reasoning += reasoning;
}

void AnswerProgress::take_delta(const protocol::Delta& delta) {
  if (delta.echo) {
    begun_ = true;
    leg_.delivered.other = true;
    return;
  }
  // Ids are of use only if they stand for all of the text.
  const bool ids_complete = spoken_.token_ids.empty() == spoken_.empty();
  remember(delta.content, delta.reasoning);
  leg_.token_ids += static_cast<std::int64_t>(delta.token_ids.size());
  if (!cannot_continue_.empty()) return;
  if (delta.token_ids.empty() || !ids_complete) {
    spoken_.token_ids.clear();
    return;
  }
  spoken_.token_ids.insert(spoken_.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
  spoken_.tokens = static_cast<std::int64_t>(spoken_.token_ids.size());
}

void AnswerProgress::take_verbatim(const protocol::Verbatim& verbatim) {
  if (verbatim.head) head_ = verbatim.head;
  if (!verbatim.whole && !head_) {
    head_ = read_head(verbatim.bytes);
    if (!head_) decline("its head could not be read");
  }
  if (head_) head_->blocks = verbatim.blocks;
  if (verbatim.uncontinuable) {
    begun_ = true;
    decline("a tool call had begun");
  }
  verbatim_ = true;
  leg_.delivered.other = leg_.delivered.other || verbatim.uncontinuable;
  spoken_.token_ids.clear();
  remember(verbatim.content, verbatim.reasoning);
}

void AnswerProgress::take(std::vector<Event>& events) {
  std::vector<Event> shown;
  shown.reserve(events.size() + 1);
  if (std::exchange(restarted_, false)) shown.emplace_back(protocol::Restarted{});
  for (Event& event : events) {
    if (auto* started = std::get_if<protocol::Started>(&event)) {
      leg_.prompt_tokens += started->prompt_tokens;
      if (legs_ > 1 && (begun_ || verbatim_)) continue;
    } else if (auto* verbatim = std::get_if<protocol::Verbatim>(&event)) {
      take_verbatim(*verbatim);
    } else if (auto* delta = std::get_if<protocol::Delta>(&event)) {
      take_delta(*delta);
    } else if (std::holds_alternative<protocol::ToolCallDelta>(event)) {
      begun_ = true;
      leg_.delivered.other = true;
      decline("a tool call had begun");
    } else if (auto* finished = std::get_if<protocol::Finished>(&event)) {
      leg_.usage += finished->usage;
      leg_.finished_any = true;
      if (unfinished_ > 0) --unfinished_;
      if (unfinished_ == 0) finished->usage += std::exchange(earlier_, {});
    }
    if (verbatim_ && legs_ > 1 && !resumed_ && !std::holds_alternative<protocol::Verbatim>(event)) {
      resumed_ = true;
      shown.emplace_back(head_.value_or(protocol::Resumed{}));
    }
    shown.push_back(std::move(event));
  }
  events = std::move(shown);
}

}  // namespace deepseek::gateway
