// Tells whether a file is still the one that was seen before, without reading it.
#pragma once

#include <string>

namespace deepseek::engine {

// Its size and when it was changed. The same for all files that are not there.
std::string version_of(const std::string& file);

}  // namespace deepseek::engine
