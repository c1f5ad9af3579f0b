// Counters, gauges and histograms, and their Prometheus text.
//
// A Registry is owned by main(); families are registered at start-up, cells are looked up once and
// kept. Incrementing is lock-free and sharded by thread; reading sums the shards. Labels are
// bounded: above `series_max` a family's further label values fall into "other".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::observe {

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void add(double amount = 1) = 0;  // ≥ 0
  virtual double value() const = 0;
};

class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void set(double value) = 0;
  virtual void add(double amount) = 0;
  virtual double value() const = 0;
};

class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void observe(double value, std::uint64_t times = 1) = 0;
};

enum class MetricType { counter, gauge, histogram };

std::string_view to_string(MetricType type);  // as Prometheus writes it

struct Family {
  std::string name;  // Prometheus name with base unit, as "deepseek_http_requests_total"
  std::string help;
  std::vector<std::string> labels{};  // label names; values are given when a cell is looked up
  std::size_t series_max = 1000;
};

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The cell of a family for these label values (as many as the family has labels). Any thread;
  // takes a lock on the first look-up only (later ones are a shared read); the reference lives as
  // long as the registry.
  Counter& counter(const Family& family, std::span<const std::string_view> values = {});
  Gauge& gauge(const Family& family, std::span<const std::string_view> values = {});
  Histogram& histogram(const Family& family, std::span<const double> bounds,
                       std::span<const std::string_view> values = {});

  // Makes the family known, so that its HELP and TYPE are shown before it has a series. At
  // start-up.
  void declare_counter(const Family& family);
  void declare_gauge(const Family& family);
  void declare_histogram(const Family& family, std::span<const double> bounds);

  // `collect` is called at every scrape, before the text is made, to set gauges from state that
  // lives elsewhere.
  void on_scrape(std::function<void()> collect);

  // text/plain; version=0.0.4. Families in order of name.
  std::string prometheus_text();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace deepseek::observe
