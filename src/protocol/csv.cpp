#include "protocol/csv.hpp"

#include <utility>

namespace deepseek::protocol {
namespace {

class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ == text_.size(); }
  const std::string& problem() const { return problem_; }

  // The fields of the next row; their text only if `texts` is given. False after a problem.
  bool read_row(std::int64_t& fields, std::vector<std::string>* texts) {
    for (fields = 1;; ++fields) {
      std::string text;
      if (!read_field(fields, texts == nullptr ? nullptr : &text)) return false;
      if (texts != nullptr) texts->push_back(std::move(text));
      if (at_end() || text_[at_] != ',') break;
      ++at_;
    }
    if (at_end()) return true;
    if (text_[at_] == '\r') ++at_;
    ++at_;  // read_field() stops at line ends only
    return true;
  }

 private:
  bool is_line_end() const {
    return text_[at_] == '\n' ||
           (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n');
  }

  bool read_field(std::int64_t column, std::string* text) {
    if (!at_end() && text_[at_] == '"') return read_quoted(column, text);
    for (; !at_end() && text_[at_] != ',' && !is_line_end(); ++at_) {
      if (text_[at_] == '"') {
        return fail(column, "a quote inside a field that does not begin with one");
      }
      if (text != nullptr) *text += text_[at_];
    }
    return true;
  }

  bool read_quoted(std::int64_t column, std::string* text) {
    ++at_;
    while (!at_end()) {
      const char character = text_[at_++];
      if (character == '"') {
        const bool doubled = !at_end() && text_[at_] == '"';
        if (!doubled) return end_quoted(column);
        ++at_;
      }
      if (text != nullptr) *text += character;
    }
    return fail(column, "a quote that is not closed");
  }

  bool end_quoted(std::int64_t column) {
    if (at_end() || text_[at_] == ',' || is_line_end()) return true;
    return fail(column, "text behind the closing quote");
  }

  bool fail(std::int64_t column, std::string_view what) {
    problem_ = "column " + std::to_string(column) + " has " + std::string(what);
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string problem_;
};

base::Error row_error(std::int64_t row, const std::string& what) {
  return base::make_error(base::ErrorCode::invalid_request,
                          "row " + std::to_string(row) + ": " + what);
}

}  // namespace

base::Result<CsvTable> check_csv(std::string_view text, std::int64_t rows_max) {
  CsvTable table;
  CsvReader reader(text);
  std::int64_t columns = 0;
  if (text.empty()) return row_error(1, "the names of the columns are missing");
  if (!reader.read_row(columns, &table.columns)) return row_error(1, reader.problem());
  for (std::int64_t row = 2; !reader.at_end(); ++row) {
    if (++table.rows > rows_max) {
      return row_error(row, "there are more than " + std::to_string(rows_max) + " rows");
    }
    std::int64_t fields = 0;
    if (!reader.read_row(fields, nullptr)) return row_error(row, reader.problem());
    if (fields == columns) continue;
    return row_error(row, "found " + std::to_string(fields) + " columns; the first row has " +
                              std::to_string(columns));
  }
  return table;
}

}  // namespace deepseek::protocol
