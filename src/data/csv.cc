#include "src/data/csv.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

/// Splits into records of cells; quoted cells may hold commas, line ends and doubled quotes.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  /// False at the end of the text.
  bool record(std::vector<std::string>& cells) {
    cells.clear();
    if (at_ >= text_.size()) return false;
    line_ = next_line_;
    do cells.push_back(cell());
    while (accept(','));
    accept('\r');
    if (at_ < text_.size() && !accept('\n'))
      fail_invalid("line {}: text after a closing quote", line_);
    ++next_line_;
    return true;
  }
  int64_t line() const { return line_; }

 private:
  bool accept(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string cell() {
    if (accept('"')) return quoted();
    const size_t end = std::min(text_.find_first_of(",\n", at_), text_.size());
    std::string_view out = text_.substr(at_, end - at_);
    at_ = end;
    if (out.ends_with('\r')) out.remove_suffix(1);
    while (out.starts_with(' ')) out.remove_prefix(1);
    while (out.ends_with(' ')) out.remove_suffix(1);
    return std::string(out);
  }
  std::string quoted() {
    std::string out;
    for (;;) {
      if (at_ >= text_.size()) fail_invalid("line {}: a quote stays open", line_);
      const char c = text_[at_++];
      if (c == '\n') ++next_line_;
      if (c != '"') {
        out += c;
      } else if (!accept('"')) {
        return out;
      } else {
        out += '"';
      }
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  int64_t line_ = 1, next_line_ = 1;
};

std::optional<int64_t> integer(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

bool is_numeric(const CsvTable& table, size_t column) {
  return std::all_of(table.rows.begin(), table.rows.end(), [&](const auto& row) {
    return row[column].empty() || integer(row[column]).has_value();
  });
}

std::optional<size_t> find_column(const CsvTable& table, const std::string& name) {
  const auto at = std::find(table.header.begin(), table.header.end(), name);
  if (at == table.header.end()) return {};
  return static_cast<size_t>(at - table.header.begin());
}

size_t named_column(const CsvTable& table, const std::string& name) {
  if (const auto column = find_column(table, name)) return *column;
  fail_usage("has no column '{}'; its columns are {}{}", name, fmt::join(table.header, ", "),
             did_you_mean(name, table.header));
}

size_t label_column_of(const CsvTable& table, const std::string& asked) {
  if (!asked.empty()) return named_column(table, asked);
  if (const auto column = find_column(table, "label")) return *column;
  std::vector<size_t> numeric;
  for (size_t c = 0; c < table.header.size(); ++c)
    if (table.header[c] != "index" && is_numeric(table, c)) numeric.push_back(c);
  if (numeric.size() == 1) return numeric[0];
  fail_invalid("{} of its columns ({}) hold numbers; say which is the label with 'label_column'",
               numeric.empty() ? "none" : "several", fmt::join(table.header, ", "));
}

size_t file_column_of(const CsvTable& table, const std::string& asked, size_t label) {
  if (!asked.empty()) return named_column(table, asked);
  for (const char* name : {"file", "filename", "image", "path"})
    if (const auto column = find_column(table, name)) return *column;
  std::vector<size_t> text;
  for (size_t c = 0; c < table.header.size(); ++c)
    if (c != label && !is_numeric(table, c)) text.push_back(c);
  if (text.size() == 1) return text[0];
  fail_invalid("which of its columns ({}) names the file? Say so with 'columns: {{file: NAME}}'",
               fmt::join(table.header, ", "));
}

}  // namespace

CsvTable parse_csv(std::string_view text) {
  CsvReader reader(text);
  CsvTable table;
  if (!reader.record(table.header)) fail_invalid("is empty; expected a header and rows");
  std::vector<std::string> row;
  while (reader.record(row)) {
    if (row.size() == 1 && row[0].empty()) continue;
    if (row.size() != table.header.size())
      fail_invalid("line {}: {} cells, the header has {}", reader.line(), row.size(),
                   table.header.size());
    table.rows.push_back(row);
    table.lines.push_back(reader.line());
  }
  return table;
}

std::vector<LabelRow> label_rows(const CsvTable& table, const CsvColumns& columns,
                                 const std::string& label_column, bool need_files) {
  const size_t label = label_column_of(table, columns.label.empty() ? label_column : columns.label);
  const size_t file = need_files ? file_column_of(table, columns.file, label) : 0;
  const std::optional<size_t> index = find_column(table, "index");
  std::vector<std::pair<size_t, std::string>> filter;
  for (const auto& [name, text] : columns.where)
    filter.emplace_back(named_column(table, name), text);
  std::vector<LabelRow> out;
  for (size_t r = 0; r < table.rows.size(); ++r) {
    const auto& row = table.rows[r];
    if (!std::all_of(filter.begin(), filter.end(),
                     [&](const auto& rule) { return row[rule.first] == rule.second; }))
      continue;
    LabelRow entry;
    if (need_files) entry.file = row[file];
    entry.index = static_cast<int64_t>(r);
    if (index && !need_files) {
      const auto value = integer(row[*index]);
      if (!value || *value < 0)
        fail_invalid("line {}: index '{}' is not a number from 0", table.lines[r], row[*index]);
      entry.index = *value;
    }
    const auto value = integer(row[label]);
    entry.label = value && *value >= 0 ? *value : kNoLabel;
    out.push_back(std::move(entry));
  }
  return out;
}

}  // namespace lapidary
