#include "src/base/params.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "src/base/text.h"

namespace lapidary {

Setting Setting::scalar(std::string text) {
  Setting s;
  s.kind = Kind::kScalar;
  s.text = std::move(text);
  return s;
}

Setting Setting::list(std::vector<Setting> items) {
  Setting s;
  s.kind = Kind::kList;
  s.items = std::move(items);
  return s;
}

Setting Setting::map(std::vector<std::pair<std::string, Setting>> entries) {
  Setting s;
  s.kind = Kind::kMap;
  s.entries = std::move(entries);
  return s;
}

const Setting* Setting::find(std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name == key) return &value;
  return nullptr;
}

std::string Setting::where() const {
  if (line == 0) return source;
  return fmt::format("{}:{}:{}", source.empty() ? "line" : source, line, column);
}

std::string Setting::key_where() const {
  if (key_line == 0) return where();
  return fmt::format("{}:{}:{}", source.empty() ? "line" : source, key_line, key_column);
}

const Field* FieldTable::find(std::string_view key) const {
  for (const Field& f : fields)
    if (f.name == key) return &f;
  return nullptr;
}

std::vector<std::string> FieldTable::names() const {
  std::vector<std::string> out;
  for (const Field& f : fields) out.push_back(f.name);
  return out;
}

namespace {

const char* kind_name(Setting::Kind kind) {
  switch (kind) {
    case Setting::Kind::kNull:
      return "nothing";
    case Setting::Kind::kScalar:
      return "a value";
    case Setting::Kind::kList:
      return "a list";
    case Setting::Kind::kMap:
      return "a map";
  }
  return "";
}

const std::string& scalar_text(const Setting& s, const Field& f, const char* wanted) {
  if (s.kind != Setting::Kind::kScalar)
    fail_setting(s, "'{}' wants {}, found {}", f.name, wanted, kind_name(s.kind));
  return s.text;
}

void check_range(const Setting& s, const Field& f, double value) {
  if (value < f.min || value > f.max)
    fail_setting(s, "'{}' is {}; it must lie in {}..{}", f.name, s.text, f.min, f.max);
}

void check_choice(const Setting& s, const Field& f) {
  if (f.choices.empty() || std::ranges::count(f.choices, s.text) > 0) return;
  fail_setting(s, "'{}' is '{}'; it is one of {}{}", f.name, s.text, fmt::join(f.choices, ", "),
               did_you_mean(s.text, f.choices));
}

}  // namespace

bool parse_bool(const Setting& s, const Field& f) {
  const std::string& text = scalar_text(s, f, "true or false");
  if (!s.quoted && text == "true") return true;
  if (!s.quoted && text == "false") return false;
  fail_setting(s, "'{}' wants true or false, found '{}'", f.name, text);
}

int64_t parse_integer(const Setting& s, const Field& f) {
  const std::string& text = scalar_text(s, f, "an integer");
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const size_t sign = text.starts_with('-') ? 1 : 0;
  const bool leading_zero = text.size() > sign + 1 && text[sign] == '0';
  if (error == std::errc::result_out_of_range)
    fail_setting(s, "'{}': {} does not fit 64 bits", f.name, text);
  if (s.quoted || error != std::errc{} || stop != end || leading_zero)
    fail_setting(s, "'{}' wants a decimal integer, found '{}'", f.name, text);
  check_range(s, f, static_cast<double>(value));
  check_choice(s, f);
  return value;
}

double parse_number(const Setting& s, const Field& f) {
  const std::string& text = scalar_text(s, f, "a number");
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (s.quoted || error != std::errc{} || stop != end || !std::isfinite(value))
    fail_setting(s, "'{}' wants a finite number, found '{}'", f.name, text);
  check_range(s, f, value);
  return value;
}

std::string parse_text(const Setting& s, const Field& f) {
  const std::string& text = scalar_text(s, f, "a text");
  check_choice(s, f);
  return text;
}

void bind(const FieldTable& table, const Setting& setting, void* object) {
  if (setting.kind == Setting::Kind::kNull) return;
  if (setting.kind != Setting::Kind::kMap)
    fail_setting(setting, "'{}' wants a map of settings, found {}", table.name,
                 kind_name(setting.kind));
  for (size_t i = 0; i < setting.entries.size(); ++i) {
    const auto& [key, value] = setting.entries[i];
    for (size_t j = 0; j < i; ++j)
      if (setting.entries[j].first == key)
        fail_key(value, "key '{}' stands twice (first at {})", key,
                 setting.entries[j].second.key_where());
    const Field* f = table.find(key);
    if (f == nullptr)
      fail_key(value, "unknown key '{}' in '{}'{}", key, table.name,
               did_you_mean(key, table.names()));
    f->set(object, value, *f);
  }
  for (const Field& f : table.fields)
    if (f.required && setting.find(f.name) == nullptr)
      fail_setting(setting, "'{}' needs the key '{}' ({})", table.name, f.name, f.help);
}

Setting unbind(const FieldTable& table, const void* object) {
  std::vector<std::pair<std::string, Setting>> entries;
  for (const Field& f : table.fields) entries.emplace_back(f.name, f.get(object));
  return Setting::map(std::move(entries));
}

Setting to_setting(const Numbers& params) {
  std::vector<std::pair<std::string, Setting>> entries;
  for (const auto& [name, values] : params)
    entries.emplace_back(name, values.size() == 1
                                   ? FieldCodec<double>::format(values[0])
                                   : FieldCodec<std::vector<double>>::format(values));
  return Setting::map(std::move(entries));
}

}  // namespace lapidary
