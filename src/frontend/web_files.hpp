// The files of web/ and docs/openapi.yaml, as they were at build time, and the answers that carry
// them.
//
// Pure; the texts are part of the program (CMakeLists.txt of this room writes web_files.cpp).
#pragma once

#include "io/http_message.hpp"

#include <span>
#include <string_view>

namespace deepseek::frontend {

struct WebFile {
  std::string_view path;  // as "/chat.js"
  std::string_view type;  // its media type
  std::string_view text;
};

std::span<const WebFile> web_files();
const WebFile* find_web_file(std::string_view path);  // null if there is none

// With the fields that keep a page from loading or sending anything elsewhere.
io::HttpResponse web_response(const WebFile& file, std::string_view request_id);

// True for a browser's look at a page; programs that take anything (*/*) are not meant.
bool wants_page(const io::HttpRequest& request);

}  // namespace deepseek::frontend
