#include "engine/prefix_store.hpp"

#include "base/digest.hpp"
#include "base/version.hpp"
#include "engine/engine_options.hpp"
#include "engine/file_version.hpp"
#include "engine/picture.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

namespace deepseek::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".prefix";
constexpr const char* kUnfinished = ".tmp";
constexpr std::int32_t kFilesMax = 4096;
constexpr std::size_t kHeadMax = 1U << 20;  // bytes of a file that are read for its head

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

// Up to `bytes_max` of a file; nothing if it cannot be read.
std::optional<std::string> read_file(const fs::path& path, std::size_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat facts{};
  if (file.get() < 0 || ::fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) {
    return std::nullopt;
  }
  std::string bytes(std::min(static_cast<std::size_t>(facts.st_size), bytes_max), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

std::string file_name(const std::string& model, const std::string& key,
                      std::span<const Token> tokens) {
  base::Sha256 digest;
  digest.add_field(model);
  digest.add_field(key);
  digest.add({reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()});
  const base::Sha256Digest sum = digest.finish();
  return base::to_hex(std::span(sum).first(16)) + kExtension;
}

}  // namespace

fs::path prefix_folder(const EngineOptions& options) {
  std::error_code ignored;
  const fs::path path = fs::weakly_canonical(options.model, ignored);
  const base::Sha256Digest sum = base::sha256(path.string());
  return fs::path(options.cache_dir) / base::to_hex(std::span(sum).first(8));
}

std::string prefix_model(const EngineOptions& options) {
  std::string model = version_of(options.model) + ", states " + options.kv_type + ", llama.cpp " +
                      std::string(base::llama_cpp());
  for (const auto& [name, file] : options.adapters) {
    model += ", adapter " + name + " " + version_of(file);
  }
  return model;
}

base::Result<std::unique_ptr<PrefixStore>> PrefixStore::open(const PrefixStoreOptions& options,
                                                             base::Logger log) {
  std::error_code error;
  fs::create_directories(options.folder, error);
  if (!error) fs::permissions(options.folder, fs::perms::owner_all, error);  // It holds prompts.
  if (error || ::access(options.folder.c_str(), R_OK | W_OK | X_OK) != 0) {
    return base::make_error(
        base::ErrorCode::invalid_request,
        "engine.cache_dir: the folder " + options.folder.string() +
            " cannot be used: " + (error ? error.message() : std::strerror(errno)) + ".");
  }
  std::unique_ptr<PrefixStore> store(new PrefixStore(options, log));
  store->scan();
  store->worker_ = std::thread([raw = store.get()] { raw->work(); });
  return store;
}

PrefixStore::PrefixStore(const PrefixStoreOptions& options, base::Logger log)
    : options_(options), log_(log), tree_(kFilesMax) {
  for (std::int32_t number = kFilesMax; number > 0; --number) free_numbers_.push_back(number - 1);
}

PrefixStore::~PrefixStore() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (worker_.joinable()) worker_.join();
}

void PrefixStore::scan() {
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> paths;
  for (const auto& entry : fs::directory_iterator(options_.folder, error)) {
    const fs::path& path = entry.path();
    std::error_code ignored;
    if (path.extension() == kUnfinished) fs::remove(path, ignored);  // of a process that died
    if (path.extension() != kExtension) continue;
    paths.emplace_back(fs::last_write_time(path, ignored), path);
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& [time, path] : paths) adopt(path);
  const std::lock_guard lock(mutex_);
  make_room(0);
}

// A file of before; the folder is this model's alone, so what names another is of the past.
void PrefixStore::adopt(const fs::path& path) {
  const std::optional<std::string> bytes = read_file(path, kHeadMax);
  const auto head = bytes ? read_prefix_head(*bytes)
                          : base::Result<PrefixFileHead>(base::make_error(
                                base::ErrorCode::internal, "stored prefix: it cannot be read"));
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  const std::lock_guard lock(mutex_);
  const bool whole =
      head.has_value() && !error && size == head->size + head->state_bytes + kPrefixChecksumBytes;
  if (!whole || head->model != options_.model) {
    fs::remove(path, error);
    ++figures_.removed_bad;
    return;
  }
  add(head->key, head->tokens, {path, size, ++uses_});
}

void PrefixStore::add(const std::string& key, std::span<const Token> tokens, File file) {
  if (free_numbers_.empty()) forget_oldest();
  const std::int32_t number = free_numbers_.back();
  free_numbers_.pop_back();
  tree_.open(number, key);
  tree_.extend(number, tokens);
  bytes_ += file.bytes;
  files_.emplace(number, std::move(file));
}

void PrefixStore::forget(std::int32_t number, bool remove_file) {
  const auto entry = files_.find(number);
  if (entry == files_.end()) return;
  std::error_code ignored;
  if (remove_file) fs::remove(entry->second.path, ignored);
  bytes_ -= entry->second.bytes;
  tree_.close(number);
  free_numbers_.push_back(number);
  files_.erase(entry);
}

void PrefixStore::forget_oldest() {
  const auto oldest = std::min_element(
      files_.begin(), files_.end(), [](auto& a, auto& b) { return a.second.used < b.second.used; });
  forget(oldest->first, true);
}

void PrefixStore::make_room(std::uint64_t bytes) {
  while (!files_.empty() && bytes_ + bytes > options_.bytes_max) forget_oldest();
}

PrefixStore::Found PrefixStore::find(const std::string& key, std::span<const Token> tokens) const {
  if (tokens.empty()) return {};
  const std::lock_guard lock(mutex_);
  const KvTree::Match match = tree_.find(key, tokens.first(tokens.size() - 1));
  if (match.length < options_.tokens_min) return {};
  return {match.slot, match.length, tree_.length(match.slot)};
}

void PrefixStore::load(const Found& found, Done done) {
  {
    const std::lock_guard lock(mutex_);
    loads_.push_back({found.file, std::move(done)});
  }
  changed_.notify_all();
}

std::optional<PrefixFile> PrefixStore::read(std::int32_t number) {
  fs::path path;
  {
    const std::lock_guard lock(mutex_);
    const auto entry = files_.find(number);
    if (entry == files_.end()) return std::nullopt;
    entry->second.used = ++uses_;
    path = entry->second.path;
  }
  const std::optional<std::string> bytes = read_file(path, std::string::npos);
  base::Result<PrefixFile> file =
      bytes ? read_prefix_file(*bytes)
            : base::Result<PrefixFile>(base::make_error(base::ErrorCode::invalid_request,
                                                        "stored prefix: it cannot be read"));
  const std::lock_guard lock(mutex_);
  if (file.has_value() && file->model == options_.model) {
    ++figures_.hits;
    std::error_code ignored;
    fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
    return std::move(*file);
  }
  const auto entry = files_.find(number);
  if (entry == files_.end() || entry->second.path != path) return std::nullopt;
  log_.warning("a stored prefix was removed",
               {{"file", path.string()},
                {"why", file.has_error() ? file.error().message : std::string("another model")}});
  ++figures_.removed_bad;
  forget(number, true);
  return std::nullopt;
}

bool PrefixStore::wants(const std::string& key, std::span<const Token> tokens) const {
  const auto size = static_cast<std::int32_t>(tokens.size());
  if (size < options_.tokens_min) return false;
  // Rows of images have their ids from this process alone.
  if (std::ranges::any_of(tokens, is_row)) return false;
  const std::lock_guard lock(mutex_);
  if (pending_bytes_ >= options_.pending_bytes_max || tokens.size() >= tokens_limit_) return false;
  // Nearly all of it is as good as all of it.
  return tree_.find(key, tokens).length < size - options_.tokens_min / 2;
}

void PrefixStore::put(const std::string& key, std::span<const Token> tokens, State state) {
  {
    const std::lock_guard lock(mutex_);
    if (state->size() > options_.pending_bytes_max) {
      tokens_limit_ = std::min(tokens_limit_, tokens.size());
    }
    if (pending_bytes_ + state->size() > options_.pending_bytes_max) {
      ++figures_.dropped;
      return;
    }
    pending_bytes_ += state->size();
    pending_.push_back({key, {tokens.begin(), tokens.end()}, std::move(state)});
  }
  changed_.notify_all();
}

void PrefixStore::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !pending_.empty() || !loads_.empty(); });
    if (stopping_) loads_.clear();
    if (loads_.empty() && pending_.empty()) return;
    busy_ = true;
    if (!loads_.empty()) {
      const Load load = std::move(loads_.front());
      loads_.pop_front();
      lock.unlock();
      load.done(read(load.number));
      lock.lock();
    } else {
      const Pending pending = std::move(pending_.front());
      pending_.pop_front();
      lock.unlock();
      write(pending);
      lock.lock();
      pending_bytes_ -= pending.state->size();
    }
    busy_ = false;
    changed_.notify_all();
  }
}

// First under another name, so that no half of a file is ever found; the checksum covers what a
// loss of power does to it.
void PrefixStore::write(const Pending& pending) {
  const std::string head =
      prefix_file_head(options_.model, pending.key, pending.tokens, pending.state->size());
  const std::string sum = prefix_file_checksum(head, *pending.state);
  const std::uint64_t bytes = head.size() + pending.state->size() + sum.size();
  const fs::path path = options_.folder / file_name(options_.model, pending.key, pending.tokens);
  fs::path unfinished = path;
  unfinished += kUnfinished;
  bool done = false;
  {
    const std::lock_guard lock(mutex_);
    if (bytes <= options_.bytes_max) make_room(bytes);
  }
  if (bytes <= options_.bytes_max) {
    const Descriptor file(
        ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    done = file.get() >= 0 && write_all(file.get(), head) &&
           write_all(file.get(), *pending.state) && write_all(file.get(), sum) &&
           ::rename(unfinished.c_str(), path.c_str()) == 0;
  }
  const int reason = errno;
  const std::lock_guard lock(mutex_);
  if (!done) {
    std::error_code ignored;
    fs::remove(unfinished, ignored);
    if (figures_.dropped++ == 0) {
      log_.warning("a prefix could not be stored; more of this is not told",
                   {{"folder", options_.folder.string()}, {"error", std::strerror(reason)}});
    }
    return;
  }
  for (const auto& [number, file] : files_) {
    if (file.path != path) continue;
    forget(number, false);  // written anew
    break;
  }
  add(pending.key, pending.tokens, {path, bytes, ++uses_});
  ++figures_.written;
}

PrefixStore::Figures PrefixStore::figures() const {
  const std::lock_guard lock(mutex_);
  Figures figures = figures_;
  figures.files = files_.size();
  figures.bytes = bytes_;
  return figures;
}

void PrefixStore::flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return pending_.empty() && loads_.empty() && !busy_; });
}

}  // namespace deepseek::engine
