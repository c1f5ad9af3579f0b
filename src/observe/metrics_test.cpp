#include "observe/metrics.hpp"

#include <gtest/gtest.h>
#include <array>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace deepseek::observe {
namespace {

using Labels = std::vector<std::string_view>;

TEST(Metrics, TextIsWhatPrometheusReads) {
  Registry registry;
  const Family requests{
      "b_requests_total", "Requests, with a \\ and\na new line.", {"path", "code"}};
  registry.counter(requests, Labels{"/z", "200"}).add();
  registry.counter(requests, Labels{"/a\"\\\n", "500"}).add(2.5);
  registry.gauge({"a_depth", "Depth."}).set(-3);
  const std::array bounds{0.1, 1.0};
  Histogram& seconds =
      registry.histogram({"c_seconds", "Seconds.", {"model"}}, bounds, Labels{"m"});
  for (const double value : {0.05, 0.1, 0.5, 7.0}) seconds.observe(value);
  registry.declare_counter({"d_empty_total", "Nothing yet.", {"x"}});
  EXPECT_EQ(registry.prometheus_text(),
            "# HELP a_depth Depth.\n"
            "# TYPE a_depth gauge\n"
            "a_depth -3\n"
            "# HELP b_requests_total Requests, with a \\\\ and\\na new line.\n"
            "# TYPE b_requests_total counter\n"
            "b_requests_total{path=\"/a\\\"\\\\\\n\",code=\"500\"} 2.5\n"
            "b_requests_total{path=\"/z\",code=\"200\"} 1\n"
            "# HELP c_seconds Seconds.\n"
            "# TYPE c_seconds histogram\n"
            "c_seconds_bucket{model=\"m\",le=\"0.1\"} 2\n"
            "c_seconds_bucket{model=\"m\",le=\"1\"} 3\n"
            "c_seconds_bucket{model=\"m\",le=\"+Inf\"} 4\n"
            "c_seconds_sum{model=\"m\"} 7.65\n"
            "c_seconds_count{model=\"m\"} 4\n"
            "# HELP d_empty_total Nothing yet.\n"
            "# TYPE d_empty_total counter\n");
}

TEST(Metrics, TheSameLabelsAreTheSameCell) {
  Registry registry;
  const Family family{"x_total", "X.", {"a"}};
  Counter& first = registry.counter(family, Labels{"1"});
  EXPECT_EQ(&first, &registry.counter(family, Labels{"1"}));
  EXPECT_NE(&first, &registry.counter(family, Labels{"2"}));
}

TEST(Metrics, ACounterNeverFalls) {
  Registry registry;
  Counter& counter = registry.counter({"x_total", "X."});
  counter.add(2);
  counter.add(-1);
  counter.add(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(counter.value(), 2);
}

TEST(Metrics, TooManySeriesFallIntoOther) {
  Registry registry;
  const Family family{"x_total", "X.", {"a"}, 2};
  registry.counter(family, Labels{"1"}).add();
  registry.counter(family, Labels{"2"}).add();
  registry.counter(family, Labels{"3"}).add();
  registry.counter(family, Labels{"4"}).add();
  registry.counter(family, Labels{"1"}).add();
  const std::string text = registry.prometheus_text();
  EXPECT_NE(text.find("x_total{a=\"other\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("x_total{a=\"1\"} 2\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("a=\"3\""), std::string::npos);
}

TEST(Metrics, ScrapeAsksTheCollectors) {
  Registry registry;
  int scrapes = 0;
  registry.on_scrape([&] { registry.gauge({"x", "X."}).set(++scrapes); });
  EXPECT_NE(registry.prometheus_text().find("x 1\n"), std::string::npos);
  EXPECT_NE(registry.prometheus_text().find("x 2\n"), std::string::npos);
}

TEST(Metrics, OneNameIsOneFamily) {
  Registry registry;
  registry.counter({"x", "X."}).add();
  EXPECT_THROW(registry.gauge({"x", "X."}), std::logic_error);
  EXPECT_THROW(registry.counter({"y_total", "Y.", {"a"}}, {}), std::logic_error);
}

TEST(Metrics, ThreadsLoseNothing) {
  Registry registry;
  const std::array bounds{1.0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&registry, &bounds, t] {
      const std::string name = std::to_string(t % 2);
      for (int i = 0; i < 2000; ++i) {
        const std::string_view label = name;
        registry.counter({"n_total", "N.", {"t"}}, std::span(&label, 1)).add();
        registry.histogram({"h", "H."}, bounds).observe(i % 2);
        registry.gauge({"g", "G."}).add(1);
      }
    });
  }
  for (int i = 0; i < 20; ++i) registry.prometheus_text();
  for (std::thread& thread : threads) thread.join();
  const std::string text = registry.prometheus_text();
  EXPECT_NE(text.find("n_total{t=\"0\"} 4000\n"), std::string::npos) << text;
  EXPECT_NE(text.find("n_total{t=\"1\"} 4000\n"), std::string::npos) << text;
  EXPECT_NE(text.find("h_count 8000\n"), std::string::npos) << text;
  EXPECT_NE(text.find("g 8000\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace deepseek::observe
