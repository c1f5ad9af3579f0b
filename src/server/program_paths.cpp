#include "server/program_paths.hpp"

#include <filesystem>
#include <system_error>

namespace deepseek::server {

namespace fs = std::filesystem;

ProgramPaths find_program_paths() {
  std::error_code ignored;
  // Also when its file was replaced while it runs.
  const fs::path server = "/proc/self/exe";
  fs::path folder = fs::read_symlink(server, ignored).parent_path();
  if (folder.empty()) folder = fs::current_path(ignored);
  ProgramPaths paths;
  paths.server = server;
  paths.engine = folder / "deepseek-engine";
  for (const char* share : {"share/models", "share/deepseek/models"}) {
    paths.share_directories.push_back((folder.parent_path() / share).string());
  }
  return paths;
}

}  // namespace deepseek::server
