// What a request says its answer must be, as the engine holds to it.
//
// Pure but for the model's text side; runs on the link's worker thread.
#pragma once

#include "engine/model_interface.hpp"

#include <optional>

namespace deepseek::engine {

// Nothing where any answer is right. Errors are the client's, with its field.
base::Result<std::optional<grammar::Constraint>> constraint_of(const wire::Submit& submit,
                                                               const TextModel& model);

}  // namespace deepseek::engine
