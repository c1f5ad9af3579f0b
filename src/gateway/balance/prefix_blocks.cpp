#include "gateway/balance/prefix_blocks.hpp"

#include "gateway/balance/stable_hash.hpp"
#include "protocol/request.hpp"

#include <algorithm>

namespace deepseek::gateway {

void PrefixBlocks::push(std::string_view block) {
  state_ = stable_hash(block, state_);
  blocks_[count_++] = state_ == 0 ? 1 : state_;  // 0 marks an empty place in PrefixMap
}

void PrefixBlocks::add(std::string_view piece) {
  if (rest_ > 0 && !full()) {
    const std::size_t taken = std::min(piece.size(), prefix_block_bytes - rest_);
    std::copy_n(piece.data(), taken, rest_bytes_.data() + rest_);
    rest_ += taken;
    piece.remove_prefix(taken);
    if (rest_ < prefix_block_bytes) return;
    push({rest_bytes_.data(), prefix_block_bytes});
    rest_ = 0;
  }
  while (piece.size() >= prefix_block_bytes && !full()) {
    push(piece.substr(0, prefix_block_bytes));
    piece.remove_prefix(prefix_block_bytes);
  }
  if (full() || piece.empty()) return;
  std::copy_n(piece.data(), piece.size(), rest_bytes_.data());
  rest_ = piece.size();
}

std::uint64_t prefix_seed(std::string_view model, std::string_view tenant) {
  return stable_hash(tenant, stable_hash(model));
}

namespace {

void add_message(PrefixBlocks& blocks, const protocol::Message& message) {
  // Stands for what the template writes between messages.
  blocks.add("\n<");
  blocks.add(to_string(message.role));
  blocks.add(">");
  for (const protocol::ContentPart& part : message.content) {
    const auto* text = std::get_if<protocol::TextPart>(&part);
    blocks.add(text != nullptr ? text->text : std::get<protocol::ImagePart>(part).url);
    if (blocks.full()) return;
  }
  for (const protocol::ToolCall& call : message.tool_calls) {
    blocks.add(call.name);
    blocks.add(call.arguments);
  }
}

void add_ids(PrefixBlocks& blocks, const protocol::TokenIds& ids) {
  for (const std::int32_t id : ids) {
    if (blocks.full()) return;
    std::array<char, 4> bytes;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<char>(static_cast<std::uint32_t>(id) >> (8 * i));
    }
    blocks.add({bytes.data(), bytes.size()});
  }
}

}  // namespace

void add_prompt(PrefixBlocks& blocks, const protocol::Request& request) {
  for (const protocol::Message& message : request.messages) {
    if (blocks.full()) return;
    add_message(blocks, message);
  }
  for (const protocol::Prompt& prompt : request.prompts) {
    if (blocks.full()) return;
    if (const auto* text = std::get_if<std::string>(&prompt))
      blocks.add(*text);
    else
      add_ids(blocks, std::get<protocol::TokenIds>(prompt));
  }
}

std::vector<std::uint64_t> prefix_blocks(std::uint64_t seed,
                                         std::initializer_list<std::string_view> pieces) {
  PrefixBlocks out(seed);
  for (const std::string_view piece : pieces) out.add(piece);
  return {out.blocks().begin(), out.blocks().end()};
}

}  // namespace deepseek::gateway
