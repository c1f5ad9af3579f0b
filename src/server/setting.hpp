// One row of the table of settings, and what can be done with a row: find it by name, read a text
// into it, write it as text.
//
// Pure. The table is the only place that knows a setting's name, help, bounds and member; parser,
// --help, --print-config, the documents, the check and the reload all walk it.
#pragma once

#include "base/result.hpp"
#include "server/configuration.hpp"

#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace deepseek::server {

// Which element of a list ("models[1].path") or which key of a map ("aliases.gpt-4o") is meant.
struct Item {
  std::size_t index = 0;
  std::string key;
};

// A file's name. A relative one counts from the folder of the file that holds it: with `directory`
// set that folder is kept there, otherwise it is put in front.
struct PathField {
  std::string* path;
  std::string* directory;
};

// The member that a row stands for; its type is the setting's type.
using Field =
    std::variant<bool*, std::uint32_t*, std::uint64_t*, milliseconds*, MemorySize*, std::string*,
                 PathField, Secret*, base::LogFormat*, base::LogLevel*, FlashAttention*, KvType*>;

struct Setting {
  std::string_view name;  // "server.port", "models[].path", "aliases.*"
  std::string_view help;  // one sentence or two
  std::string_view example;
  std::uint64_t minimum = 0;  // of the number, bytes, milliseconds, or characters of a text
  std::uint64_t maximum = std::numeric_limits<std::uint32_t>::max();
  bool reloadable = false;
  std::string_view alias_of{};  // another name of that setting; prints nothing of its own
  Field (*field)(Configuration&, const Item&) = nullptr;

  bool in_list() const { return name.find("[]") != std::string_view::npos; }
  bool in_map() const { return name.ends_with(".*"); }
  std::string_view section() const;  // "server", "models", "aliases"; empty for a top-level one
  std::string_view leaf() const;     // "port", "path", "*", "default_model"
};

struct Section {
  std::string_view name;  // empty: settings outside any section
  std::string_view help;
};

// In the order in which they are printed. Built once, constant.
std::span<const Section> sections();
std::span<const Setting* const> settings();

struct Match {
  const Setting* setting;
  Item item;
  std::string name;  // with index or key, aliases of names resolved: "models[1].path"
};
// A full name as --set takes it; nothing if no such setting exists.
std::optional<Match> find_setting(std::string_view name);
// The text behind an unknown name: "known here are …; the nearest known key is …".
std::string describe_unknown(std::string_view name);
std::string nearest_name(std::string_view name, std::span<const std::string_view> known);

// "a whole number from 0 to 65535", "one of text, json", "a size from 1KB to 1GB such as 16MB" …
std::string allowed_text(const Setting& setting);
std::string_view type_name(const Setting& setting);
std::string default_text(const Setting& setting);
bool is_secret(const Setting& setting);

struct ValueContext {
  std::string directory;  // of the file that holds the value; empty: as it is
  bool expand = true;     // ${NAME} in paths and secrets
  std::function<std::optional<std::string>(std::string_view)> environment;
  std::function<base::Result<std::string>(const std::string&)> read_file;  // for "file:…"
};
// Reads `text` into `field`. The message has no place and never shows a secret.
base::Result<void> assign(const Setting& setting, const Field& field, std::string_view text,
                          const ValueContext& context);
// The value as text that assign() takes; "***" for a secret that is set.
std::string format_value(const Field& field);
bool same_value(const Field& left, const Field& right);
void copy_value(const Field& from, const Field& to);

// Rows, by file: setting_table_server.cpp and setting_table_engine.cpp.
std::span<const Setting> server_settings();
std::span<const Setting> engine_settings();

}  // namespace deepseek::server
