#include "observe/process_figures.hpp"

#include <dirent.h>
#include <unistd.h>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace deepseek::observe {
namespace {

std::string path_of(std::uint32_t pid, const char* file) {
  return "/proc/" + (pid == 0 ? std::string("self") : std::to_string(pid)) + "/" + file;
}

}  // namespace

std::uint64_t resident_bytes(std::uint32_t pid) {
  std::ifstream file(path_of(pid, "statm"));
  std::uint64_t pages = 0;
  std::uint64_t resident_pages = 0;
  if (!(file >> pages >> resident_pages)) return 0;
  return resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

double cpu_seconds(std::uint32_t pid) {
  std::ifstream file(path_of(pid, "stat"));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // The name in parentheses may hold anything, so fields are counted from the last one.
  const std::size_t after_name = text.rfind(')');
  if (after_name == std::string::npos) return 0;
  std::istringstream fields(text.substr(after_name + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // state … cmajflt
  double user = 0;
  double system = 0;
  if (!(fields >> user >> system)) return 0;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::uint64_t open_descriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  std::uint64_t entries = 0;
  while (::readdir(folder) != nullptr) ++entries;
  ::closedir(folder);
  return entries > 3 ? entries - 3 : 0;  // ".", ".." and the folder itself
}

}  // namespace deepseek::observe
