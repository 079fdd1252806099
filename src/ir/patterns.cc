#include "src/ir/patterns.h"

#include <algorithm>
#include <functional>
#include <regex>
#include <utility>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

constexpr std::string_view kOp = "op:", kRegex = "re:";

std::regex compile(const std::string& pattern) {
  try {
    return std::regex(pattern.substr(kRegex.size()), std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error& error) {
    fail_usage("node pattern '{}': {}", printable(pattern), error.what());
  }
}

/// Op types or node keys, each once.
std::vector<std::string> candidates(const Graph& graph, bool ops) {
  std::vector<std::string> names;
  for (const NodeId id : graph.nodes())
    names.push_back(ops ? graph.node(id).op : node_key(graph, id));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

/// The least number of insertions, deletions and replacements that make `word` a part of `text`.
size_t part_distance(std::string_view word, std::string_view text) {
  // Rows are the letters of `word`; a part may begin and end anywhere in `text`.
  std::vector<size_t> last(text.size() + 1), row(text.size() + 1);
  for (size_t i = 1; i <= word.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= text.size(); ++j)
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (word[i - 1] != text[j - 1])});
    std::swap(last, row);
  }
  return *std::min_element(last.begin(), last.end());
}

/// What stands between a pattern's wildcards.
std::vector<std::string> literal_parts(std::string_view pattern) {
  std::vector<std::string> parts(1);
  for (const char c : pattern) {
    if (std::string_view("*?[]").find(c) == std::string_view::npos)
      parts.back() += c;
    else if (!parts.back().empty())
      parts.emplace_back();
  }
  return parts;
}

/// "; the nearest names are ...": those that hold the pattern's parts with the fewest changes,
/// however many.
std::string nearest_text(const std::string& pattern, const std::vector<std::string>& names) {
  constexpr size_t kMost = 3;
  const std::vector<std::string> parts = literal_parts(pattern);
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string& name : names) {
    size_t distance = 0;
    for (const std::string& part : parts) distance += part_distance(part, name);
    near.emplace_back(distance, name);
  }
  std::stable_sort(near.begin(), near.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  near.resize(std::min(near.size(), kMost));
  if (near.empty()) return {};
  std::vector<std::string> shown;
  for (auto& [distance, name] : near) shown.push_back(std::move(name));
  return fmt::format("; the nearest names are '{}'", fmt::join(shown, "', '"));
}

/// "; did you mean ...?": a node's key, or `op:` and a type (that it begins so may have been
/// forgotten).
std::string proposal(const Graph& graph, const std::string& pattern, bool ops) {
  std::vector<std::string> types = candidates(graph, true);
  if (std::find(types.begin(), types.end(), pattern) != types.end())
    return fmt::format("; did you mean '{}{}'?", kOp, pattern);
  for (std::string& type : types) type.insert(0, kOp);
  const std::vector<std::string> names = ops ? types : candidates(graph, false);
  if (std::string near = did_you_mean(pattern, names); !near.empty()) return near;
  return nearest_text(pattern, names);
}

template <class Matches>
std::vector<NodeId> select(const Graph& graph, bool ops, const Matches& matches) {
  std::vector<NodeId> found;
  for (const NodeId id : graph.nodes())
    if (matches(ops ? graph.node(id).op : node_key(graph, id))) found.push_back(id);
  return found;
}

}  // namespace

std::vector<NodeId> match_nodes(const Graph& graph, const std::string& pattern) {
  const bool ops = pattern.starts_with(kOp);
  const std::string word = ops ? pattern.substr(kOp.size()) : pattern;
  std::vector<NodeId> found;
  if (pattern.starts_with(kRegex)) {
    const std::regex regex = compile(pattern);
    found = select(graph, false, [&](const std::string& s) { return std::regex_match(s, regex); });
  } else {
    found = select(graph, ops, [&](const std::string& s) { return s == word; });
    if (found.empty())
      found = select(graph, ops, [&](const std::string& s) { return glob_match(word, s); });
  }
  if (found.empty())
    fail_usage("no node matches '{}'{}", printable(pattern), proposal(graph, pattern, ops));
  return found;
}

NodeSet match_nodes(const Graph& graph, std::span<const std::string> patterns) {
  NodeSet set;
  for (const std::string& pattern : patterns)
    for (const NodeId id : match_nodes(graph, pattern)) set.insert(id.index);
  return set;
}

}  // namespace lapidary
