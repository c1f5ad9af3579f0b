// docs/openapi.yaml and the table of endpoints name the same paths and methods.
#include "frontend/endpoint_table.hpp"
#include "frontend/rpc_routes.hpp"

#include <gtest/gtest.h>
#include <fstream>
#include <set>
#include <string>

namespace deepseek::frontend {
namespace {

// The document's "METHOD /path" under `paths:`. A path that refers to another has its methods.
std::set<std::string> documented() {
  std::ifstream document(DEEPSEEK_SOURCE_DIR "/docs/openapi.yaml");
  std::set<std::string> found;
  std::string line;
  std::string path;
  bool inside = false;
  const std::string reference = "    $ref: '#/paths/";
  while (std::getline(document, line)) {
    if (!line.empty() && line[0] != ' ') inside = line == "paths:";
    if (!inside) continue;
    if (line.starts_with("  /") && line.ends_with(":")) path = line.substr(2, line.size() - 3);
    if (line.starts_with("    get:")) found.insert("GET " + path);
    if (line.starts_with("    post:")) found.insert("POST " + path);
    if (line.starts_with("    delete:")) found.insert("DELETE " + path);
    if (!line.starts_with(reference)) continue;
    std::string other = line.substr(reference.size(), line.size() - reference.size() - 1);
    for (std::size_t at = 0; (at = other.find("~1", at)) != std::string::npos;) {
      other.replace(at, 2, "/");
    }
    for (const std::string method : {"GET ", "POST ", "DELETE "}) {
      if (found.contains(method + other)) found.insert(method + path);
    }
  }
  return found;
}

TEST(OpenApi, NamesTheEndpointsOfTheTable) {
  std::set<std::string> table;
  for (const EndpointRow& row : endpoint_table()) {
    table.insert(std::string(row.method) + " " + std::string(row.path));
  }
  for (const EndpointRow& row : rpc_http_table()) {
    table.insert(std::string(row.method) + " " + std::string(row.path));
  }
  EXPECT_EQ(documented(), table);
}

}  // namespace
}  // namespace deepseek::frontend
