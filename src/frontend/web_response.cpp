#include "frontend/web_files.hpp"

#include <algorithm>

namespace deepseek::frontend {

const WebFile* find_web_file(std::string_view path) {
  const auto found = std::ranges::find(web_files(), path, &WebFile::path);
  return found == web_files().end() ? nullptr : &*found;
}

io::HttpResponse web_response(const WebFile& file, std::string_view request_id) {
  io::HttpResponse response;
  response.fields.add("Content-Type", std::string(file.type));
  response.fields.add("X-Request-Id", std::string(request_id));
  response.fields.add("Cache-Control", "no-cache");
  response.fields.add("Content-Security-Policy",
                      "default-src 'none'; script-src 'self'; style-src 'self'; "
                      "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                      "frame-ancestors 'none'");
  response.fields.add("Referrer-Policy", "no-referrer");
  response.fields.add("X-Content-Type-Options", "nosniff");
  response.body = file.text;
  return response;
}

bool wants_page(const io::HttpRequest& request) {
  return request.fields.find("accept").value_or("").find("text/html") != std::string_view::npos;
}

}  // namespace deepseek::frontend
