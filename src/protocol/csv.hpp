// A table as comma-separated values (RFC 4180), checked and not changed.
//
// Pure; linear in the text, and reads it once.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

struct CsvTable {
  std::vector<std::string> columns;  // the first row
  std::int64_t rows = 0;             // behind it
};

// The first row names the columns; every other has as many fields. A field in double quotes may
// hold commas, line ends and doubled quotes. Lines end in LF or CRLF; the last may lack it.
// invalid_request for anything else, with the row (1 is the first line's) and the column.
base::Result<CsvTable> check_csv(std::string_view text, std::int64_t rows_max);

}  // namespace deepseek::protocol
