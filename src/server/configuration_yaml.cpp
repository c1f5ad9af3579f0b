// YAML by yaml-cpp's event interface: the tree is ours, so that duplicates, depth, aliases and line
// numbers are too.
#include "base/utf8.hpp"
#include "server/configuration_text.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>
#include <map>
#include <sstream>

namespace deepseek::server {
namespace {

using base::ErrorCode;
using base::make_error;
using base::Result;

std::string place(std::string_view name, int line) {
  return std::string(name) + ":" + std::to_string(line) + ": ";
}

// Builds the tree. After the first problem it ignores what follows: it cannot stop the parser
// without an exception of its own.
class TreeBuilder : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { line_ = mark.line + 1; }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode node;
    leaf(mark, anchor, std::move(node));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    refuse(mark, "found an alias (*name); write the value out instead");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node;
    node.kind = YamlNode::Kind::scalar;
    node.scalar = value;
    leaf(mark, anchor, std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, anchor, YamlNode::Kind::list);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, anchor, YamlNode::Kind::map);
  }
  void OnMapEnd() override { close(); }

  int problem_line() const { return problem_line_; }
  const std::string& problem() const { return problem_; }
  YamlNode take() { return std::move(root_); }

 private:
  struct Frame {
    YamlNode node;
    bool has_key = false;
    std::string key;
    int key_line = 0;
    std::map<std::string, int> lines;  // of the keys so far
  };

  void refuse(const YAML::Mark& mark, std::string what) {
    if (!problem_.empty()) return;
    problem_ = std::move(what);
    problem_line_ = mark.line + 1;
    stack_.clear();
  }

  bool admit(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (!problem_.empty()) return false;
    if (anchor != 0) {
      refuse(mark, "found an anchor (&name); write the value out where it is needed instead");
    } else if (++nodes_ > configuration_nodes_max) {
      refuse(mark, "found more than " + std::to_string(configuration_nodes_max) +
                       " values; a configuration is smaller");
    }
    return problem_.empty();
  }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode::Kind kind) {
    if (!admit(mark, anchor)) return;
    if (!stack_.empty() && awaits_key(stack_.back())) {
      return refuse(mark, "found a list or a map where a key must be");
    }
    if (stack_.size() >= configuration_depth_max) {
      return refuse(mark, "found values nested deeper than " +
                              std::to_string(configuration_depth_max) + " levels");
    }
    Frame frame;
    frame.node.kind = kind;
    frame.node.line = mark.line + 1;
    stack_.push_back(std::move(frame));
  }

  void close() {
    if (!problem_.empty() || stack_.empty()) return;
    YamlNode node = std::move(stack_.back().node);
    stack_.pop_back();
    add(std::move(node));
  }

  void leaf(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode node) {
    if (!admit(mark, anchor)) return;
    node.line = mark.line + 1;
    if (stack_.empty() || !awaits_key(stack_.back())) return add(std::move(node));
    Frame& frame = stack_.back();
    if (node.kind != YamlNode::Kind::scalar) return refuse(mark, "found an empty key");
    const auto [before, fresh] = frame.lines.emplace(node.scalar, node.line);
    if (!fresh) {
      return refuse(mark, "found the key \"" + node.scalar.substr(0, 80) +
                              "\" again; it stands already in line " +
                              std::to_string(before->second));
    }
    frame.has_key = true;
    frame.key = std::move(node.scalar);
    frame.key_line = node.line;
  }

  void add(YamlNode node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = stack_.back();
    if (frame.node.kind == YamlNode::Kind::list) {
      frame.node.items.push_back(std::move(node));
      return;
    }
    frame.node.members.push_back({std::move(frame.key), frame.key_line, std::move(node)});
    frame.key.clear();
    frame.has_key = false;
  }

  static bool awaits_key(const Frame& frame) {
    return frame.node.kind == YamlNode::Kind::map && !frame.has_key;
  }

  std::vector<Frame> stack_;
  YamlNode root_;
  std::string problem_;
  int problem_line_ = 0;
  int line_ = 0;
  std::size_t nodes_ = 0;
};

}  // namespace

Result<YamlNode> parse_yaml(const std::string& text, std::string_view name) {
  const auto fail = [name](int line, const std::string& what) {
    return make_error(ErrorCode::invalid_request, place(name, line) + what);
  };
  if (text.size() > configuration_file_max) return fail(1, "found a file larger than 2MB");
  if (!base::is_valid_utf8(text)) return fail(1, "found bytes that are not UTF-8");
  std::istringstream stream(text);
  TreeBuilder builder;
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    if (builder.problem().empty()) {
      TreeBuilder second;
      if (parser.HandleNextDocument(second)) {
        return fail(1, "found several YAML documents (---); allowed is one");
      }
    }
  } catch (const YAML::Exception& exception) {
    // Its messages name the grammar's rule, never the text.
    return fail(exception.mark.line + 1, "this is not YAML: " + exception.msg);
  } catch (const std::exception&) {
    return fail(1, "this is not YAML");
  }
  if (!builder.problem().empty()) return fail(builder.problem_line(), builder.problem());
  return builder.take();
}

}  // namespace deepseek::server
