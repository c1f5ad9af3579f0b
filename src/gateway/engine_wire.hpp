// Between the neutral values of protocol/ and the messages of the engine's link.
//
// Pure; any thread.
#pragma once

#include "base/result.hpp"
#include "deepseek/engine/v1/engine.pb.h"
#include "gateway/backend.hpp"
#include "gateway/engine_backend.hpp"
#include "protocol/event.hpp"
#include "protocol/request.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

namespace wire = deepseek::engine::v1;

inline constexpr std::uint32_t engine_protocol_version = 1;

// One Submit per sequence (prompt × choice, in that order), still without `request`. Only the first
// choice of each prompt counts the prompt's tokens; a seed becomes seed + choice. What was spoken
// (null or empty: nothing) is told only to a lone sequence: text of several is not told apart.
// `images` are the files of the request's, in its order; without them a chat is its text alone.
std::vector<wire::Submit> make_submits(const protocol::Request& request,
                                       const EngineBackendOptions& options,
                                       const protocol::Spoken* spoken = nullptr,
                                       const ImageFiles& images = {});
wire::Embed make_embed(const protocol::EmbeddingRequest& request);
// Tokenize or Detokenize.
wire::ToEngine make_tokenize(const protocol::TokenizeRequest& request,
                             const ImageFiles& images = {});

// A number that is the same for the same work, whoever asks for it and when, and however much of it
// was done already.
// `images` are in it, and are looked at by their own fingerprints.
std::uint64_t fingerprint(wire::Submit& submit, const ImageFiles& images = {});
std::uint64_t fingerprint(const wire::Embed& embed);
// Of Tokenize or Detokenize, whose number is not set yet.
std::uint64_t fingerprint(wire::ToEngine& call, const ImageFiles& images = {});

// Started, Delta, ToolCallDelta or Finished as an event of `sequence`; never called with Failed.
protocol::Event to_event(wire::SequenceEvent&& event, std::int32_t sequence);
base::Error to_error(const wire::Failed& failed, std::string_view model);
EngineDescription to_description(const wire::Description& told);
EngineLoadFigures to_load(const wire::EngineLoad& told);
std::vector<EngineSequence> to_sequences(const wire::Step& told);

}  // namespace deepseek::gateway
