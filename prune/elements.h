#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapidary::prune {

/// One element of one axis: kept or removed as a whole.
using Element = uint32_t;

/// Which elements are kept together. Classes of equal elements (union-find), each perhaps also the
/// product (logical and) of others: element (c, h, w) of a flattened axis is kept exactly where
/// channel c, row h and column w all are. A class that may not go is frozen; one that takes others'
/// values with it is lossy. Adding equations is always safe: each only rules removals out.
class Elements {
 public:
  Element add(int64_t count);  ///< the first of `count` new ones
  size_t size() const { return nodes_.size(); }

  void unify(Element a, Element b);
  /// whole = and of all factors.
  void multiply(Element whole, std::span<const Element> factors);
  void freeze(Element e, std::string_view reason);
  void lossy(Element e, std::string_view reason);

  /// Freezes what products demand, and makes products of one class agree: as lists of equal length
  /// they are paired factor by factor, what then differs is frozen. Nothing is added afterwards.
  void solve();

  /// The class's representative.
  Element root(Element e) const;
  /// Why it may not go; empty: it may. The first reason that was given to any of its class.
  const std::string& frozen(Element e) const;
  const std::string& why_lossy(Element e) const;
  /// After `solve`: the free classes (sorted roots) without any of which the element goes; empty:
  /// it stays.
  std::span<const Element> units(Element e) const;

 private:
  struct Node {
    Element parent = 0;
    uint32_t rank = 0;
    uint32_t frozen = 0, lossy = 0;  ///< indices of reasons, 0: none
    std::vector<std::vector<Element>> products;
    std::vector<Element> units;
  };
  Element find(Element e);
  uint32_t reason_index(std::string_view reason);
  bool is_frozen(Element e) { return nodes_[find(e)].frozen != 0; }
  bool freeze_root(Element root, uint32_t reason);
  bool spread_frozen(Element root);
  bool merge_products(Element root);
  bool freeze_conflicts(Element root);
  std::vector<Element> reduced(std::span<const Element> product);
  const std::vector<Element>& collect_units(Element root, std::vector<bool>& done);

  std::vector<Node> nodes_;
  std::vector<std::string> reasons_{""};
};

}  // namespace lapidary::prune
