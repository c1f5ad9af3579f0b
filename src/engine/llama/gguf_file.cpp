#include "engine/llama/gguf_file.hpp"

#include <fcntl.h>
#include <ggml.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <optional>

namespace deepseek::engine::llama {

using base::Result;

namespace {

class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile() {
    if (size_ > 0) ::munmap(data_, size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Result<void> open(const std::string& what, const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
      return refuse_file(what, path,
                         std::string("cannot be opened: ") + std::strerror(errno) +
                             ". Check the path and its permissions.");
    }
    struct stat status{};
    ::fstat(descriptor, &status);
    Result<void> result;
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
      result =
          refuse_file(what, path, "is empty or no regular file. Give the path of a GGUF file.");
    } else {
      const auto size = static_cast<std::size_t>(status.st_size);
      void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (data == MAP_FAILED) {
        result =
            refuse_file(what, path, std::string("cannot be mapped: ") + std::strerror(errno) + ".");
      } else {
        data_ = data;
        size_ = size;
      }
    }
    ::close(descriptor);
    return result;
  }
  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

std::optional<TensorType> tensor_type(std::uint32_t type) {
  if (type >= GGML_TYPE_COUNT) return std::nullopt;
  const auto native = static_cast<ggml_type>(type);
  const std::size_t bytes = ggml_type_size(native);
  if (bytes == 0) return std::nullopt;  // a type that ggml has given up
  return TensorType{ggml_type_name(native), static_cast<std::uint64_t>(ggml_blck_size(native)),
                    bytes};
}

}  // namespace

base::Error refuse_file(const std::string& what, const std::string& path, const std::string& why) {
  return base::make_error(base::ErrorCode::invalid_request, what + " " + path + ": " + why);
}

Result<GgufHeader> read_gguf_file(const std::string& what, const std::string& path) {
  MappedFile file;
  const Result<void> opened = file.open(what, path);
  if (opened.has_error()) return opened.error();
  Result<GgufHeader> read = read_gguf_header(file.bytes(), tensor_type);
  if (read.has_error()) return refuse_file(what, path, read.error().message);
  return read;
}

}  // namespace deepseek::engine::llama
