// One row of the table of settings, and what can be done with a row: find it by name, read a text
// into it, write it as text.
//
// Pure. The table is the only place that knows a setting's name, help, bounds and member; parser,
// --help, --print-config, the documents, the check and the reload all walk it.
#pragma once

#include "base/result.hpp"
#include "server/configuration.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
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
    std::variant<bool*, std::uint32_t*, std::uint64_t*, double*, milliseconds*, MemorySize*,
                 std::string*, PathField, Secret*, std::vector<std::string>*,
                 std::map<std::string, std::string>*, std::map<std::string, std::uint32_t>*,
                 std::vector<RouteFeature>*, base::LogFormat*, base::LogLevel*, FlashAttention*,
                 Layout*, KvType*, PrefixSharing*, Speculation*, BackendType*, ManagedEngine*,
                 Continuation*, Strategy*, CacheStoreKind*>;

struct Setting {
  std::string_view name;  // "server.port", "models[].path", "access.keys[].key", "aliases.*"
  std::string_view help;  // one sentence or two
  std::string_view example;
  // Of the number, also of each in a map; of bytes, milliseconds, or characters of a text; of how
  // many a list or a map of texts holds.
  std::uint64_t minimum = 0;
  std::uint64_t maximum = std::numeric_limits<std::uint32_t>::max();
  bool reloadable = false;  // in a list the list's own row tells it: see reloads()
  bool expand = false;      // ${NAME} stands for a variable; paths and secrets always do it
  // What a text must look like beyond its length: each text of a list, each name of a map. `form`
  // says it for messages: "a name of letters, digits, . _ and -".
  std::string_view form{};
  bool (*accepts)(std::string_view) = nullptr;
  std::string_view alias_of{};  // another name of that setting; prints nothing of its own
  Field (*field)(Configuration&, const Item&) = nullptr;

  bool in_list() const { return name.find("[]") != std::string_view::npos; }
  bool in_map() const { return name.ends_with(".*"); }
  std::string_view section() const;  // "server", "models", "aliases"; empty for a top-level one
  std::string_view holder() const;   // "server", "models[]", "access.keys[]"; what leaf() is in
  std::string_view leaf() const;     // "port", "path", "*", "default_model"
};

// A list of entries with settings of their own. A file that has it replaces the whole list.
struct ListRow {
  std::string_view name;     // "models", "access.keys"; a dot means: inside that section
  std::string_view help{};   // of one inside a section; the others have their section's
  std::string_view members;  // what an entry needs, for messages: "name and path"
  std::size_t entries_max = 0;
  bool reloadable = false;  // as a whole
  std::size_t (*size)(const Configuration&) = nullptr;
  void (*resize)(Configuration&, std::size_t) = nullptr;  // new entries have their defaults
  void (*copy)(const Configuration& from, Configuration& to) = nullptr;
};

std::span<const ListRow> lists();
// Nothing if there is no list of that name, or the setting is in none.
const ListRow* find_list(std::string_view name);
const ListRow* list_of(const Setting& setting);
// "models[1]", "models[1].path" from "models", "models[].path".
std::string entry_name(std::string_view list, std::size_t index);
std::string indexed_name(const Setting& setting, std::size_t index);
// Whether SIGHUP may change it.
bool reloads(const Setting& setting);
// The defaults, with one entry in every list: what a row can be asked about.
Configuration one_of_each();

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
// What a value may be written as in YAML beside a single text that assign() takes.
enum class ValueForm { text, list, map };
ValueForm value_form(const Setting& setting);
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
// The value as text that assign() takes; "***" for a secret that is set. Lists and maps have the
// form of setting_list_text.hpp: `a, "b, c"` and `a=b, c=d`.
std::string format_value(const Field& field);
bool same_value(const Field& left, const Field& right);
void copy_value(const Field& from, const Field& to);

// Rows, by file: setting_table_*.cpp.
std::span<const Setting> server_settings();
std::span<const Setting> engine_settings();
std::span<const Setting> backend_settings();
std::span<const Setting> route_settings();
std::span<const Setting> gateway_settings();

}  // namespace deepseek::server
