#include "src/ir/patterns.h"

#include <algorithm>
#include <functional>
#include <regex>

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

/// "; the nearest names are ...": of a pattern's letters, however far.
std::string nearest_text(const std::string& pattern, std::vector<std::string> names) {
  constexpr size_t kMost = 3;
  std::string letters;
  for (const char c : pattern)
    if (std::string_view("*?[]").find(c) == std::string_view::npos) letters += c;
  std::stable_sort(names.begin(), names.end(), [&](const auto& a, const auto& b) {
    return edit_distance(letters, a) < edit_distance(letters, b);
  });
  names.resize(std::min(names.size(), kMost));
  if (names.empty()) return {};
  return fmt::format("; the nearest names are '{}'", fmt::join(names, "', '"));
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
