// Reads items of the Responses form as messages. Items that one turn of the model is made of
// (reasoning, a message, calls) become one message again.
//
// Pure; private to this room; lives for one decode.
#pragma once

#include "protocol/json_reader.hpp"
#include "protocol/request.hpp"
#include "protocol/request_limits.hpp"

#include <boost/json/array.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::protocol {

class ItemReader {
 public:
  // Messages and what they need go into `request`; the items themselves, as
  // ResponsesFields::input_items has them, into `kept` unless it is null.
  ItemReader(const RequestLimits& limits, Request& request, std::vector<std::string>* kept)
      : limits_(limits), request_(request), kept_(kept) {}

  void read_text(std::string text);
  void read_list(JsonReader& holder, const boost::json::array* items, std::string_view path);

 private:
  void read_item(JsonReader& item);
  void read_message(JsonReader& item);
  std::vector<ContentPart> read_parts(JsonReader& holder, std::string_view field);
  void read_part(JsonReader& part, std::vector<ContentPart>& parts);
  void read_call(JsonReader& item);
  void read_result(JsonReader& item);
  void read_reasoning(JsonReader& item);
  std::string read_texts(JsonReader& item, std::string_view field);
  Message& turn(bool wants_content);
  void add_message(Role role, std::vector<ContentPart> parts);
  template <class Fill>
  void keep(std::string_view type, const Fill& fill);

  const RequestLimits& limits_;
  Request& request_;
  std::vector<std::string>* const kept_;
};

}  // namespace deepseek::protocol
