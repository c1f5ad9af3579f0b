// The load generator: sends chat requests to 127.0.0.1 and prints what it measured as one JSON
// object, times in microseconds. One thread on raw epoll.
//
//   gateway_load --port N --mode closed --connections 32 --seconds 4
//   gateway_load --port N --mode open --rate 5000 --connections 64 --seconds 2 [--seed 1: Poisson]
//   gateway_load --port N --mode streams --connections 512 --frames 64 --repeat 2 --ramp-ms 1280
//
// In the open loop latency counts from when a request was due, so a proxy that makes others wait is
// charged for them. The streams check that every frame arrives once and in order.

#include <cstdio>

#include "flags.hpp"
#include "load_run.hpp"
#include "text.hpp"

namespace {

using bench::Histogram;
using bench::joined;

std::string times(std::string_view name, const Histogram& histogram) {
  const auto in_us = [&](double share) {
    return static_cast<double>(histogram.percentile(share)) / 1e3;
  };
  return joined(R"(,")", name, R"(":{"count":)", histogram.count(), R"(,"p50":)", in_us(0.5),
                R"(,"p90":)", in_us(0.9), R"(,"p99":)", in_us(0.99), R"(,"p999":)", in_us(0.999),
                R"(,"max":)", static_cast<double>(histogram.max()) / 1e3, R"(,"mean":)",
                histogram.mean() / 1e3, R"(,"stddev":)", histogram.deviation() / 1e3, "}");
}

std::string plain(std::string_view text) {
  std::string found;
  for (const char letter : text) {
    found += letter >= ' ' && letter <= '~' && letter != '"' && letter != '\\' ? letter : ' ';
  }
  return found;
}

void print(const bench::LoadResult& result) {
  const double seconds = result.seconds > 0 ? result.seconds : 1;
  const double rate = static_cast<double>(result.latency.count()) / seconds;
  const std::string text =
      joined(R"({"answered":)", result.answered, R"(,"errors":)", result.errors,
             R"(,"reconnects":)", result.reconnects, R"(,"unfinished":)", result.unfinished,
             R"(,"overloaded":)", result.overloaded, R"(,"seconds":)", result.seconds, R"(,"rps":)",
             rate, R"(,"distinct_keys":)", result.distinct_keys, R"(,"frames":)", result.frames,
             R"(,"frames_due":)", result.frames_due, R"(,"streams_whole":)", result.streams_whole,
             R"(,"first_error":")", plain(result.first_error), "\"",
             times("latency", result.latency), times("first_frame", result.first_frame),
             times("gap", result.gap), times("transit", result.transit), "}");
  std::puts(text.c_str());
}

bench::LoadSettings settings_from(const bench::Flags& flags) {
  bench::LoadSettings settings;
  settings.port = static_cast<int>(flags.whole("port"));
  settings.mode = flags.text("mode");
  settings.connections = static_cast<int>(flags.whole("connections"));
  settings.length_ns = static_cast<std::int64_t>(flags.number("seconds") * 1e9);
  settings.warm_ns = static_cast<std::int64_t>(flags.number("warm-seconds") * 1e9);
  settings.rate = flags.number("rate");
  settings.seed = static_cast<std::uint64_t>(flags.whole("seed"));
  settings.frames = settings.mode == "streams" ? static_cast<int>(flags.whole("frames")) : 0;
  settings.repeat = static_cast<int>(flags.whole("repeat"));
  settings.ramp_ns = flags.whole("ramp-ms") * 1'000'000;
  settings.path = flags.text("path");
  settings.headers = flags.all("header");
  settings.model = flags.text("model");
  settings.body_bytes = static_cast<std::size_t>(flags.whole("body-bytes"));
  settings.zipf_keys = static_cast<std::size_t>(flags.whole("zipf-keys"));
  settings.zipf_exponent = flags.number("zipf-exponent");
  return settings;
}

}  // namespace

int main(int count, char** words) {
  const bench::Flags flags(count, words,
                           {{"port", ""},
                            {"mode", "closed"},
                            {"connections", "1"},
                            {"seconds", "1"},
                            {"warm-seconds", "0"},
                            {"rate", "1000"},
                            {"seed", "0"},
                            {"frames", "64"},
                            {"repeat", "1"},
                            {"ramp-ms", "0"},
                            {"path", "/v1/chat/completions"},
                            {"header", ""},
                            {"model", "bench"},
                            {"body-bytes", "150"},
                            {"zipf-keys", "0"},
                            {"zipf-exponent", "1.0"}});
  const bench::LoadSettings settings = settings_from(flags);
  const auto run = bench::make_load_run(settings);
  if (run == nullptr || settings.connections < 1 || settings.rate <= 0) {
    std::fprintf(stderr, "--mode is closed, open or streams; connections and rate are positive\n");
    return 2;
  }
  bench::wake_exactly();
  print(run->run());
  return 0;
}
