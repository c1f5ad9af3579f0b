#include "server/command_line.hpp"

#include "server/setting.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace deepseek::server {
namespace {

using base::ErrorCode;
using base::make_error;
using base::Result;

enum class Takes { nothing, value, maybe_value };

struct Flag {
  std::string_view name;
  Takes takes;
  std::string_view value_name;
  std::string_view help;
};

constexpr std::array flags{
    Flag{"--config", Takes::value, "FILE", "the configuration (YAML); without it the defaults"},
    Flag{"--system", Takes::value, "FILE", "an INI file over it, as config/system.ini"},
    Flag{"--set", Takes::value, "NAME=VALUE", "one setting, as server.port=9000; may be repeated"},
    Flag{"--host", Takes::value, "ADDRESS", "server.host"},
    Flag{"--port", Takes::value, "PORT", "server.port"},
    Flag{"--preload_model", Takes::maybe_value, "MODEL",
         "load this model (or true: every model, false: none) at start"},
    Flag{"--enable_flash_attn", Takes::maybe_value, "CHOICE",
         "engine.flash_attention: auto, on (also true) or off (also false)"},
    Flag{"--check-config", Takes::nothing, "", "check the configuration and exit"},
    Flag{"--print-config", Takes::nothing, "", "print the configuration in effect and exit"},
    Flag{"--explain-route", Takes::nothing, "",
         "say what the routes do with the request on standard input; see deepseek route explain"},
    Flag{"--help", Takes::nothing, "", "print this text and exit"},
    Flag{"--version", Takes::nothing, "", "print the version and exit"},
};
// For `docs/configuration.md`; not in --help.
constexpr Flag document_flag{"--print-config-docs", Takes::nothing, "", ""};

base::Error bad(const std::string& message) {
  return make_error(ErrorCode::invalid_request, message + "; try --help");
}

const Flag* find_flag(std::string_view name) {
  if (name == document_flag.name) return &document_flag;
  // The dash and the underscore mean the same: articles write both.
  std::string wanted(name);
  std::replace(wanted.begin() + 2, wanted.end(), '_', '-');
  for (const Flag& flag : flags) {
    std::string known(flag.name);
    std::replace(known.begin() + 2, known.end(), '_', '-');
    if (known == wanted) return &flag;
  }
  return nullptr;
}

base::Error unknown(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Flag& flag : flags) known.push_back(flag.name);
  return bad("unknown flag " + std::string(name.substr(0, 60)) + "; the nearest known flag is " +
             nearest_name(name, known));
}

bool is_word_of(std::string_view text, std::string_view flag) {
  if (text == "true" || text == "false") return true;
  return flag == "--enable_flash_attn" && (text == "auto" || text == "on" || text == "off");
}

Result<void> set_override(CommandLine& line, std::string_view value) {
  const auto equals = value.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    // What stands there may hold a secret, so it is not repeated.
    return bad("--set: found no NAME=VALUE; allowed is for example --set server.port=9000");
  }
  line.settings.push_back(
      {std::string(value.substr(0, equals)), std::string(value.substr(equals + 1)), "--set"});
  return {};
}

std::string flash_choice(std::string_view value) {
  if (value.empty() || value == "true") return "on";
  if (value == "false") return "off";
  return std::string(value);
}

Result<void> apply(CommandLine& line, std::string_view flag, std::string_view value) {
  using Action = CommandLine::Action;
  if (flag == "--set") return set_override(line, value);
  if (flag == "--config") {
    line.config_path = value;
  } else if (flag == "--system") {
    line.system_path = value;
  } else if (flag == "--host" || flag == "--port") {
    line.flags.push_back(
        {"server." + std::string(flag.substr(2)), std::string(value), std::string(flag)});
  } else if (flag == "--preload_model") {
    line.flags.push_back(
        {"preload_model", value.empty() ? "true" : std::string(value), std::string(flag)});
  } else if (flag == "--enable_flash_attn") {
    line.flags.push_back({"engine.flash_attention", flash_choice(value), std::string(flag)});
  } else if (flag == "--help") {
    line.action = Action::help;
  } else if (flag == "--version") {
    line.action = Action::version;
  } else if (flag == "--check-config") {
    line.action = Action::check_config;
  } else if (flag == "--print-config") {
    line.action = Action::print_config;
  } else if (flag == "--explain-route") {
    line.action = Action::explain_route;
  } else {
    line.action = Action::print_config_docs;
  }
  return {};
}

}  // namespace

Result<CommandLine> parse_command_line(std::span<const std::string_view> arguments) {
  CommandLine line;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    if (argument == "-h") argument = "--help";
    if (!argument.starts_with("--") || argument.size() == 2) {
      return bad("found \"" + std::string(argument.substr(0, 60)) + "\"; allowed are flags only");
    }
    const auto equals = argument.find('=');
    const std::string_view name = argument.substr(0, equals);
    const Flag* const flag = find_flag(name);
    if (flag == nullptr) return unknown(name);
    std::optional<std::string_view> value;
    if (equals != std::string_view::npos) value = argument.substr(equals + 1);
    if (flag->takes == Takes::nothing && value) {
      return bad(std::string(flag->name) + " takes no value");
    }
    if (flag->takes == Takes::value && !value && i + 1 < arguments.size()) value = arguments[++i];
    if (flag->takes == Takes::value && (!value || value->empty())) {
      return bad(std::string(flag->name) + " needs a value: " + std::string(flag->name) + " " +
                 std::string(flag->value_name));
    }
    if (flag->takes == Takes::maybe_value && !value && i + 1 < arguments.size()) {
      // A word that is no flag can only be meant as this one's value: there are no others.
      const std::string_view next = arguments[i + 1];
      if (is_word_of(next, flag->name) || !next.starts_with("-")) value = arguments[++i];
    }
    auto applied = apply(line, flag->name, value.value_or(""));
    if (applied.has_error()) return applied.error();
    // The first of --help and --version wins over what follows.
    if (line.action == CommandLine::Action::help || line.action == CommandLine::Action::version) {
      return line;
    }
  }
  return line;
}

std::string help_text() {
  std::string text =
      "deepseek-server serves models over the OpenAI API.\n"
      "\nUsage: deepseek-server [--config FILE] [flags]\n\nFlags:\n";
  const auto pad = [](std::string cell, std::size_t width) {
    cell.resize(std::max(cell.size() + 2, width), ' ');
    return cell;
  };
  for (const Flag& flag : flags) {
    std::string left(flag.name);
    if (flag.takes == Takes::value) left += " " + std::string(flag.value_name);
    if (flag.takes == Takes::maybe_value) left += "[=" + std::string(flag.value_name) + "]";
    text += "  " + pad(left, 30) + std::string(flag.help) + "\n";
  }
  text +=
      "\nSettings: in the file under their section, as DEEPSEEK_SECTION__KEY in the environment, "
      "or\n"
      "with --set. Later is stronger: defaults, --config, --system, environment, --set, flags.\n";
  for (const Section& section : sections()) {
    text += "\n" + std::string(section.name.empty() ? "(no section)" : section.name) + "\n";
    for (const Setting* setting : settings()) {
      if (setting->section() != section.name) continue;
      text += "  " + pad(std::string(setting->name), 30) + std::string(setting->help) + "\n";
      text += "  " + pad("", 30) + "Allowed: " + allowed_text(*setting) + ".";
      const std::string standard = default_text(*setting);
      if (!standard.empty()) text += " Default: " + standard + ".";
      if (reloads(*setting)) text += " SIGHUP reloads it.";
      text += "\n";
    }
  }
  return text;
}

}  // namespace deepseek::server
