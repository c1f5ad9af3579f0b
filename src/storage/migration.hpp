// Brings the tables of one room to the form that this program expects.
//
// Each room owns its list of steps and its number in the table `schema_version`, so rooms may share
// a file. A step that was released is never changed; a change is one more step at the end.
#pragma once

#include "storage/database.hpp"

#include <span>
#include <string_view>

namespace deepseek::storage {

// Runs the steps that the file has not seen, all in one transaction. `steps[i]` leads from version
// i to i + 1 and may hold several statements. A file that has seen more steps than these was
// written by a newer program and is refused with both numbers.
base::Result<void> migrate(Database& database, std::string_view room,
                           std::span<const std::string_view> steps);

}  // namespace deepseek::storage
