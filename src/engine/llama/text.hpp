// The text side of a model: its Jinja chat template, tokenizer and token pieces.
//
// Owned by main(). Immutable after make(); its functions may be called from any thread, and take
// milliseconds for long prompts, so they belong on the link's worker. It knows no sequences.
#pragma once

#include "engine/llama/model.hpp"
#include "engine/model_interface.hpp"
#include "engine/special_text.hpp"
#include "engine/tool_prompt.hpp"

#include <memory>
#include <set>
#include <vector>

namespace deepseek::engine::llama {

class Text final : public TextModel {
 public:
  // Fails when the model's chat template cannot be read.
  static base::Result<std::unique_ptr<Text>> make(const Model& model);
  ~Text() override;

  base::Result<RenderedPrompt> render(const wire::Chat& chat) const override;
  base::Result<std::vector<Token>> tokenize(std::string_view text, bool add_special) const override;
  base::Result<std::vector<Token>> infill(std::string_view prefix,
                                          std::string_view suffix) const override;
  std::string piece(Token token, bool special) const override;
  bool is_end(Token token) const override;
  std::size_t longest_piece() const override { return longest_piece_; }
  std::int32_t vocabulary() const override { return model_.facts().vocabulary; }
  ReasoningTags reasoning_tags() const override { return tags_; }
  ToolFormat tool_format() const override { return tools_.format; }
  base::Result<std::unique_ptr<TokenSampler>> make_sampler(
      const wire::Sampling& sampling) const override;

 private:
  struct Template;
  Text(const Model& model, std::unique_ptr<Template> chat_template);
  void read_vocabulary();
  void read_marks();
  void read_reasoning();
  void read_tools();
  void add_tools(const wire::Chat& chat, RenderedPrompt& prompt) const;
  wire::Chat guarded(wire::Chat chat, std::string_view nonce) const;
  base::Result<RenderedPrompt> apply(const wire::Chat& request, std::string_view nonce) const;
  base::Result<std::vector<Token>> tokens_of(std::string_view text, bool add_special,
                                             bool parse_special) const;

  base::Result<std::vector<Token>> tokens_of_mark(std::string_view text) const;

  const Model& model_;
  std::unique_ptr<Template> template_;
  SpecialText specials_;
  // Of these, those that the template writes though the vocabulary calls them ordinary.
  std::set<std::string, std::less<>> marks_;
  // Bytes of each token that is no special one, or that is a mark of the model's calls or thinking.
  std::vector<std::string> pieces_;
  std::size_t longest_piece_ = 1;
  ReasoningTags tags_;
  ToolPrompt tools_;
  bool knows_effort_ = false;  // the template knows reasoning_effort
  bool knows_max_effort_ = false;
};

}  // namespace deepseek::engine::llama
