// What an answer with tools may be, as one of xgrammar's structural tags: calls in the model's
// format whose arguments are valid, and text around them where no call is asked for.
//
// Pure.
#pragma once

#include "base/result.hpp"
#include "engine/tool_format.hpp"
#include "grammar/constraint.hpp"

#include "deepseek/engine/v1/engine.pb.h"

#include <optional>

namespace deepseek::engine {

// Of a chat whose tools were checked (check_tools) and are shown to the model. With `answer`, what
// is no call is held to that. A schema that cannot be enforced is an error, which names it, where
// the tool is strict; other tools then take any object. Nothing if every answer is right.
base::Result<std::optional<grammar::Constraint>> tool_tags(
    const deepseek::engine::v1::Chat& chat, ToolFormat format,
    const std::optional<grammar::Constraint>& answer);

}  // namespace deepseek::engine
