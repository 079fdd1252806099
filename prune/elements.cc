#include "prune/elements.h"

#include <algorithm>

#include "src/base/fail.h"

namespace lapidary::prune {

Element Elements::add(int64_t count) {
  const auto first = static_cast<Element>(nodes_.size());
  nodes_.reserve(nodes_.size() + static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    nodes_.emplace_back().parent = first + static_cast<Element>(i);
  return first;
}

Element Elements::find(Element e) {
  while (nodes_[e].parent != e) {
    nodes_[e].parent = nodes_[nodes_[e].parent].parent;
    e = nodes_[e].parent;
  }
  return e;
}

Element Elements::root(Element e) const {
  while (nodes_[e].parent != e) e = nodes_[e].parent;
  return e;
}

void Elements::unify(Element a, Element b) {
  a = find(a);
  b = find(b);
  if (a == b) return;
  if (nodes_[a].rank < nodes_[b].rank) std::swap(a, b);
  Node &to = nodes_[a], &from = nodes_[b];
  if (to.rank == from.rank) ++to.rank;
  from.parent = a;
  // Reasons are numbered in the order they were given: the first one stays.
  const auto first = [](uint32_t x, uint32_t y) { return x == 0 || (y != 0 && y < x) ? y : x; };
  to.frozen = first(to.frozen, from.frozen);
  to.lossy = first(to.lossy, from.lossy);
  for (auto& product : from.products) to.products.push_back(std::move(product));
  from.products = {};
}

void Elements::multiply(Element whole, std::span<const Element> factors) {
  nodes_[find(whole)].products.emplace_back(factors.begin(), factors.end());
}

uint32_t Elements::reason_index(std::string_view reason) {
  // Neighbouring elements share their reason.
  if (reasons_.back() != reason || reason.empty()) reasons_.emplace_back(reason);
  return static_cast<uint32_t>(reasons_.size() - 1);
}

bool Elements::freeze_root(Element root, uint32_t reason) {
  if (nodes_[root].frozen != 0) return false;
  nodes_[root].frozen = reason;
  return true;
}

void Elements::freeze(Element e, std::string_view reason) {
  e = find(e);
  if (nodes_[e].frozen == 0) nodes_[e].frozen = reason_index(reason);
}

void Elements::lossy(Element e, std::string_view reason) {
  e = find(e);
  if (nodes_[e].lossy == 0) nodes_[e].lossy = reason_index(reason);
}

/// A frozen product has frozen factors; a product of frozen factors is frozen. What a lossy product
/// does to others its factors do.
bool Elements::spread_frozen(Element root) {
  bool changed = false;
  for (const std::vector<Element>& product : nodes_[root].products) {
    bool all = true;
    uint32_t reason = 0;
    for (Element f : product) {
      f = find(f);
      if (nodes_[root].frozen != 0) changed |= freeze_root(f, nodes_[root].frozen);
      if (nodes_[root].lossy != 0 && nodes_[f].lossy == 0) {
        nodes_[f].lossy = nodes_[root].lossy;
        changed = true;
      }
      all = all && nodes_[f].frozen != 0;
      reason = std::max(reason, nodes_[f].frozen);
    }
    if (all) changed |= freeze_root(root, reason);
  }
  return changed;
}

std::vector<Element> Elements::reduced(std::span<const Element> product) {
  std::vector<Element> free;
  for (Element f : product)
    if (!is_frozen(f)) free.push_back(find(f));
  return free;
}

/// Pairs what two lists of factors do not share.
bool Elements::merge_products(Element root) {
  if (nodes_[root].products.empty()) return false;
  auto products = std::move(nodes_[root].products);
  nodes_[root].products = {};
  bool changed = false;
  std::vector<std::vector<Element>> kept;
  const auto pair_with = [&](std::vector<Element> a, std::vector<Element> b) {
    std::vector<Element> only_a, only_b;
    for (Element& e : a) e = find(e);
    for (Element& e : b) e = find(e);
    for (Element e : a)
      if (std::ranges::count(b, e) == 0) only_a.push_back(e);
    for (Element e : b)
      if (std::ranges::count(a, e) == 0) only_b.push_back(e);
    if (only_a.size() != only_b.size()) return false;
    for (size_t i = 0; i < only_a.size(); ++i) {
      unify(only_a[i], only_b[i]);
      changed = true;
    }
    return true;
  };
  for (std::vector<Element>& product : products) {
    bool merged = false;
    for (const std::vector<Element>& other : kept)
      if (other.size() == product.size() && pair_with(other, product)) {
        merged = true;
        break;
      }
    for (size_t i = 0; i < kept.size() && !merged; ++i) {
      const std::vector<Element> a = reduced(kept[i]), b = reduced(product);
      merged = !a.empty() && a.size() == b.size() && pair_with(a, b);
    }
    if (!merged) kept.push_back(std::move(product));
  }
  // Unifying may have moved the class into another.
  Element now = find(root);
  for (std::vector<Element>& product : kept) {
    const std::vector<Element> free = reduced(product);
    if (free.size() == 1 && nodes_[now].frozen == 0) {
      if (free[0] != now) {
        unify(now, free[0]);
        now = find(now);
      }
      changed = true;
      continue;
    }
    nodes_[now].products.push_back(std::move(product));
  }
  return changed;
}

/// Products that do not agree, and those with the class itself among their factors.
bool Elements::freeze_conflicts(Element root) {
  const std::vector<std::vector<Element>> products = nodes_[root].products;
  if (nodes_[root].frozen != 0 || products.empty()) return false;
  const bool disagree = products.size() > 1;
  bool changed = false;
  const uint32_t reason = reason_index("axes are divided in ways that do not agree");
  for (const std::vector<Element>& product : products) {
    const std::vector<Element> free = reduced(product);
    const bool inside = std::ranges::count(free, root) > 0;
    if (!disagree && !inside) continue;
    for (Element f : free)
      if (disagree || f != root) changed |= freeze_root(f, reason);
  }
  if (disagree) changed |= freeze_root(root, reason);
  return changed;
}

void Elements::solve() {
  const auto sweep = [&](bool (Elements::*step)(Element)) {
    bool changed = false;
    for (Element e = 0; e < nodes_.size(); ++e)
      if (nodes_[e].parent == e && !nodes_[e].products.empty()) changed |= (this->*step)(e);
    return changed;
  };
  do {
    bool moved = true;
    while (moved) {
      moved = sweep(&Elements::spread_frozen);
      moved |= sweep(&Elements::merge_products);
    }
  } while (sweep(&Elements::freeze_conflicts));
  std::vector<bool> done(nodes_.size());
  for (Element e = 0; e < nodes_.size(); ++e)
    if (nodes_[e].parent == e) collect_units(e, done);
}

const std::vector<Element>& Elements::collect_units(Element root, std::vector<bool>& done) {
  if (done[root]) return nodes_[root].units;
  done[root] = true;  // a product within itself was frozen
  std::vector<Element> units;
  if (nodes_[root].frozen == 0) {
    if (nodes_[root].products.empty()) units.push_back(root);
    for (const std::vector<Element>& product : nodes_[root].products)
      for (Element f : product) {
        const std::vector<Element>& more = collect_units(find(f), done);
        units.insert(units.end(), more.begin(), more.end());
      }
    std::ranges::sort(units);
    units.erase(std::ranges::unique(units).begin(), units.end());
  }
  nodes_[root].units = std::move(units);
  return nodes_[root].units;
}

const std::string& Elements::frozen(Element e) const { return reasons_[nodes_[root(e)].frozen]; }

const std::string& Elements::why_lossy(Element e) const { return reasons_[nodes_[root(e)].lossy]; }

std::span<const Element> Elements::units(Element e) const { return nodes_[root(e)].units; }

}  // namespace lapidary::prune
