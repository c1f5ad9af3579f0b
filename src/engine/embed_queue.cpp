#include "engine/embed_queue.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {

void EmbedQueue::push(std::uint64_t call, std::vector<std::vector<Token>> inputs) {
  Call taken;
  taken.call = call;
  taken.inputs = std::move(inputs);
  taken.reply.set_call(call);
  std::int64_t tokens = 0;
  for (const auto& input : taken.inputs) {
    tokens += static_cast<std::int64_t>(input.size());
    taken.reply.add_vectors();
  }
  taken.reply.set_prompt_tokens(tokens);
  calls_.push_back(std::move(taken));
}

bool EmbedQueue::remove(std::uint64_t call) {
  if (std::erase_if(calls_, [call](const Call& one) { return one.call == call; }) == 0)
    return false;
  const auto gone = [this](const Part& part) { return find(part.call) == nullptr; };
  if (std::all_of(batch_.begin(), batch_.end(), gone)) batch_.clear();
  return true;
}

std::vector<std::vector<Token>> EmbedQueue::next() {
  std::vector<std::vector<Token>> inputs;
  std::size_t tokens = 0;
  // One input of each call, then the next of each.
  for (bool more = true; more;) {
    more = false;
    for (Call& call : calls_) {
      if (inputs.size() >= options_.inputs_max || call.begun == call.inputs.size()) continue;
      std::vector<Token>& input = call.inputs[call.begun];
      if (!inputs.empty() && tokens + input.size() > options_.tokens_max) continue;
      tokens += input.size();
      inputs.push_back(std::move(input));
      batch_.push_back({call.call, call.begun++});
      more = true;
    }
  }
  return inputs;
}

std::vector<wire::EmbedReply> EmbedQueue::computed(std::vector<std::vector<float>> vectors) {
  std::vector<wire::EmbedReply> whole;
  const std::vector<Part> batch = std::exchange(batch_, {});
  for (std::size_t index = 0; index < batch.size(); ++index) {
    Call* call = find(batch[index].call);
    if (call == nullptr) continue;  // it was removed
    const auto input = static_cast<int>(batch[index].input);
    call->reply.mutable_vectors(input)->mutable_values()->Assign(vectors[index].begin(),
                                                                 vectors[index].end());
    if (++call->computed < call->inputs.size()) continue;
    whole.push_back(std::move(call->reply));
    remove(batch[index].call);
  }
  return whole;
}

std::vector<std::uint64_t> EmbedQueue::failed() {
  std::vector<std::uint64_t> gone;
  for (const Part& part : std::exchange(batch_, {})) {
    if (remove(part.call)) gone.push_back(part.call);
  }
  return gone;
}

EmbedQueue::Call* EmbedQueue::find(std::uint64_t call) {
  const auto found = std::find_if(calls_.begin(), calls_.end(),
                                  [call](const Call& one) { return one.call == call; });
  return found == calls_.end() ? nullptr : &*found;
}

}  // namespace deepseek::engine
