#include "protocol/csv.hpp"

#include <gtest/gtest.h>

namespace deepseek::protocol {
namespace {

std::string problem(std::string_view text, std::int64_t rows_max = 100) {
  const auto table = check_csv(text, rows_max);
  return table.has_error() ? table.error().message : "none";
}

TEST(Csv, takes_tables) {
  const auto table = check_csv("name,price\napple,1.5\npear,2\n", 2);
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->columns, (std::vector<std::string>{"name", "price"}));
  EXPECT_EQ(table->rows, 2);
  EXPECT_EQ(check_csv("a", 0)->rows, 0);
  EXPECT_EQ(check_csv("a\r\n1\r\n\r\n", 9)->rows, 2);  // an empty line is an empty field
}

TEST(Csv, takes_what_quotes_allow) {
  const auto table = check_csv("\"a,\"\"b\"\"\",\"c\nd\"\r\n\"\",x\n1,\"2\"", 9);
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->columns, (std::vector<std::string>{"a,\"b\"", "c\nd"}));
  EXPECT_EQ(table->rows, 2);
}

TEST(Csv, says_row_and_column_of_a_mistake) {
  EXPECT_EQ(problem(""), "row 1: the names of the columns are missing");
  EXPECT_EQ(problem("a,b\n1\n"), "row 2: found 1 columns; the first row has 2");
  EXPECT_EQ(problem("a,b\n1,2\n1,2,3"), "row 3: found 3 columns; the first row has 2");
  EXPECT_EQ(problem("a,b\n\n1,2"), "row 2: found 1 columns; the first row has 2");
  EXPECT_EQ(problem("a,b\n1,x\"y\n"),
            "row 2: column 2 has a quote inside a field that does not begin with one");
  for (const char* text : {"a,b\n1,\"x\n", "a,b\n1,\"", "a,b\n1,\"x\"\""}) {
    EXPECT_EQ(problem(text), "row 2: column 2 has a quote that is not closed") << text;
  }
  EXPECT_EQ(problem("a,b\n\"1\"x,2"), "row 2: column 1 has text behind the closing quote");
  EXPECT_EQ(problem("a\n1\n2\n3", 2), "row 4: there are more than 2 rows");
}

}  // namespace
}  // namespace deepseek::protocol
