// Logging: one logger per room, key=value or JSON lines on standard error.
//
// A line is handed to a writer thread through a bounded queue, so no I/O thread ever waits for a
// terminal or a pipe; when the queue is full, lines are dropped and counted, and the count is
// logged. Owned by main() as a LogSink; any thread may log. No prompts, no keys. Error means that a
// human must act. Whatever traffic can trigger uses a LogLimit.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace deepseek::base {

enum class LogLevel { debug, info, warning, error };
enum class LogFormat { text, json };

struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(std::string_view k, std::int64_t v) : key(k), value(std::to_string(v)), number(true) {}
  LogField(std::string_view k, int v) : LogField(k, static_cast<std::int64_t>(v)) {}
  LogField(std::string_view k, std::uint64_t v) : key(k), value(std::to_string(v)), number(true) {}
  LogField(std::string_view k, std::chrono::milliseconds v)
      : LogField(k, static_cast<std::int64_t>(v.count())) {}

  std::string_view key;
  std::string value;
  bool number = false;
};

class LogSink {
 public:
  struct Options {
    LogFormat format = LogFormat::text;
    LogLevel level = LogLevel::info;
    int descriptor = 2;
    std::size_t lines_max = 8192;
  };
  explicit LogSink(const Options& options);
  ~LogSink();  // writes what is queued, then stops the writer thread
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;

  void write(LogLevel level, std::string_view room, std::string_view message,
             std::initializer_list<LogField> fields);
  // Waits until what is queued is written, or `limit` has passed: before a sudden end.
  void flush(std::chrono::milliseconds limit);
  bool enabled(LogLevel level) const { return level >= level_.load(std::memory_order_relaxed); }
  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }

 private:
  struct Writer;
  std::atomic<LogLevel> level_;
  LogFormat format_;
  std::unique_ptr<Writer> writer_;
};

// A room's handle on the sink; cheap to copy. A default-made Logger is silent (for tests).
class Logger {
 public:
  Logger() = default;
  Logger(LogSink& sink, std::string_view room)
      : sink_(&sink), room_(room) {}  // `room` is a literal

  void debug(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    write(LogLevel::debug, message, fields);
  }
  void info(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    write(LogLevel::info, message, fields);
  }
  void warning(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    write(LogLevel::warning, message, fields);
  }
  void error(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    write(LogLevel::error, message, fields);
  }
  bool enabled(LogLevel level) const { return sink_ != nullptr && sink_->enabled(level); }

 private:
  void write(LogLevel level, std::string_view message,
             std::initializer_list<LogField> fields) const {
    if (enabled(level)) sink_->write(level, room_, message, fields);
  }
  LogSink* sink_ = nullptr;
  std::string_view room_;
};

// At most `burst` lines a second; `allow` tells how many were suppressed since the last allowed
// one. Thread-safe.
class LogLimit {
 public:
  explicit LogLimit(int burst_per_second = 5) : burst_(burst_per_second) {}
  // True when a line may be written at `now`; then `suppressed` receives the number of lines
  // dropped before it.
  bool allow(std::chrono::steady_clock::time_point now, std::int64_t& suppressed);

 private:
  const int burst_;
  std::atomic<std::int64_t> second_{-1};
  std::atomic<int> written_{0};
  std::atomic<std::int64_t> suppressed_{0};
};

}  // namespace deepseek::base
