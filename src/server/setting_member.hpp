// How a row of the table names its member: at<server, &Server::port>. For setting_table_*.cpp only.
#pragma once

#include "server/setting.hpp"

namespace deepseek::server {

template <auto Section, auto Member>
Field at(Configuration& configuration, const Item& /*item*/) {
  return &(configuration.*Section.*Member);
}

template <auto Section, auto Member>
Field path_at(Configuration& configuration, const Item& /*item*/) {
  return PathField{&(configuration.*Section.*Member), nullptr};
}

template <auto Member>
Field model_at(Configuration& configuration, const Item& item) {
  return &(configuration.models[item.index].*Member);
}

inline Field model_path_at(Configuration& configuration, const Item& item) {
  auto& model = configuration.models[item.index];
  return PathField{&model.path, &model.directory};
}

inline Field default_model_at(Configuration& configuration, const Item& /*item*/) {
  return &configuration.default_model;
}

inline Field alias_at(Configuration& configuration, const Item& item) {
  return &configuration.aliases[item.key];
}

inline constexpr std::uint64_t kilobyte = 1024;
inline constexpr std::uint64_t megabyte = 1024 * kilobyte;
inline constexpr std::uint64_t gigabyte = 1024 * megabyte;
inline constexpr std::uint64_t second = 1'000;
inline constexpr std::uint64_t minute = 60 * second;
inline constexpr std::uint64_t hour = 60 * minute;
inline constexpr std::uint64_t day = 24 * hour;

}  // namespace deepseek::server
