#include "base/log.hpp"

#include <unistd.h>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <mutex>
#include <thread>

namespace deepseek::base {
namespace {

constexpr std::string_view level_names[] = {"debug", "info", "warning", "error"};

std::string timestamp() {
  const auto wall = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(wall);
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(wall.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::string result(text, length);
  const std::string fraction = std::to_string(1000 + millis).substr(1);
  return result + "." + fraction + "Z";
}

// Appends `text` between quotes; control characters are escaped, so a value can never start a line
// of its own.
void append_quoted(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out.push_back(hex[byte >> 4]);
      out.push_back(hex[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

bool is_bare(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f || c == '"' || c == '=' || c == '\\') return false;
  }
  return true;
}

std::string render_text(LogLevel level, std::string_view room, std::string_view message,
                        std::initializer_list<LogField> fields) {
  std::string line = timestamp();
  line += ' ';
  line += level_names[static_cast<int>(level)];
  line += ' ';
  line += room;
  line += ' ';
  append_quoted(line, message);
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    if (is_bare(field.value)) {
      line += field.value;
    } else {
      append_quoted(line, field.value);
    }
  }
  line += '\n';
  return line;
}

std::string render_json(LogLevel level, std::string_view room, std::string_view message,
                        std::initializer_list<LogField> fields) {
  std::string line = R"({"time":")" + timestamp() + R"(","level":")";
  line += level_names[static_cast<int>(level)];
  line += R"(","room":)";
  append_quoted(line, room);
  line += R"(,"message":)";
  append_quoted(line, message);
  for (const LogField& field : fields) {
    line += ',';
    append_quoted(line, field.key);
    line += ':';
    if (field.number) {
      line += field.value;
    } else {
      append_quoted(line, field.value);
    }
  }
  line += "}\n";
  return line;
}

}  // namespace

struct LogSink::Writer {
  explicit Writer(const Options& options)
      : descriptor(options.descriptor), lines_max(options.lines_max) {
    thread = std::thread([this] { run(); });
  }
  ~Writer() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    thread.join();
  }

  void push(std::string line) {
    {
      const std::lock_guard lock(mutex);
      if (lines.size() >= lines_max) {
        ++dropped;
        return;
      }
      lines.push_back(std::move(line));
    }
    wake.notify_one();
  }

  void flush(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex);
    idle.wait_for(lock, limit, [this] { return lines.empty() && !writing; });
  }

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [this] { return stopping || !lines.empty(); });
      std::deque<std::string> batch;
      batch.swap(lines);
      const std::uint64_t lost = dropped;
      dropped = 0;
      const bool last = stopping;
      writing = true;
      lock.unlock();
      for (const std::string& line : batch) write_all(line);
      if (lost > 0) {
        write_all(
            timestamp() +
            " warning base \"log lines were dropped: the reader of the log is too slow\" lines=" +
            std::to_string(lost) + "\n");
      }
      lock.lock();
      writing = false;
      idle.notify_all();
      if (last && lines.empty()) return;
    }
  }

  void write_all(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t written = ::write(descriptor, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;  // The reader is gone; there is nowhere left to report it.
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  const int descriptor;
  const std::size_t lines_max;
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable idle;
  std::deque<std::string> lines;
  std::uint64_t dropped = 0;
  bool stopping = false;
  bool writing = false;
  std::thread thread;
};

LogSink::LogSink(const Options& options)
    : level_(options.level), format_(options.format), writer_(std::make_unique<Writer>(options)) {}

LogSink::~LogSink() = default;

void LogSink::write(LogLevel level, std::string_view room, std::string_view message,
                    std::initializer_list<LogField> fields) {
  writer_->push(format_ == LogFormat::json ? render_json(level, room, message, fields)
                                           : render_text(level, room, message, fields));
}

void LogSink::flush(std::chrono::milliseconds limit) {
  writer_->flush(limit);
}

bool LogLimit::allow(std::chrono::steady_clock::time_point now, std::int64_t& suppressed) {
  const std::int64_t second =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  std::int64_t current = second_.load(std::memory_order_relaxed);
  if (current != second && second_.compare_exchange_strong(current, second)) written_.store(0);
  if (written_.fetch_add(1) >= burst_) {
    suppressed_.fetch_add(1);
    return false;
  }
  suppressed = suppressed_.exchange(0);
  return true;
}

}  // namespace deepseek::base
