// Where this program lies, and what lies beside it: the engine and the models it ships with.
//
// Read once at start, from /proc/self/exe.
#pragma once

#include <string>
#include <vector>

namespace deepseek::server {

struct ProgramPaths {
  std::string server;                          // this program
  std::string engine;                          // deepseek-engine beside it
  std::vector<std::string> share_directories;  // where relative model paths are looked for
};

ProgramPaths find_program_paths();

}  // namespace deepseek::server
