#include "prune/elements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace lapidary::prune {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Element> units(const Elements& e, Element of) {
  return {e.units(of).begin(), e.units(of).end()};
}

TEST(Elements, EqualOnesShareOneUnit) {
  Elements e;
  const Element a = e.add(3);
  e.unify(a, a + 1);
  e.solve();
  EXPECT_EQ(e.root(a), e.root(a + 1));
  EXPECT_THAT(units(e, a), ElementsAre(e.root(a)));
  EXPECT_NE(e.root(a), e.root(a + 2));
}

TEST(Elements, FirstReasonStays) {
  Elements e;
  const Element a = e.add(2);
  e.freeze(a, "first");
  e.freeze(a + 1, "second");
  e.unify(a + 1, a);
  e.solve();
  EXPECT_EQ(e.frozen(a + 1), "first");
  EXPECT_THAT(units(e, a), IsEmpty());
}

// [h: 2] x [d: 2] as one axis of 4
TEST(Elements, ProductGoesWithAnyFactor) {
  Elements e;
  const Element whole = e.add(4), h = e.add(2), d = e.add(2);
  for (Element i = 0; i < 4; ++i) e.multiply(whole + i, std::vector<Element>{h + i / 2, d + i % 2});
  e.solve();
  EXPECT_THAT(units(e, whole + 1), testing::UnorderedElementsAre(h, d + 1));
  EXPECT_THAT(units(e, whole + 2), testing::UnorderedElementsAre(h + 1, d));
}

TEST(Elements, FrozenFactorLeavesTheOther) {
  Elements e;
  const Element whole = e.add(4), h = e.add(2), d = e.add(2);
  for (Element i = 0; i < 4; ++i) e.multiply(whole + i, std::vector<Element>{h + i / 2, d + i % 2});
  e.freeze(d, "window");
  e.freeze(d + 1, "window");
  e.solve();
  EXPECT_EQ(units(e, whole), units(e, whole + 1));
  EXPECT_THAT(units(e, whole + 2), ElementsAre(e.root(h + 1)));
}

TEST(Elements, FrozenProductFreezesItsFactors) {
  Elements e;
  const Element whole = e.add(4), h = e.add(2), d = e.add(2);
  for (Element i = 0; i < 4; ++i) e.multiply(whole + i, std::vector<Element>{h + i / 2, d + i % 2});
  e.freeze(whole + 1, "output");
  e.solve();
  EXPECT_EQ(e.frozen(h), "output");
  EXPECT_EQ(e.frozen(d + 1), "output");
  EXPECT_EQ(e.frozen(h + 1), "");
  EXPECT_THAT(units(e, whole + 2), testing::UnorderedElementsAre(e.root(h + 1), e.root(d)));
}

TEST(Elements, TwoProductsOfOneAxisPairTheirFactors) {
  Elements e;
  const Element whole = e.add(6), a = e.add(2), b = e.add(3), c = e.add(2), d = e.add(3);
  for (Element i = 0; i < 6; ++i) {
    e.multiply(whole + i, std::vector<Element>{a + i / 3, b + i % 3});
    e.multiply(whole + i, std::vector<Element>{c + i / 3, d + i % 3});
  }
  e.solve();
  EXPECT_EQ(e.root(a + 1), e.root(c + 1));
  EXPECT_EQ(e.root(b + 2), e.root(d + 2));
  EXPECT_NE(e.root(a), e.root(b));
}

// 6 = 2 x 3 and 6 = 3 x 2 by rows: no unit is free of the other division.
TEST(Elements, ProductsOfOtherSizesRuleRemovalsOut) {
  Elements e;
  const Element whole = e.add(6), a = e.add(2), b = e.add(3), c = e.add(3), d = e.add(2);
  for (Element i = 0; i < 6; ++i) {
    e.multiply(whole + i, std::vector<Element>{a + i / 3, b + i % 3});
    e.multiply(whole + i, std::vector<Element>{c + i / 2, d + i % 2});
  }
  e.solve();
  // a0 = c0 (elements 0, 1) = ... = c1 = a1 = c2; b and d alike: either all of `whole` goes or
  // none.
  for (Element i = 0; i < 6; ++i)
    EXPECT_THAT(units(e, whole + i), testing::UnorderedElementsAre(e.root(a), e.root(b))) << i;
  for (const Element same : {a + 1, c, c + 1, c + 2}) EXPECT_EQ(e.root(same), e.root(a));
  for (const Element same : {b + 1, b + 2, d, d + 1}) EXPECT_EQ(e.root(same), e.root(b));
  EXPECT_NE(e.root(a), e.root(b));
}

TEST(Elements, ThreeFactorsAgainstTwoFreeze) {
  Elements e;
  const Element whole = e.add(1), f = e.add(5);
  e.multiply(whole, std::vector<Element>{f, f + 1, f + 2});
  e.multiply(whole, std::vector<Element>{f + 3, f + 4});
  e.solve();
  for (Element i = 0; i < 5; ++i) EXPECT_FALSE(e.frozen(f + i).empty()) << i;
  EXPECT_FALSE(e.frozen(whole).empty());
}

TEST(Elements, LossyProductMakesItsFactorsLossy) {
  Elements e;
  const Element whole = e.add(1), f = e.add(2);
  e.multiply(whole, std::vector<Element>{f, f + 1});
  e.lossy(whole, "mean");
  e.solve();
  EXPECT_EQ(e.why_lossy(f), "mean");
  EXPECT_EQ(e.why_lossy(f + 1), "mean");
}

}  // namespace
}  // namespace lapidary::prune
