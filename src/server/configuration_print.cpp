// The table as text: the configuration in effect, the documented example, and the manual page.
#include "server/configuration_loader.hpp"
#include "server/setting.hpp"
#include "server/setting_list_text.hpp"

#include <algorithm>

namespace deepseek::server {
namespace {

// Plain where YAML and our reader agree that it is a text; in double quotes otherwise.
std::string yaml_scalar(const std::string& text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./%+-";
  const bool starts_well = !text.empty() && text.front() != '-' && text.front() != '%';
  if (starts_well && text.find_first_not_of(plain) == std::string::npos && text != "null" &&
      text != "Null" && text != "NULL") {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

// So that ${ is read as itself.
std::string without_variables(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "${") == 0) result += '$';
    result += text[i];
  }
  return result;
}

// The text of a list or a map as YAML has it in one line.
std::string yaml_value(const Setting& setting, const std::string& text) {
  const ValueForm form = value_form(setting);
  std::string inside;
  if (form == ValueForm::list) {
    for (const std::string& item : split_list(text).value_or(std::vector<std::string>{})) {
      inside += (inside.empty() ? "" : ", ") + yaml_scalar(item);
    }
    return "[" + inside + "]";
  }
  if (form == ValueForm::map) {
    const auto members = split_map(text).value_or(std::map<std::string, std::string>{});
    for (const auto& [name, value] : members) {
      inside += (inside.empty() ? "" : ", ") + yaml_scalar(name) + ": " + yaml_scalar(value);
    }
    return "{" + inside + "}";
  }
  return yaml_scalar(text);
}

std::string wrap(std::string_view text, std::string_view prefix, std::size_t width) {
  std::string result;
  std::string line(prefix);
  while (!text.empty()) {
    const auto end = text.find(' ');
    const auto word = text.substr(0, end);
    if (line.size() + word.size() + 1 > width && line.size() > prefix.size()) {
      result += line + "\n";
      line = prefix;
    }
    line += (line.size() > prefix.size() ? " " : "") + std::string(word);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return result + line + "\n";
}

// Writes YAML: with the help as comments, or with the origin of each value.
class YamlWriter {
 public:
  YamlWriter(const LoadedConfiguration& configuration, bool commented)
      : values_(configuration.values), origins_(configuration.origins), commented_(commented) {}

  std::string run() {
    for (const Section& section : sections()) {
      const ListRow* const list = find_list(section.name);
      if (section.name.empty()) {
        top_level();
      } else if (list != nullptr) {
        blank();
        comment(section.help, "");
        entries(*list, std::string(list->name), "");
      } else if (section.name == "aliases") {
        aliases(section);
      } else {
        this->section(section);
      }
    }
    return std::move(text_);
  }

 private:
  void blank() {
    if (!text_.empty()) text_ += "\n";
  }

  void comment(std::string_view text, std::string_view indent) {
    if (commented_) text_ += wrap(text, std::string(indent) + "# ", 100);
  }

  void line(const std::string& start, const std::string& name, const Setting& setting,
            const Item& item) {
    std::string text = format_value(setting.field(values_, item));
    if (setting.expand || type_name(setting) == "path") text = without_variables(text);
    text_ += start + ": " + yaml_value(setting, text);
    origin(name);
    text_ += "\n";
  }

  void origin(const std::string& name) {
    const auto found = origins_.find(name);
    if (!commented_ && found != origins_.end()) text_ += "  # " + found->second;
  }

  void explain(const Setting& setting, std::string_view indent) {
    std::string text(setting.help);
    text += " Allowed: " + allowed_text(setting) + ".";
    if (reloads(setting)) text += " SIGHUP reloads it.";
    comment(text, indent);
  }

  void top_level() {
    for (const Setting* setting : settings()) {
      if (!setting->section().empty()) continue;
      blank();
      explain(*setting, "");
      line(std::string(setting->name), std::string(setting->name), *setting, Item{});
    }
  }

  void section(const Section& section) {
    blank();
    comment(section.help, "");
    text_ += std::string(section.name) + ":\n";
    for (const Setting* setting : settings()) {
      if (setting->holder() != section.name) continue;
      if (!setting->alias_of.empty()) {
        if (commented_) {
          explain(*setting, "  ");
          text_ +=
              "  # " + std::string(setting->leaf()) + ": " + std::string(setting->example) + "\n";
        }
        continue;
      }
      explain(*setting, "  ");
      line("  " + std::string(setting->leaf()), std::string(setting->name), *setting, Item{});
    }
    for (const ListRow& list : lists()) {
      const auto dot = list.name.find('.');
      if (dot == std::string_view::npos || list.name.substr(0, dot) != section.name) continue;
      comment(list.help, "  ");
      entries(list, std::string(list.name.substr(dot + 1)), "  ");
    }
  }

  // The comments of an empty list show one entry, so that every setting can be found in the file.
  void entries(const ListRow& list, const std::string& leaf, const std::string& indent) {
    const std::size_t size = list.size(values_);
    text_ += indent + leaf + (size == 0 ? ": []" : ":");
    origin(std::string(list.name));
    text_ += "\n";
    if (size == 0 && commented_) example(list, indent);
    for (std::size_t index = 0; index < size; ++index) {
      bool first = true;
      for (const Setting* setting : settings()) {
        if (list_of(*setting) != &list) continue;
        explain(*setting, indent + (first ? "  " : "    "));
        line(indent + (first ? "  - " : "    ") + std::string(setting->leaf()),
             indexed_name(*setting, index), *setting, Item{index, {}});
        first = false;
      }
    }
  }

  void example(const ListRow& list, const std::string& indent) {
    bool first = true;
    for (const Setting* setting : settings()) {
      if (list_of(*setting) != &list) continue;
      explain(*setting, indent);
      text_ += indent + "# " + (first ? "- " : "  ") + std::string(setting->leaf()) + ": " +
               yaml_value(*setting, std::string(setting->example)) + "\n";
      first = false;
    }
  }

  void aliases(const Section& section) {
    blank();
    comment(section.help, "");
    for (const Setting* setting : settings()) {
      if (setting->in_map()) explain(*setting, "");
    }
    if (values_.aliases.empty()) {
      text_ += "aliases: {}\n";
      return;
    }
    text_ += "aliases:\n";
    for (const auto& [alias, model] : values_.aliases) {
      text_ += "  " + yaml_scalar(alias) + ": " + yaml_scalar(model);
      origin("aliases." + alias);
      text_ += "\n";
    }
  }

  Configuration values_;
  const std::map<std::string, std::string>& origins_;
  bool commented_;
  std::string text_;
};

std::string cell(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '|') result += '\\';
    result += c;
  }
  return result;
}

void document_section(const Section& section, std::string& text) {
  text += "\n## " + std::string(section.name.empty() ? "(no section)" : section.name) + "\n\n";
  text += std::string(section.help) + "\n\n";
  text += "| setting | type | default | allowed | reload | what |\n|---|---|---|---|---|---|\n";
  for (const Setting* setting : settings()) {
    if (setting->section() != section.name) continue;
    const std::string standard = default_text(*setting);
    text += "| `" + std::string(setting->name) + "` | " + std::string(type_name(*setting)) + " | " +
            (standard.empty() ? "" : "`" + cell(standard) + "`") + " | " +
            cell(allowed_text(*setting)) + " | " + (reloads(*setting) ? "SIGHUP" : "restart") +
            " | " + cell(setting->help) + " |\n";
  }
}

constexpr std::string_view document_head = R"(# Configuration

<!-- Made from the table of settings by `deepseek-server --print-config-docs`; a test compares. -->

`deepseek-server --config FILE` reads a YAML file. Started without one, the server behaves as with
[`config/dev.yaml`](../config/dev.yaml), and sections that a file leaves out keep those defaults.

Later is stronger: defaults, `--config`, `--system` (INI), environment, `--set`, flags.

| source | form |
|---|---|
| YAML | `server:` and below it `port: 9000` |
| INI, `--system FILE` | `[server]` and below it `port = 9000`; comments after `;` or `#` |
| environment | `DEEPSEEK_SERVER__PORT=9000`, `DEEPSEEK_MODELS__0__PATH=/m.gguf` |
| `--set` | `--set server.port=9000`, `--set models[0].context_max=4096` |
| flags | `--host`, `--port`, `--preload_model`, `--enable_flash_attn` |

A list of texts is `[a, b]` in YAML and `a, b` elsewhere; a map is `{a: b, c: d}` in YAML and
`a=b, c=d` elsewhere; what holds a comma, an equals sign or a quote stands in double quotes. The
environment and `--set` may change an entry of a list or add one behind the last:
`--set backends[0].weight=2`, `DEEPSEEK_BACKENDS__0__BASE_URL=http://127.0.0.1:9001/v1`.

Sizes are written `64B`, `16KB`, `512MB`, `16GB` (powers of 1024), times `500ms`, `30s`, `5m`, `1h`,
shares `90%`, hours `18:00-09:00` (UTC) or
`Mon-Fri 09:00-12:00 14:00-18:00; UTC+8`. A relative path counts from the folder of the
file that holds it. Paths, secrets, `base_url` and `command` may hold `${NAME}`, a variable of the
environment; a secret may be `file:PATH`, whose text is then the secret. Secrets are never printed.

An unknown key, a wrong type or a value out of bounds ends the start with status 2 and says file,
line, what was found, what is allowed and the nearest known key. `--check-config` says the same
without starting; `--print-config` shows the configuration in effect and where each value came from.

SIGHUP reads the same sources again. Settings marked SIGHUP take effect at once, the others at the
next start; a file with a mistake changes nothing and the log says why.
)";

constexpr std::string_view development_head =
    R"(# The configuration for development, and the defaults of deepseek-server: starting without
# any configuration is the same as starting with this file. Loopback only, no keys, a small model.
# Every setting is here; the same as a table is in docs/configuration.md. Made from the table of
# settings; a test compares this file with it.

)";

}  // namespace

std::string print_configuration(const LoadedConfiguration& configuration) {
  return YamlWriter(configuration, false).run();
}

std::string configuration_document() {
  std::string text(document_head);
  for (const Section& section : sections()) document_section(section, text);
  return text;
}

std::string development_configuration() {
  return std::string(development_head) + YamlWriter(LoadedConfiguration{}, true).run();
}

}  // namespace deepseek::server
