#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lapidary/error.h"
#include "test/prune/net.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Groups "a" (8 units) and "b" (4 units): a -> b -> last, 8x8 pixels.
PruningGraph two_groups() {
  PruneNet net;
  const ValueId x = net.relu(net.conv("a", net.image(), 3, 8));
  return PruningGraph(net.take({net.conv("last", net.relu(net.conv("b", x, 8, 4)), 4, 2)}));
}

/// Of a unit u: u in the first group, 10 u in the second.
const UnitScores kScores = {{0, 1, 2, 3, 4, 5, 6, 7}, {0, 10, 20, 30}};

Selection select(const PruningGraph& graph, SelectOptions options) {
  return select_units(graph, kScores, options);
}

TEST(SelectUnits, GlobalTakesTheLowestOfAll) {
  const PruningGraph graph = two_groups();
  // 12 units, half of them left: 0, 0, 1, 2, 3, 4 are lowest
  const Selection s = select(graph, {.target = {"units", 0.5}});
  EXPECT_THAT(s.removed, ElementsAre(ElementsAre(0, 1, 2, 3, 4), ElementsAre(0)));
  EXPECT_EQ(s.got, 0.5);
}

TEST(SelectUnits, LocalTakesTheSameShareOfEach) {
  const PruningGraph graph = two_groups();
  const Selection s = select(graph, {.target = {"units", 0.5}, .scope = "local"});
  EXPECT_THAT(s.removed, ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(0, 1)));
}

// MACs of 3x3 convolutions on 64 pixels: 64 9 (3 a + a b + b 2) for a and b units left.
TEST(SelectUnits, MacsComeNearestToTheTarget) {
  const PruningGraph graph = two_groups();
  const Selection s = select(graph, {.target = {"macs", 0.5}});
  const auto macs = [](int64_t a, int64_t b) { return 576 * (3 * a + a * b + 2 * b); };
  EXPECT_EQ(s.before.macs, macs(8, 4));
  // In order of score: (8,4) (7,4) (7,3) (6,3) (5,3) (4,3) ...: 64, 57, 48, 42, 36, 30; half is 32.
  EXPECT_THAT(s.removed, ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(0)));
  EXPECT_EQ(s.after.macs, macs(4, 3));
  EXPECT_DOUBLE_EQ(s.got, 30.0 / 64.0);
}

TEST(SelectUnits, ParametersAndSize) {
  const PruningGraph graph = two_groups();
  const auto parameters = [](int64_t a, int64_t b) {
    return 27 * a + a + 9 * a * b + b + 18 * b + 2;
  };
  for (const char* of : {"parameters", "size"}) {
    const Selection s = select(graph, {.target = {of, 0.6}});
    EXPECT_EQ(s.before.parameters, parameters(8, 4));
    EXPECT_EQ(s.before.bytes, 4 * parameters(8, 4));
    EXPECT_THAT(s.removed, ElementsAre(ElementsAre(0, 1, 2), ElementsAre(0)));
    EXPECT_DOUBLE_EQ(s.got,
                     static_cast<double>(parameters(5, 3)) / static_cast<double>(parameters(8, 4)));
  }
}

TEST(SelectUnits, LatencyIsWhatTheCallerSays) {
  const PruningGraph graph = two_groups();
  const Selection s = select(
      graph,
      {.target = {"latency", 0.75}, .scope = "global", .latency = [](const RemovedUnits& removed) {
         return 8.0 - static_cast<double>(removed[0].size());
       }});
  EXPECT_EQ(s.removed[0].size(), 2u);
  EXPECT_THROW((void)select(graph, {.target = {"latency", 0.75}}), Error);
}

// Timings jump: without the first unit it is slower. All units are nearest to all of the latency.
TEST(SelectUnits, NearestOfWhatWasLookedAt) {
  const PruningGraph graph = two_groups();
  const Selection s = select(
      graph,
      {.target = {"latency", 1}, .scope = "global", .latency = [](const RemovedUnits& removed) {
         const size_t gone = removed[0].size() + removed[1].size();
         return gone == 0 ? 8.0 : 8.5 - 0.2 * static_cast<double>(gone);
       }});
  EXPECT_THAT(s.removed, ElementsAre(IsEmpty(), IsEmpty()));
  EXPECT_DOUBLE_EQ(s.got, 1);
}

TEST(SelectUnits, WhatIsLeftIsRounded) {
  const PruningGraph graph = two_groups();
  const Selection s = select(graph, {.target = {"units", 0.5}, .round_to = 4});
  EXPECT_EQ(8 - s.removed[0].size(), 4u);
  EXPECT_THAT(s.removed[1], IsEmpty());
  EXPECT_DOUBLE_EQ(s.got, 8.0 / 12.0);
  EXPECT_THAT(s.in_the_way, ElementsAre("round_to (4)"));
}

TEST(SelectUnits, NoGroupLosesMoreThanItsShare) {
  const PruningGraph graph = two_groups();
  const Selection s = select(graph, {.target = {"units", 0.1}, .max_ratio = 0.5});
  EXPECT_EQ(s.removed[0].size(), 4u);
  EXPECT_EQ(s.removed[1].size(), 2u);
  EXPECT_DOUBLE_EQ(s.got, 0.5);
  EXPECT_THAT(s.in_the_way, ElementsAre("max_ratio (0.5)"));
  EXPECT_THAT(select(graph, {.target = {"units", 0.5}}).in_the_way, IsEmpty());
  EXPECT_THAT(
      select(graph, {.target = {"units", 0.01}, .max_ratio = 0.99, .keep = {"a"}}).in_the_way,
      ElementsAre("keep", "one unit of each group stays"));
}

TEST(SelectUnits, NamesKeepAndSetShares) {
  const PruningGraph graph = two_groups();
  const Selection kept = select(graph, {.target = {"units", 0.6}, .keep = {"a"}});
  EXPECT_THAT(kept.removed[0], IsEmpty());
  EXPECT_THAT(kept.reasons[0], HasSubstr("by name: a"));
  const Selection set = select(graph, {.target = {"units", 1}, .ratios = {{"b*", 0.5}}});
  EXPECT_THAT(set.removed, ElementsAre(IsEmpty(), ElementsAre(0, 1)));
  EXPECT_THROW((void)select(graph, {.keep = {"nothing*"}}), Error);
  EXPECT_THAT(select(graph, {.target = {"units", 0.6}, .keep = {"re:[ac]"}}).removed[0], IsEmpty());
  EXPECT_THAT(select(graph, {.target = {"units", 0.6}, .keep = {"op:Conv"}}).removed,
              ElementsAre(IsEmpty(), IsEmpty()));
  EXPECT_THAT(select(graph, {.target = {"units", 0.6}, .keep = {"a.w"}}).removed[0], IsEmpty());
  // Two that speak of one group.
  EXPECT_THROW((void)select(graph, {.keep = {"a"}, .ratios = {{"a*", 0.5}}}), Error);
  EXPECT_THROW((void)select(graph, {.ratios = {{"a", 0.25}, {"a*", 0.5}}}), Error);
  // Its output channels are the graph's.
  EXPECT_THROW((void)select(graph, {.keep = {"last"}}), Error);
}

// One unit of b saves 576 (8 + 2) MACs, one of a 576 (3 + 4): per MAC a unit of b is cheaper.
TEST(SelectUnits, ScorePerSavedCost) {
  const PruningGraph graph = two_groups();
  const UnitScores equal = {std::vector<double>(8, 1), std::vector<double>(4, 1)};
  const Selection s =
      select_units(graph, equal, {.target = {"macs", 0.85}, .per_cost = true, .max_ratio = 0.9});
  EXPECT_THAT(s.removed[0], IsEmpty());
  EXPECT_EQ(s.removed[1].size(), 1u);
}

TEST(SelectUnits, RefusesWhatMakesNoSense) {
  const PruningGraph graph = two_groups();
  EXPECT_THROW((void)select(graph, {.target = {"units", 0}}), Error);
  EXPECT_THROW((void)select(graph, {.target = {"joules", 0.5}}), Error);
  EXPECT_THROW((void)select(graph, {.scope = "somewhere"}), Error);
  EXPECT_THROW((void)select(graph, {.round_to = 0}), Error);
  EXPECT_THROW((void)select(graph, {.ratios = {{"a", 1.0}}}), Error);
  EXPECT_THROW((void)select_units(graph, {{1}}, {}), Error);
}

}  // namespace
}  // namespace lapidary
