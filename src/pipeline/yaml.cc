#include "src/pipeline/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>

#include "src/base/text.h"

namespace lapidary {

namespace {

constexpr size_t kMaxBytes = size_t{1} << 20;
constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxSettings = 100'000;  // aliases count with what they stand for

size_t count_settings(const Setting& s) {
  size_t n = 1;
  for (const Setting& item : s.items) n += count_settings(item);
  for (const auto& [key, value] : s.entries) n += count_settings(value);
  return n;
}

/// Builds the tree from yaml-cpp's events, which know the marks, duplicates and quoting.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view text, const std::string& source, bool located)
      : text_(text), source_(source), located_(located) {}

  Setting take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(at(mark), anchor); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail_setting(at(mark), "an alias that contains itself");
    Setting copy = found->second;
    copy.line = at(mark).line;
    add(std::move(copy), 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Setting s = at(mark);
    s.kind = Setting::Kind::kScalar;
    s.text = value;
    s.quoted = tag == "!";
    if (s.quoted) check_quote(mark, s);
    if (!s.quoted && (value == "~" || value == "null")) {
      s.kind = Setting::Kind::kNull;
      s.text.clear();
    }
    add(std::move(s), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, Setting::Kind::kList, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, Setting::Kind::kMap, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Setting setting;
    YAML::anchor_t anchor;
    std::optional<Setting> key;
  };

  Setting at(const YAML::Mark& mark) const {
    Setting s;
    s.source = source_;
    if (located_) {
      s.line = mark.line + 1;
      s.column = mark.column + 1;
    }
    return s;
  }

  /// yaml-cpp 0.7 ends an open quote at the end of the text without a word.
  void check_quote(const YAML::Mark& mark, const Setting& s) const {
    size_t i = static_cast<size_t>(mark.pos);
    if (i >= text_.size() || (text_[i] != '"' && text_[i] != '\'')) return;
    const char quote = text_[i++];
    for (; i < text_.size(); ++i) {
      if (quote == '"' && text_[i] == '\\') {
        ++i;
      } else if (text_[i] == quote) {
        if (quote == '\'' && i + 1 < text_.size() && text_[i + 1] == quote) {
          ++i;
          continue;
        }
        return;
      }
    }
    fail_setting(s, "this quote is never closed");
  }

  void open(const YAML::Mark& mark, Setting::Kind kind, YAML::anchor_t anchor) {
    Setting s = at(mark);
    s.kind = kind;
    if (stack_.size() >= kMaxDepth) fail_setting(s, "more than {} levels", kMaxDepth);
    stack_.push_back({std::move(s), anchor, std::nullopt});
  }

  void close() {
    Open done = std::move(stack_.back());
    stack_.pop_back();
    add(std::move(done.setting), done.anchor);
  }

  void add(Setting s, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = s;
    total_ += count_settings(s);
    if (total_ > kMaxSettings * kMaxDepth) fail_setting(s, "aliases make this document too large");
    if (count_settings(s) > kMaxSettings) fail_setting(s, "more than {} settings", kMaxSettings);
    if (stack_.empty()) {
      root_ = std::move(s);
      return;
    }
    Open& parent = stack_.back();
    if (parent.setting.kind == Setting::Kind::kList) {
      parent.setting.items.push_back(std::move(s));
    } else if (!parent.key) {
      if (s.kind != Setting::Kind::kScalar) fail_setting(s, "a key must be a plain text");
      parent.key = std::move(s);
    } else {
      s.key_line = parent.key->line;
      s.key_column = parent.key->column;
      parent.setting.entries.emplace_back(parent.key->text, std::move(s));
      parent.key.reset();
    }
  }

  std::string_view text_;
  std::string source_;
  bool located_;
  Setting root_;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, Setting> anchors_;
  size_t total_ = 0;
};

bool looks_like_number(const std::string& text) {
  double value;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc{} && stop == text.data() + text.size();
}

bool needs_quotes(const std::string& text) {
  if (text.empty() || looks_like_number(text)) return true;
  for (const char* word : {"true", "false", "null", "~", "yes", "no", "on", "off"})
    if (text == word) return true;
  const std::string plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+";
  return text.find_first_not_of(plain) != std::string::npos || text.front() == '-' ||
         text.front() == '.';
}

std::string yaml_scalar(const Setting& s) {
  if (s.kind == Setting::Kind::kNull) return "null";
  const bool quote = s.quoted ? needs_quotes(s.text) : s.text.empty();
  return quote
             ? nlohmann::json(s.text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
             : s.text;
}

std::string yaml_key(const std::string& key) {
  Setting s = Setting::scalar(key);
  s.quoted = true;
  return yaml_scalar(s);
}

bool is_leaf(const Setting& s) {
  return s.kind == Setting::Kind::kNull || s.kind == Setting::Kind::kScalar;
}

std::string flow(const Setting& s) {
  if (is_leaf(s)) return yaml_scalar(s);
  std::vector<std::string> parts;
  for (const Setting& item : s.items) parts.push_back(flow(item));
  for (const auto& [key, value] : s.entries) parts.push_back(yaml_key(key) + ": " + flow(value));
  const bool list = s.kind == Setting::Kind::kList;
  return fmt::format("{}{}{}", list ? "[" : "{", fmt::join(parts, ", "), list ? "]" : "}");
}

void block(const Setting& s, int indent, std::string& out) {
  const std::string pad(static_cast<size_t>(indent), ' ');
  for (const auto& [key, value] : s.entries) {
    out += pad + yaml_key(key) + ":";
    const bool nested = value.kind == Setting::Kind::kMap && !value.entries.empty();
    bool maps = false;
    for (const Setting& item : value.items) maps |= item.kind == Setting::Kind::kMap;
    if (nested) {
      out += "\n";
      block(value, indent + 2, out);
    } else if (maps) {
      out += "\n";
      for (const Setting& item : value.items) out += pad + "  - " + flow(item) + "\n";
    } else {
      out += " " + flow(value) + "\n";
    }
  }
}

nlohmann::ordered_json to_json(const Setting& s) {
  using nlohmann::ordered_json;
  switch (s.kind) {
    case Setting::Kind::kNull:
      return nullptr;
    case Setting::Kind::kScalar:
      if (s.quoted) return s.text;
      if (s.text == "true" || s.text == "false") return s.text == "true";
      if (looks_like_number(s.text)) return ordered_json::parse(s.text, nullptr, false);
      return s.text;
    case Setting::Kind::kList: {
      ordered_json out = ordered_json::array();
      for (const Setting& item : s.items) out.push_back(to_json(item));
      return out;
    }
    case Setting::Kind::kMap: {
      ordered_json out = ordered_json::object();
      for (const auto& [key, value] : s.entries) out[key] = to_json(value);
      return out;
    }
  }
  return nullptr;
}

}  // namespace

Setting parse_yaml(std::string_view text, const std::string& source, bool located) {
  Setting file;
  file.source = source;
  if (text.size() > kMaxBytes)
    fail_setting(file, "{} bytes; at most {} are read", text.size(), kMaxBytes);
  if (text.find('\0') != std::string_view::npos) fail_setting(file, "holds a NUL byte");
  if (!valid_utf8(text)) fail_setting(file, "is not UTF-8");
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    TreeBuilder tree(text, source, located);
    if (!parser.HandleNextDocument(tree)) fail_setting(file, "is empty");
    TreeBuilder second(text, source, located);
    if (parser.HandleNextDocument(second)) fail_setting(file, "holds a second document");
    return tree.take();
  } catch (const YAML::Exception& error) {
    file.line = error.mark.is_null() || !located ? 0 : error.mark.line + 1;
    file.column = error.mark.is_null() || !located ? 0 : error.mark.column + 1;
    fail_setting(file, "{}", error.msg);
  }
}

Setting parse_inline(const std::string& text, const std::string& source) {
  const size_t first = text.find_first_not_of(" \t\n");
  if (first != std::string::npos && (text[first] == '{' || text[first] == '['))
    return parse_yaml(text, source, false);
  Setting plain = Setting::scalar(text);
  plain.quoted = true;
  return plain;
}

std::string write_yaml(const Setting& setting) {
  std::string out;
  block(setting, 0, out);
  return out;
}

std::string write_json(const Setting& setting) {
  return to_json(setting).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace lapidary
