// The table as text: the configuration in effect, the documented example, and the manual page.
#include "server/configuration_loader.hpp"
#include "server/setting.hpp"

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
      if (section.name.empty()) {
        top_level();
      } else if (section.name == "models") {
        models(section);
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
    text_ += start + ": " + yaml_scalar(format_value(setting.field(values_, item)));
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
    if (setting.reloadable) text += " SIGHUP reloads it.";
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
      if (setting->section() != section.name) continue;
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
  }

  void models(const Section& section) {
    blank();
    comment(section.help, "");
    text_ += "models:\n";
    for (std::size_t index = 0; index < values_.models.size(); ++index) {
      bool first = true;
      for (const Setting* setting : settings()) {
        if (!setting->in_list()) continue;
        explain(*setting, first ? "  " : "    ");
        std::string name(setting->name);
        name.insert(name.find("[]") + 1, std::to_string(index));
        line((first ? "  - " : "    ") + std::string(setting->leaf()), name, *setting,
             Item{index, {}});
        first = false;
      }
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
            cell(allowed_text(*setting)) + " | " + (setting->reloadable ? "SIGHUP" : "restart") +
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

Sizes are written `64B`, `16KB`, `512MB`, `16GB` (powers of 1024), times `500ms`, `30s`, `5m`, `1h`,
shares `90%`. A relative path counts from the folder of the file that holds it. Paths and secrets
may hold `${NAME}`, a variable of the environment; a secret may be `file:PATH`, whose text is then
the secret. Secrets are never printed.

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
