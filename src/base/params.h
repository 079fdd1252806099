#pragma once

#include <any>
#include <concepts>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lapidary/named.h"
#include "src/base/fail.h"

namespace lapidary {

/// One value of a recipe, a command line or a data record, before it has a type. Scalars keep their
/// text, so that the field that receives one decides what `010` or `1e-4` means.
struct Setting {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  std::string text;                                      ///< kScalar
  bool quoted = false;                                   ///< "5" is a text, 5 may be a number
  std::vector<Setting> items;                            ///< kList
  std::vector<std::pair<std::string, Setting>> entries;  ///< kMap, in file order
  std::string source;                                    ///< file, or "" for the command line
  int line = 0, column = 0;                              ///< 1-based; 0: not from a file
  int key_line = 0, key_column = 0;  ///< of the key, where this is a map's value

  static Setting scalar(std::string text);
  static Setting list(std::vector<Setting> items);
  static Setting map(std::vector<std::pair<std::string, Setting>> entries);
  /// The entry of that key or null.
  const Setting* find(std::string_view key) const;
  /// "recipe.yaml:12:3" or "".
  std::string where() const;
  /// The same for its key.
  std::string key_where() const;
};

/// Throws Error{kUsage} whose context is the setting's place.
template <class... Args>
[[noreturn]] void fail_setting(const Setting& at, fmt::format_string<Args...> format,
                               Args&&... args) {
  throw Error(ErrorCode::kUsage, fmt::format(format, std::forward<Args>(args)...), at.where());
}

/// The same at the setting's key.
template <class... Args>
[[noreturn]] void fail_key(const Setting& at, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::kUsage, fmt::format(format, std::forward<Args>(args)...), at.key_where());
}

class FieldTable;

/// One parameter of a params struct: everything that parsing, `lapidary list`, the JSON Schema and
/// the documentation say about it.
struct Field {
  std::string name;
  std::string help;
  std::string type;  ///< "boolean", "integer", "number", "string", "list of ...", "record"
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices;  ///< of a string or an integer; empty: any
  bool required = false;
  std::function<const FieldTable&()> record;  ///< of a record, or of a list's records
  std::function<void(void* object, const Setting&, const Field&)> set;
  std::function<Setting(const void* object)> get;

  Field& range(double low, double high) {
    min = low;
    max = high;
    return *this;
  }
  Field& one_of(std::vector<std::string> names) {
    choices = std::move(names);
    return *this;
  }
  Field& one_of(std::span<const int> numbers) {
    for (const int number : numbers) choices.push_back(std::to_string(number));
    return *this;
  }
  Field& needed() {
    required = true;
    return *this;
  }
};

/// The fields of one params struct.
class FieldTable {
 public:
  std::string name;  ///< what messages call the struct: "quantize", "data"
  std::vector<Field> fields;

  const Field* find(std::string_view key) const;
  std::vector<std::string> names() const;
};

/// Scalars as types; each throws Error{kUsage} with the setting's place. Numbers are finite,
/// decimal, independent of the locale; `yes`/`no`/`on`/`off` are not booleans; `010` is refused.
bool parse_bool(const Setting&, const Field&);
int64_t parse_integer(const Setting&, const Field&);
double parse_number(const Setting&, const Field&);
std::string parse_text(const Setting&, const Field&);

/// Fills `object` (of the struct that the table describes) from a map; keys that are absent keep
/// their values. Unknown keys, duplicates, wrong types and values out of range throw Error{kUsage}.
void bind(const FieldTable& table, const Setting& setting, void* object);
/// Every field with its value, in table order.
Setting unbind(const FieldTable& table, const void* object);

/// A params struct says `static const FieldTable& fields();`.
template <class T>
concept Parameters = requires {
  { T::fields() } -> std::convertible_to<const FieldTable&>;
};

template <Parameters P>
P bind(const Setting& setting, P initial = {}) {
  bind(P::fields(), setting, &initial);
  return initial;
}

// How each C++ type reads and writes a Setting.
template <class T>
struct FieldCodec;

template <>
struct FieldCodec<bool> {
  static std::string type() { return "boolean"; }
  static bool parse(const Setting& s, const Field& f) { return parse_bool(s, f); }
  static Setting format(bool v) { return Setting::scalar(v ? "true" : "false"); }
};
template <std::integral T>
struct FieldCodec<T> {
  static std::string type() { return "integer"; }
  static T parse(const Setting& s, const Field& f) {
    const int64_t v = parse_integer(s, f);
    if (!std::in_range<T>(v)) fail_setting(s, "{}: {} is out of range", f.name, v);
    return static_cast<T>(v);
  }
  static Setting format(T v) { return Setting::scalar(fmt::format("{}", v)); }
};
template <std::floating_point T>
struct FieldCodec<T> {
  static std::string type() { return "number"; }
  static T parse(const Setting& s, const Field& f) { return static_cast<T>(parse_number(s, f)); }
  static Setting format(T v) { return Setting::scalar(fmt::format("{}", v)); }
};
template <>
struct FieldCodec<std::string> {
  static std::string type() { return "string"; }
  static std::string parse(const Setting& s, const Field& f) { return parse_text(s, f); }
  static Setting format(const std::string& v) {
    Setting s = Setting::scalar(v);
    s.quoted = true;
    return s;
  }
};
/// Kept as it stands, for what is bound later (a step's own parameters).
template <>
struct FieldCodec<Setting> {
  static std::string type() { return "setting"; }
  static Setting parse(const Setting& s, const Field&) { return s; }
  static Setting format(const Setting& v) { return v; }
};
template <Parameters P>
struct FieldCodec<P> {
  static std::string type() { return "record"; }
  static P parse(const Setting& s, const Field&) { return bind<P>(s); }
  static Setting format(const P& v) { return unbind(P::fields(), &v); }
};
template <class T>
struct FieldCodec<std::optional<T>> {
  static std::string type() { return FieldCodec<T>::type(); }
  static std::optional<T> parse(const Setting& s, const Field& f) {
    if (s.kind == Setting::Kind::kNull) return std::nullopt;
    return FieldCodec<T>::parse(s, f);
  }
  static Setting format(const std::optional<T>& v) {
    return v ? FieldCodec<T>::format(*v) : Setting{};
  }
};
/// A list; one bare value stands for a list of one.
template <class T>
struct FieldCodec<std::vector<T>> {
  static std::string type() { return "list of " + FieldCodec<T>::type(); }
  static std::vector<T> parse(const Setting& s, const Field& f) {
    if (s.kind != Setting::Kind::kList) return {FieldCodec<T>::parse(s, f)};
    std::vector<T> out;
    for (const Setting& item : s.items) out.push_back(FieldCodec<T>::parse(item, f));
    return out;
  }
  static Setting format(const std::vector<T>& v) {
    std::vector<Setting> items;
    for (const T& item : v) items.push_back(FieldCodec<T>::format(item));
    return Setting::list(std::move(items));
  }
};

/// A map from any key to a value of one type.
template <class T>
struct FieldCodec<std::map<std::string, T>> {
  static std::string type() { return "map of " + FieldCodec<T>::type(); }
  static std::map<std::string, T> parse(const Setting& s, const Field& f) {
    if (s.kind != Setting::Kind::kMap) fail_setting(s, "'{}' wants a map", f.name);
    std::map<std::string, T> out;
    for (const auto& [key, value] : s.entries)
      if (!out.emplace(key, FieldCodec<T>::parse(value, f)).second)
        fail_key(value, "key '{}' stands twice", key);
    return out;
  }
  static Setting format(const std::map<std::string, T>& v) {
    std::vector<std::pair<std::string, Setting>> entries;
    for (const auto& [key, value] : v) entries.emplace_back(key, FieldCodec<T>::format(value));
    return Setting::map(std::move(entries));
  }
};

/// Parameters by name as a map.
Setting to_setting(const Numbers& params);

template <class T>
struct RecordOf {
  using type = void;
};
template <Parameters P>
struct RecordOf<P> {
  using type = P;
};
template <class T>
struct RecordOf<std::vector<T>> : RecordOf<T> {};
template <class T>
struct RecordOf<std::optional<T>> : RecordOf<T> {};

/// field("bins", &HistogramParams::bins, "Bins of the histogram").range(16, 65536)
template <class P, class T>
Field field(std::string name, T P::*member, std::string help) {
  Field f;
  f.name = std::move(name);
  f.help = std::move(help);
  f.type = FieldCodec<T>::type();
  if constexpr (!std::is_void_v<typename RecordOf<T>::type>)
    f.record = []() -> const FieldTable& { return RecordOf<T>::type::fields(); };
  f.set = [member](void* object, const Setting& s, const Field& self) {
    static_cast<P*>(object)->*member = FieldCodec<T>::parse(s, self);
  };
  f.get = [member](const void* object) {
    return FieldCodec<T>::format(static_cast<const P*>(object)->*member);
  };
  return f;
}

}  // namespace lapidary
