// The outside of the configuration: real files and the real environment.
#include "server/configuration_loader.hpp"
#include "server/configuration_text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace deepseek::server {
namespace {

using base::ErrorCode;
using base::make_error;
using base::Result;

base::Error unreadable(const std::string& path, const std::string& reason) {
  return make_error(ErrorCode::invalid_request, path + ": cannot read this file: " + reason);
}

Result<std::string> read_small_file(const std::string& path) {
  // O_NONBLOCK: a FIFO must not hang the start.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return unreadable(path, std::strerror(errno));
  struct stat status{};
  if (::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
    ::close(descriptor);
    return unreadable(path, "it is a directory");
  }
  std::string text;
  char buffer[16384];
  while (text.size() <= configuration_file_max) {
    const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int reason = errno;
      ::close(descriptor);
      if (count < 0) return unreadable(path, std::strerror(reason));
      return text;
    }
    text.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(descriptor);
  return unreadable(path, "it is larger than 2MB");
}

}  // namespace

Outside system_outside() {
  Outside outside;
  outside.read_file = read_small_file;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    outside.environment.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return outside;
}

Result<std::string> resolve_beside_model(const Configuration::Model& model,
                                         const std::string& written, const std::string& setting,
                                         const std::vector<std::string>& share_directories) {
  namespace files = std::filesystem;
  const files::path path(written);
  std::vector<files::path> candidates;
  if (path.is_absolute()) {
    candidates.push_back(path);
  } else {
    if (!model.directory.empty()) candidates.push_back(files::path(model.directory) / path);
    for (const std::string& directory : share_directories) {
      candidates.push_back(files::path(directory) / path);
    }
    candidates.push_back(path);
  }
  std::string tried;
  for (const files::path& candidate : candidates) {
    std::error_code code;
    const files::path absolute = files::absolute(candidate, code).lexically_normal();
    if (!code && files::is_regular_file(absolute, code)) return absolute.string();
    if (!tried.empty()) tried += ", ";
    tried += absolute.string();
  }
  return make_error(ErrorCode::invalid_request, "model " + model.name +
                                                    ": no such file; looked for " + tried +
                                                    "; set " + setting + " to the GGUF file");
}

Result<std::string> resolve_model_path(const Configuration::Model& model,
                                       const std::vector<std::string>& share_directories) {
  return resolve_beside_model(model, model.path, "models[].path", share_directories);
}

}  // namespace deepseek::server
