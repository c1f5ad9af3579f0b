// How a row of the table names its member: at<&Configuration::server, &Server::port>. Pure; for the
// tables (setting.cpp, setting_table_*.cpp) only.
#pragma once

#include "server/setting.hpp"

namespace deepseek::server {

template <auto... Members>
Field at(Configuration& configuration, const Item& /*item*/) {
  return &(configuration.*....*Members);
}

template <auto... Members>
Field path_at(Configuration& configuration, const Item& /*item*/) {
  return PathField{&(configuration.*....*Members), nullptr};
}

// A member of a list's entries: in_entry<&Model::preload, &Configuration::models>.
template <auto Member, auto... List>
Field in_entry(Configuration& configuration, const Item& item) {
  return &((configuration.*....*List)[item.index].*Member);
}

template <auto Member, auto... List>
Field path_in_entry(Configuration& configuration, const Item& item) {
  return PathField{&((configuration.*....*List)[item.index].*Member), nullptr};
}

inline Field model_path_at(Configuration& configuration, const Item& item) {
  auto& model = configuration.models[item.index];
  return PathField{&model.path, &model.directory};
}

inline Field alias_at(Configuration& configuration, const Item& item) {
  return &configuration.aliases[item.key];
}

// The functions of a ListRow.
template <auto... List>
std::size_t list_size(const Configuration& configuration) {
  return (configuration.*....*List).size();
}

template <auto... List>
void list_resize(Configuration& configuration, std::size_t size) {
  (configuration.*....*List).resize(size);
}

template <auto... List>
void list_copy(const Configuration& from, Configuration& to) {
  (to.*....*List) = (from.*....*List);
}

inline constexpr std::uint64_t kilobyte = 1024;
inline constexpr std::uint64_t megabyte = 1024 * kilobyte;
inline constexpr std::uint64_t gigabyte = 1024 * megabyte;
inline constexpr std::uint64_t second = 1'000;
inline constexpr std::uint64_t minute = 60 * second;
inline constexpr std::uint64_t hour = 60 * minute;
inline constexpr std::uint64_t day = 24 * hour;

}  // namespace deepseek::server
