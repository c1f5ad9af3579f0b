#include "engine/resumption.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::engine {
namespace {

constexpr const char* kAssistant = "assistant";

base::Error other_tokens(const std::string& how) {
  return base::make_error(
      base::ErrorCode::not_implemented,
      "The answer cannot go on here: its tokens " + how + ". They are of another model.");
}

base::Error not_allowed() {
  return base::make_error(base::ErrorCode::not_implemented,
                          "The answer cannot go on here: what was said of it is not what the "
                          "request asks for.");
}

// False if `text` does not begin with what was sent of it.
bool drop_sent(std::string& text, const std::string& sent) {
  if (!text.starts_with(sent)) return false;
  text.erase(0, sent.size());
  return true;
}

// Takes the tokens as the loop took them when they were chosen. An answer that ends in them is
// marked so in the job.
base::Result<std::vector<Token>> replay(const wire::Resume& resume, const TextModel& model,
                                        SubmitJob& job) {
  std::vector<Token> spoken;
  spoken.reserve(static_cast<std::size_t>(resume.token_ids_size()));
  for (const Token token : resume.token_ids()) {
    if (token < 0 || token >= model.vocabulary()) return other_tokens("are not in the vocabulary");
    spoken.push_back(token);
    const bool thought = job.text.reasoning();
    if (job.constraint && !thought && !job.constraint->accept(token)) return not_allowed();
    AnswerText::Output output = job.text.push(model.piece(token, false));
    if (job.constraint && thought && !job.constraint->accept_text(job.text.begun())) {
      return not_allowed();
    }
    job.unsent.content += output.content;
    job.unsent.reasoning += output.reasoning;
    if (!output.stopped) continue;
    job.ended = EndReason::stop;
    break;
  }
  job.spec.prompt.insert(job.spec.prompt.end(), spoken.begin(), spoken.end());
  return spoken;
}

// The text is in the prompt already; here its tokens are only counted and shown to the sampler.
base::Result<std::vector<Token>> follow(const wire::Resume& resume, const TextModel& model,
                                        SubmitJob& job) {
  base::Result<std::vector<Token>> spoken = model.tokenize(resume.reasoning(), false);
  if (spoken.has_error()) return spoken.error();
  const base::Result<std::vector<Token>> content = model.tokenize(resume.content(), false);
  if (content.has_error()) return content.error();
  spoken->insert(spoken->end(), content->begin(), content->end());
  if (job.constraint && !job.constraint->accept_text(resume.content())) return not_allowed();
  if (!resume.content().empty() && job.text.follow(resume.content())) job.ended = EndReason::stop;
  return spoken;
}

}  // namespace

wire::Chat begin_answer(wire::Chat chat, const wire::Resume& resume) {
  if (resume.content().empty() && resume.reasoning().empty()) return chat;
  // The client's own beginning of the answer, if it wrote one, is not among what was spoken.
  const int last = chat.messages_size() - 1;
  const bool begun =
      chat.continue_final_message() && last >= 0 && chat.messages(last).role() == kAssistant;
  wire::ChatMessage* answer = begun ? chat.mutable_messages(last) : chat.add_messages();
  answer->set_role(kAssistant);
  if (answer->parts().empty()) {
    answer->mutable_content()->append(resume.content());
  } else {
    answer->add_parts()->set_text(resume.content());
  }
  answer->mutable_reasoning_content()->append(resume.reasoning());
  chat.set_continue_final_message(true);
  return chat;
}

base::Result<void> resume(const wire::Resume& resume, const TextModel& model,
                          std::int32_t context_max, SubmitJob& job) {
  const bool by_text = resume.token_ids().empty();
  const base::Result<std::vector<Token>> spoken =
      by_text ? follow(resume, model, job) : replay(resume, model, job);
  if (spoken.has_error()) return spoken.error();
  job.sampler->replay(*spoken);

  const auto count = static_cast<std::int64_t>(spoken->size());
  const auto read = static_cast<std::int64_t>(job.spec.prompt.size());
  // A prompt that fills the context by itself is refused as ever.
  const bool full = read >= context_max && read - count < context_max;
  const bool all_said = job.spec.tokens_max > 0 && count >= job.spec.tokens_max;
  if (!job.ended && (full || all_said)) job.ended = EndReason::length;
  if (job.ended) {
    AnswerText::Output rest = job.text.finish();
    rest.put_first(job.unsent);
    job.unsent = std::move(rest);
  } else if (job.spec.tokens_max > 0) {
    job.spec.tokens_max -= static_cast<std::int32_t>(count);
  }
  if (by_text) return {};
  if (!drop_sent(job.unsent.reasoning, resume.reasoning()) ||
      !drop_sent(job.unsent.content, resume.content())) {
    return other_tokens("say other text than was sent");
  }
  return {};
}

}  // namespace deepseek::engine
