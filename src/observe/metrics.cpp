#include "observe/metrics.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cmath>
#include <map>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <stdexcept>
#include <unordered_map>

namespace deepseek::observe {

namespace {

constexpr std::size_t line_bytes = 64;
constexpr std::size_t shard_count = 8;

// Each thread has its shard for ever; more threads than shards share.
std::size_t shard_of_thread() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t shard = next.fetch_add(1, std::memory_order_relaxed) % shard_count;
  return shard;
}

struct alignas(line_bytes) PaddedDouble {
  std::atomic<double> value{0};
};

class ShardedCounter final : public Counter {
 public:
  void add(double amount) override {
    if (!(amount >= 0)) return;  // a counter never falls; not a number is no amount
    shards_[shard_of_thread()].value.fetch_add(amount, std::memory_order_relaxed);
  }
  double value() const override {
    double sum = 0;
    for (const PaddedDouble& shard : shards_) sum += shard.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  std::array<PaddedDouble, shard_count> shards_;
};

class SingleGauge final : public Gauge {
 public:
  void set(double value) override { value_.store(value, std::memory_order_relaxed); }
  void add(double amount) override { value_.fetch_add(amount, std::memory_order_relaxed); }
  double value() const override { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// The counts of one shard lie together, each shard on its own cache lines.
class ShardedHistogram final : public Histogram {
 public:
  explicit ShardedHistogram(const std::vector<double>& bounds)
      : bounds_(bounds), lines_((bounds.size() + 1 + per_line - 1) / per_line) {
    for (Shard& shard : shards_) shard.lines = std::make_unique<Line[]>(lines_);
  }

  void observe(double value, std::uint64_t times) override {
    if (std::isnan(value)) return;
    Shard& shard = shards_[shard_of_thread()];
    const auto bucket = static_cast<std::size_t>(
        std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin());
    shard.lines[bucket / per_line].counts[bucket % per_line].fetch_add(times,
                                                                       std::memory_order_relaxed);
    shard.sum.fetch_add(value * static_cast<double>(times), std::memory_order_relaxed);
  }

  // Per bucket, the last one without a bound; not cumulative.
  std::vector<std::uint64_t> counts() const {
    std::vector<std::uint64_t> all(bounds_.size() + 1, 0);
    for (const Shard& shard : shards_) {
      for (std::size_t i = 0; i < all.size(); ++i) {
        all[i] += shard.lines[i / per_line].counts[i % per_line].load(std::memory_order_relaxed);
      }
    }
    return all;
  }
  double sum() const {
    double total = 0;
    for (const Shard& shard : shards_) total += shard.sum.load(std::memory_order_relaxed);
    return total;
  }

 private:
  static constexpr std::size_t per_line = line_bytes / sizeof(std::uint64_t);
  struct alignas(line_bytes) Line {
    std::array<std::atomic<std::uint64_t>, per_line> counts{};
  };
  struct alignas(line_bytes) Shard {
    std::atomic<double> sum{0};
    std::unique_ptr<Line[]> lines;
  };
  const std::vector<double>& bounds_;  // the family's, which outlives its cells
  std::size_t lines_;
  std::array<Shard, shard_count> shards_;
};

// Label values as a key: looked up as they come, stored as strings.
using StoredValues = std::vector<std::string>;
using GivenValues = std::span<const std::string_view>;

struct ValuesHash {
  using is_transparent = void;
  template <class Values>
  std::size_t operator()(const Values& values) const {
    std::size_t hash = values.size();
    for (const auto& value : values) {
      hash = hash * 1099511628211u ^ std::hash<std::string_view>()(value);
    }
    return hash;
  }
};

struct ValuesEqual {
  using is_transparent = void;
  template <class Left, class Right>
  bool operator()(const Left& left, const Right& right) const {
    return std::equal(left.begin(), left.end(), right.begin(), right.end());
  }
};

struct Cell {
  std::unique_ptr<ShardedCounter> counter;
  std::unique_ptr<SingleGauge> gauge;
  std::unique_ptr<ShardedHistogram> histogram;
};

struct StoredFamily {
  Family family;
  MetricType type;
  std::vector<double> bounds;
  std::unordered_map<StoredValues, Cell, ValuesHash, ValuesEqual> cells;
};

void append_number(std::string& out, double value) {
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  std::array<char, 32> digits;
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  const auto end =
      whole ? std::to_chars(digits.begin(), digits.end(), static_cast<std::int64_t>(value))
            : std::to_chars(digits.begin(), digits.end(), value);
  out.append(digits.begin(), end.ptr);
}

void append_escaped(std::string& out, std::string_view text, bool quote) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quote) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

// {a="1",b="2"}, with `bound` as the label le if it is given; nothing without labels.
void append_labels(std::string& out, const Family& family, const StoredValues& values,
                   std::string_view bound = {}) {
  if (values.empty() && bound.empty()) return;
  out += '{';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    out += family.labels[i];
    out += "=\"";
    append_escaped(out, values[i], true);
    out += '"';
  }
  if (!bound.empty()) {
    if (!values.empty()) out += ',';
    out += "le=\"";
    out += bound;
    out += '"';
  }
  out += '}';
}

void append_sample(std::string& out, const Family& family, std::string_view suffix,
                   const StoredValues& values, double value, std::string_view bound = {}) {
  out += family.name;
  out += suffix;
  append_labels(out, family, values, bound);
  out += ' ';
  append_number(out, value);
  out += '\n';
}

void append_histogram(std::string& out, const StoredFamily& stored, const StoredValues& values,
                      const ShardedHistogram& histogram) {
  const std::vector<std::uint64_t> counts = histogram.counts();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    std::string bound;
    append_number(bound, i < stored.bounds.size() ? stored.bounds[i] : HUGE_VAL);
    append_sample(out, stored.family, "_bucket", values, static_cast<double>(total), bound);
  }
  append_sample(out, stored.family, "_sum", values, histogram.sum());
  append_sample(out, stored.family, "_count", values, static_cast<double>(total));
}

void append_family(std::string& out, const StoredFamily& stored) {
  const Family& family = stored.family;
  out += "# HELP " + family.name + " ";
  append_escaped(out, family.help, false);
  out += "\n# TYPE " + family.name + " ";
  out += to_string(stored.type);
  out += '\n';
  std::vector<const std::pair<const StoredValues, Cell>*> cells;
  for (const auto& cell : stored.cells) cells.push_back(&cell);
  std::sort(cells.begin(), cells.end(),
            [](const auto* left, const auto* right) { return left->first < right->first; });
  for (const auto* entry : cells) {
    const auto& [values, cell] = *entry;
    if (cell.counter) append_sample(out, family, "", values, cell.counter->value());
    if (cell.gauge) append_sample(out, family, "", values, cell.gauge->value());
    if (cell.histogram) append_histogram(out, stored, values, *cell.histogram);
  }
}

}  // namespace

struct Registry::State {
  mutable std::shared_mutex mutex;
  std::map<std::string, StoredFamily, std::less<>> families;
  std::mutex collect_mutex;
  std::vector<std::function<void()>> collectors;

  StoredFamily& declare(const Family& family, MetricType type, std::span<const double> bounds) {
    const auto found = families.find(family.name);
    if (found != families.end()) {
      if (found->second.type != type || found->second.family.labels != family.labels) {
        throw std::logic_error("metric " + family.name + " is declared in two ways");
      }
      return found->second;
    }
    StoredFamily stored{family, type, {bounds.begin(), bounds.end()}, {}};
    return families.emplace(family.name, std::move(stored)).first->second;
  }

  static Cell make_cell(const StoredFamily& stored) {
    Cell cell;
    switch (stored.type) {
      case MetricType::counter:
        cell.counter = std::make_unique<ShardedCounter>();
        break;
      case MetricType::gauge:
        cell.gauge = std::make_unique<SingleGauge>();
        break;
      case MetricType::histogram:
        cell.histogram = std::make_unique<ShardedHistogram>(stored.bounds);
    }
    return cell;
  }

  Cell* find(const Family& family, MetricType type, GivenValues values) {
    const std::shared_lock lock(mutex);
    const auto stored = families.find(family.name);
    if (stored == families.end() || stored->second.type != type) return nullptr;
    const auto cell = stored->second.cells.find(values);
    return cell == stored->second.cells.end() ? nullptr : &cell->second;
  }

  Cell& cell(const Family& family, MetricType type, std::span<const double> bounds,
             GivenValues values) {
    if (Cell* const found = find(family, type, values)) return *found;
    if (values.size() != family.labels.size()) {
      throw std::logic_error("metric " + family.name + " was given the wrong number of labels");
    }
    const std::unique_lock lock(mutex);
    StoredFamily& stored = declare(family, type, bounds);
    StoredValues key(values.begin(), values.end());
    if (!stored.cells.contains(key) && stored.cells.size() >= stored.family.series_max) {
      key.assign(values.size(), "other");
    }
    const auto [place, inserted] = stored.cells.try_emplace(std::move(key));
    if (inserted) place->second = make_cell(stored);
    return place->second;
  }
};

std::string_view to_string(MetricType type) {
  switch (type) {
    case MetricType::counter:
      return "counter";
    case MetricType::gauge:
      return "gauge";
    case MetricType::histogram:
      return "histogram";
  }
  return "untyped";
}

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

Counter& Registry::counter(const Family& family, GivenValues values) {
  return *state_->cell(family, MetricType::counter, {}, values).counter;
}

Gauge& Registry::gauge(const Family& family, GivenValues values) {
  return *state_->cell(family, MetricType::gauge, {}, values).gauge;
}

Histogram& Registry::histogram(const Family& family, std::span<const double> bounds,
                               GivenValues values) {
  return *state_->cell(family, MetricType::histogram, bounds, values).histogram;
}

void Registry::declare_counter(const Family& family) {
  const std::unique_lock lock(state_->mutex);
  state_->declare(family, MetricType::counter, {});
}

void Registry::declare_gauge(const Family& family) {
  const std::unique_lock lock(state_->mutex);
  state_->declare(family, MetricType::gauge, {});
}

void Registry::declare_histogram(const Family& family, std::span<const double> bounds) {
  const std::unique_lock lock(state_->mutex);
  state_->declare(family, MetricType::histogram, bounds);
}

void Registry::on_scrape(std::function<void()> collect) {
  const std::lock_guard lock(state_->collect_mutex);
  state_->collectors.push_back(std::move(collect));
}

std::string Registry::prometheus_text() {
  {
    const std::lock_guard lock(state_->collect_mutex);
    for (const auto& collect : state_->collectors) collect();
  }
  std::string out;
  const std::shared_lock lock(state_->mutex);
  for (const auto& [name, stored] : state_->families) append_family(out, stored);
  return out;
}

}  // namespace deepseek::observe
