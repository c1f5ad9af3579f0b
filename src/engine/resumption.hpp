// An answer that goes on behind what the client already has: from another server, or from an engine
// that died in the middle of it.
//
// By token ids it is replayed: the text's state and the sampler then stand where they stood, and
// the answer goes on as if it had never broken off, seeds and penalties included. By text alone the
// model reads the text as the beginning of its own answer. Pure but for the model's text side; runs
// with the job builder, which owns the job. Usage: see Resume in engine.proto.
#pragma once

#include "engine/engine_loop.hpp"

namespace deepseek::engine {

inline bool resumes_by_text(const wire::Submit& submit) {
  return submit.has_resume() && submit.resume().token_ids().empty();
}

// The messages, the last of them the answer that was begun.
wire::Chat begin_answer(wire::Chat chat, const wire::Resume& resume);

// Makes the job go on behind the spoken text. Its prompt is without the spoken tokens if they are
// known, else with the text; the rest of it is as of a new answer. Fails with `not_implemented`
// when the tokens do not say the text that was sent: another backend may go on by text.
base::Result<void> resume(const wire::Resume& resume, const TextModel& model,
                          std::int32_t context_max, SubmitJob& job);

}  // namespace deepseek::engine
