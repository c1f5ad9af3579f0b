#include "engine/gguf_header.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <unordered_set>
#include <utility>
#include <vector>

namespace deepseek::engine {
namespace {

using base::Result;

constexpr std::uint64_t kTensorsMax = 1U << 20U;
constexpr std::uint64_t kKeysMax = 1U << 20U;
constexpr std::uint64_t kKeyBytesMax = 64U << 10U;
constexpr std::uint32_t kDimensionsMax = 4;
constexpr const char* kDownload = " Download the model file again.";

enum ValueType : std::uint32_t {
  kBool = 7,
  kString = 8,
  kArray = 9,
  kTypeCount = 13,
};
// Bytes of a value of each type; 0 for strings and arrays.
constexpr std::array<std::uint64_t, kTypeCount> kValueBytes = {1, 1, 2, 2, 4, 4, 4,
                                                               1, 0, 0, 8, 8, 8};

base::Error damaged(std::string message) {
  return base::make_error(base::ErrorCode::invalid_request, std::move(message) + kDownload);
}

// A place in the file; every step is checked against its end.
class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file) {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t left() const { return file_.size() - offset_; }

  template <class T>
  bool number(T& value) {
    if (left() < sizeof value) return false;
    std::memcpy(&value, file_.data() + offset_, sizeof value);
    offset_ += sizeof value;
    return true;
  }
  bool text(std::string& value, std::uint64_t bytes_max) {
    std::uint64_t bytes = 0;
    if (!number(bytes) || bytes > bytes_max || bytes > left()) return false;
    value.assign(file_.substr(offset_, bytes));
    offset_ += bytes;
    return true;
  }
  bool skip(std::uint64_t bytes) {
    if (bytes > left()) return false;
    offset_ += bytes;
    return true;
  }
  bool skip_text() {
    std::uint64_t bytes = 0;
    return number(bytes) && skip(bytes);
  }

 private:
  std::string_view file_;
  std::uint64_t offset_ = 0;
};

std::string at(std::uint64_t offset) {
  return "at byte " + std::to_string(offset);
}

bool skip_value(Reader& reader, std::uint32_t type) {
  if (type == kString) return reader.skip_text();
  if (type != kArray) return reader.skip(kValueBytes[type]);
  std::uint32_t element = 0;
  std::uint64_t count = 0;
  if (!reader.number(element) || !reader.number(count)) return false;
  if (element >= kTypeCount || element == kArray) return false;
  if (element != kString) {
    return count <= reader.left() / kValueBytes[element] &&
           reader.skip(count * kValueBytes[element]);
  }
  if (count > reader.left() / sizeof(std::uint64_t)) return false;
  for (std::uint64_t index = 0; index < count; ++index) {
    if (!reader.skip_text()) return false;
  }
  return true;
}

Result<void> read_counts(Reader& reader, GgufHeader& header) {
  std::uint32_t magic = 0;
  if (!reader.number(magic) || magic != 0x46554747U) {
    return base::make_error(base::ErrorCode::invalid_request,
                            "this is not a GGUF file: it does not begin with \"GGUF\". Give the "
                            "path of a model in GGUF form.");
  }
  if (!reader.number(header.version)) return damaged("the file ends in its version, at byte 4.");
  if (header.version != 2 && header.version != 3) {
    return base::make_error(base::ErrorCode::invalid_request,
                            "GGUF version " + std::to_string(header.version) +
                                " at byte 4 is not supported (2 and 3 are). Convert the model "
                                "with a current converter, for a little-endian machine.");
  }
  if (!reader.number(header.tensors) || !reader.number(header.metadata_keys)) {
    return damaged("the file ends in its counts, at byte " + std::to_string(reader.offset()) + ".");
  }
  if (header.tensors > kTensorsMax) {
    return damaged("the number of tensors at byte 8 is " + std::to_string(header.tensors) +
                   "; at most " + std::to_string(kTensorsMax) + " are possible.");
  }
  if (header.metadata_keys > kKeysMax) {
    return damaged("the number of metadata keys at byte 16 is " +
                   std::to_string(header.metadata_keys) + "; at most " + std::to_string(kKeysMax) +
                   " are possible.");
  }
  return {};
}

Result<void> read_key(Reader& reader, std::uint64_t index, GgufHeader& header) {
  const std::uint64_t start = reader.offset();
  std::string key;
  std::uint32_t type = 0;
  if (!reader.text(key, kKeyBytesMax)) {
    return damaged("metadata key " + std::to_string(index) + " " + at(start) +
                   " is cut or too long.");
  }
  const std::uint64_t value_start = reader.offset();
  if (!reader.number(type) || type >= kTypeCount) {
    return damaged("metadata field \"" + key + "\" " + at(value_start) + " has an unknown type.");
  }
  bool read = false;
  if (key == "general.architecture") {
    read = type == kString && reader.text(header.architecture, kKeyBytesMax);
  } else if (key == "general.alignment") {
    read = type == 4 && reader.number(header.alignment) && header.alignment > 0 &&
           header.alignment <= (1U << 20U) && (header.alignment & (header.alignment - 1)) == 0;
  } else {
    read = skip_value(reader, type);
  }
  if (read) return {};
  return damaged("the value of metadata field \"" + key + "\" " + at(value_start) +
                 " is wrong or runs past the end of the file.");
}

struct TensorPlace {
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

// a × b; nothing on overflow.
std::optional<std::uint64_t> product(std::uint64_t left, std::uint64_t right) {
  if (right != 0 && left > std::numeric_limits<std::uint64_t>::max() / 2 / right) {
    return std::nullopt;
  }
  return left * right;
}

Result<TensorPlace> read_tensor(Reader& reader, std::uint64_t index, const TensorTypes& types,
                                GgufHeader& header) {
  const std::uint64_t start = reader.offset();
  TensorPlace place;
  std::uint32_t dimensions = 0;
  if (!reader.text(place.name, kKeyBytesMax)) {
    return damaged("the name of tensor " + std::to_string(index) + " " + at(start) +
                   " is cut or too long.");
  }
  const std::string name = "tensor \"" + place.name + "\" (" + at(start) + ")";
  if (!reader.number(dimensions) || dimensions > kDimensionsMax) {
    return damaged(name + " has " + std::to_string(dimensions) +
                   " dimensions; at most 4 are "
                   "possible.");
  }
  std::optional<std::uint64_t> values = 1;
  std::uint64_t row = 1;
  for (std::uint32_t dimension = 0; dimension < dimensions; ++dimension) {
    std::uint64_t size = 0;
    if (!reader.number(size)) return damaged(name + " is cut in its sizes.");
    values = product(*values, size);
    if (!values || size == 0) return damaged(name + " has an impossible size.");
    if (dimension == 0) row = size;
  }
  std::uint32_t type = 0;
  if (!reader.number(type) || !reader.number(place.offset)) return damaged(name + " is cut.");
  const std::optional<TensorType> stored = types(type);
  if (!stored) {
    return base::make_error(base::ErrorCode::invalid_request,
                            name + " has type " + std::to_string(type) +
                                ", which this build does not know. Use another quantisation.");
  }
  if (row % stored->block_values != 0) {
    return damaged(name + " has rows of " + std::to_string(row) + " values; type " + stored->name +
                   " needs multiples of " + std::to_string(stored->block_values) + ".");
  }
  const auto bytes = product(*values / stored->block_values, stored->block_bytes);
  if (!bytes || place.offset % header.alignment != 0) {
    return damaged(name + " has an impossible size or offset.");
  }
  place.bytes = *bytes;
  header.parameters += *values;
  header.tensor_bytes += place.bytes;
  return place;
}

}  // namespace

Result<GgufHeader> read_gguf_header(std::string_view file, const TensorTypes& types) {
  Reader reader(file);
  GgufHeader header;
  const Result<void> counts = read_counts(reader, header);
  if (counts.has_error()) return counts.error();
  for (std::uint64_t index = 0; index < header.metadata_keys; ++index) {
    const Result<void> key = read_key(reader, index, header);
    if (key.has_error()) return key.error();
  }
  if (header.architecture.empty()) {
    return damaged("the metadata field \"general.architecture\" is missing.");
  }
  std::vector<TensorPlace> places;
  std::unordered_set<std::string> names;
  for (std::uint64_t index = 0; index < header.tensors; ++index) {
    Result<TensorPlace> place = read_tensor(reader, index, types, header);
    if (place.has_error()) return place.error();
    if (!names.insert(place->name).second) {
      return damaged("tensor \"" + place->name + "\" is there twice.");
    }
    places.push_back(std::move(*place));
  }
  const std::uint64_t alignment = header.alignment;
  header.data_offset = (reader.offset() + alignment - 1) / alignment * alignment;
  for (const TensorPlace& place : places) {
    const std::uint64_t room =
        file.size() - std::min<std::uint64_t>(file.size(), header.data_offset);
    if (place.offset <= room && place.bytes <= room - place.offset) continue;
    return damaged("the file is cut: the data of tensor \"" + place.name + "\" should be at byte " +
                   std::to_string(header.data_offset + place.offset) + " with " +
                   std::to_string(place.bytes) + " bytes, but the file has " +
                   std::to_string(file.size()) + ".");
  }
  return header;
}

}  // namespace deepseek::engine
