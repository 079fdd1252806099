#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <numeric>
#include <set>

#include "src/fit/feed_batch.h"
#include "src/fit/progress.h"
#include "test/fit/fake_trainer.h"
#include "test/fit/folder.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Killed {};

class FitTest : public FolderTest {
 protected:
  /// 22 pictures of 2 x 2 pixels: five steps of 4 an epoch, two samples left out.
  Dataset data(std::vector<Augment> augment = {}) const {
    std::string pixels, csv = "index,label\n";
    for (int i = 0; i < kSamples; ++i) {
      for (int p = 0; p < 4; ++p) pixels += static_cast<char>((37 * (4 * i + p)) % 251);
      csv += std::to_string(i) + "," + std::to_string(i % 3) + "\n";
    }
    put_file("p.bin", pixels);
    put_file("labels.csv", csv);
    return open_dataset({.kind = "raw",
                         .path = "p.bin",
                         .labels = "labels.csv",
                         .shape = {2, 2, 1},
                         .dtype = "u8",
                         .layout = "nhwc",
                         .scale = 1 / 255.0,
                         .augment = std::move(augment)},
                        {.base_dir = folder_.string()});
  }
  /// Samples that say who they are: x = sample.
  static Dataset numbered() {
    std::vector<float> x(kSamples);
    std::iota(x.begin(), x.end(), 0.0f);
    return dataset_of({{"", Tensor::of<float>({kSamples, 1}, x)}},
                      std::vector<int64_t>(kSamples, 1));
  }

  static FitOptions options() {
    FitOptions o;
    o.epochs = 3;
    o.batch = 4;
    o.seed = 9;
    o.lr = make_schedule({"cosine"}, 0.5);
    o.scores = "scores";
    o.log_every = 2;
    o.freeze_statistics = 0.7;
    o.evaluate = [calls = 0](const Graph& graph) mutable -> std::map<std::string, double> {
      const double sum = graph.constant(graph.find_value("w"))->data<float>()[0];
      return {{"top1", sum}, {"calls", static_cast<double>(++calls)}};
    };
    return o;
  }

  static constexpr int kSamples = 22;
  const std::vector<Augment> augment_ = {{"flip", 0.5}, {"shift_crop", 1}, {"mixup", 0.4}};
};

void expect_same(const Trainer::Values& a, const Trainer::Values& b, const std::string& where) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(tensor.equals(b.at(name))) << where << name;
}

/// Everything of two runs but the time they took.
void expect_same(const FitResult& a, const FitResult& b, const std::string& where) {
  std::string difference;
  EXPECT_TRUE(same_graph(a.last, b.last, &difference)) << where << difference;
  EXPECT_TRUE(same_graph(a.best, b.best, &difference)) << where << difference;
  EXPECT_EQ(a.best_epoch, b.best_epoch) << where;
  EXPECT_EQ(a.best_metric, b.best_metric) << where;
  EXPECT_EQ(a.steps, b.steps) << where;
  ASSERT_EQ(a.log.intervals.size(), b.log.intervals.size()) << where;
  for (size_t i = 0; i < a.log.intervals.size(); ++i) {
    const FitInterval &x = a.log.intervals[i], &y = b.log.intervals[i];
    EXPECT_TRUE(x.step == y.step && x.lr == y.lr && x.loss == y.loss && x.accuracy == y.accuracy)
        << where << i;
  }
  ASSERT_EQ(a.log.epochs.size(), b.log.epochs.size()) << where;
  for (size_t i = 0; i < a.log.epochs.size(); ++i) {
    const FitEpoch &x = a.log.epochs[i], &y = b.log.epochs[i];
    EXPECT_TRUE(x.step == y.step && x.loss == y.loss && x.best == y.best && x.lr == y.lr &&
                x.accuracy == y.accuracy && x.metrics.at("top1") == y.metrics.at("top1"))
        << where << i;
  }
}

TEST_F(FitTest, KilledAtAnyStepAndResumedItEndsTheSame) {
  const Dataset samples = data(augment_);
  FakeTrainer whole(4, true);
  const FitResult expected = fit(whole, samples, options());
  ASSERT_EQ(expected.steps, 15);
  for (const int64_t every : {0, 1, 2}) {
    for (int64_t kill = 0; kill < 15; ++kill) {
      const std::string where = fmt::format("every {} at {}: ", every, kill);
      FitOptions o = options();
      o.checkpoint = at(fmt::format("k{}-{}", every, kill));
      o.checkpoint_every = every;
      o.before_step = [&](Trainer&, int64_t step, int64_t) {
        if (step == kill) throw Killed{};
      };
      FakeTrainer first(4, true), second(4, true);
      EXPECT_THROW(fit(first, samples, o), Killed);
      o.before_step = {};
      o.resume = true;
      const FitResult found = fit(second, samples, o);
      expect_same(found, expected, where);
      expect_same(second.state(), whole.state(), where);
      // A finished run that is resumed does nothing more.
      FakeTrainer third(4, true);
      expect_same(fit(third, samples, o), expected, where);
      EXPECT_TRUE(third.seen.empty());
    }
  }
}

TEST_F(FitTest, KilledInAnEvaluationItEndsTheSame) {
  const Dataset samples = data(augment_);
  FakeTrainer whole(4, true);
  const FitResult expected = fit(whole, samples, options());
  for (int epoch = 0; epoch < 3; ++epoch) {
    FitOptions o = options();
    o.checkpoint = at(fmt::format("c{}", epoch));
    o.checkpoint_every = 5;
    o.evaluate = [&, inner = o.evaluate, calls = 0](const Graph& g) mutable {
      if (calls++ == epoch) throw Killed{};
      return inner(g);
    };
    FakeTrainer first(4, true), second(4, true);
    EXPECT_THROW(fit(first, samples, o), Killed);
    o.evaluate = options().evaluate;
    o.resume = true;
    expect_same(fit(second, samples, o), expected, fmt::format("epoch {}: ", epoch));
    EXPECT_EQ(second.rates.size(), static_cast<size_t>(5 * (2 - epoch)));
  }
}

TEST_F(FitTest, StoppedAtAnyStepAndResumedItEndsTheSame) {
  const Dataset samples = data(augment_);
  FakeTrainer whole(4, true);
  const FitResult expected = fit(whole, samples, options());
  for (int64_t at_step = 0; at_step < 15; ++at_step) {
    FitOptions o = options();
    o.checkpoint = at(fmt::format("s{}", at_step));
    o.stop = [&, polls = int64_t{0}]() mutable { return polls++ == at_step; };
    FakeTrainer first(4, true), second(4, true);
    const FitResult part = fit(first, samples, o);
    EXPECT_TRUE(part.interrupted);
    EXPECT_EQ(part.steps, at_step);
    o.stop = {};
    o.resume = true;
    const FitResult found = fit(second, samples, o);
    EXPECT_FALSE(found.interrupted);
    expect_same(found, expected, fmt::format("at {}: ", at_step));
    EXPECT_EQ(second.rates.size(), static_cast<size_t>(15 - at_step));
  }
}

// kill_test.py names a file, kills this at random moments, and starts it again until it ends.
TEST_F(FitTest, GoesOnFromWhateverIsThere) {
  const char* named = std::getenv("LAPIDARY_FIT_CHECKPOINT");
  FitOptions o = options();
  o.epochs = 40;
  o.checkpoint = named ? named : at("c");
  o.checkpoint_every = 1;
  o.resume = true;
  FakeTrainer trainer(4, true);
  const FitResult found = fit(trainer, data(augment_), o);
  EXPECT_EQ(found.steps, 200);
  EXPECT_EQ(found.log.epochs.size(), 40u);
}

TEST_F(FitTest, ADamagedCheckpointCostsTheStepsSinceThePreviousOne) {
  const Dataset samples = data();
  FakeTrainer whole(4);
  const FitResult expected = fit(whole, samples, options());
  FitOptions o = options();
  o.checkpoint = at("c");
  o.checkpoint_every = 2;
  o.before_step = [](Trainer&, int64_t step, int64_t) {
    if (step == 9) throw Killed{};
  };
  FakeTrainer first(4), second(4);
  EXPECT_THROW(fit(first, samples, o), Killed);
  put_file("c", "damaged");
  o.before_step = {};
  o.resume = true;
  expect_same(fit(second, samples, o), expected, "");
  EXPECT_EQ(second.rates.size(), 9u);  // from step 6
}

TEST_F(FitTest, ACheckpointOfAnotherRunIsRefused) {
  const Dataset samples = data();
  FitOptions o = options();
  o.checkpoint = at("c");
  o.model_digest = "m";
  FakeTrainer first(4);
  fit(first, samples, o);
  o.resume = true;
  const auto refusal = [&](const FitOptions& other, const Dataset& of) {
    FakeTrainer trainer(4);
    return error_of([&] { fit(trainer, of, other); });
  };
  EXPECT_EQ(refusal(o, samples), "no error");
  const auto changed = [&](auto change) {
    FitOptions other = o;
    change(other);
    return refusal(other, samples);
  };
  EXPECT_THAT(changed([](FitOptions& x) { x.seed = 1; }), HasSubstr("seed: 9 there, 1 here"));
  EXPECT_THAT(changed([](FitOptions& x) { x.batch = 5; }), HasSubstr("batch: 4 there, 5 here"));
  EXPECT_THAT(changed([](FitOptions& x) { x.lr = make_schedule({"cosine"}, 0.25); }),
              HasSubstr("learning rates (SHA-256): "));
  EXPECT_THAT(changed([](FitOptions& x) { x.recipe_digest = "r"; }),
              HasSubstr("of another recipe"));
  EXPECT_THAT(changed([](FitOptions& x) { x.model_digest = "n"; }), HasSubstr("of another graph"));
  EXPECT_THAT(refusal(o, data({{"flip", 0.5}})), HasSubstr("augment: "));
}

// An input that no sample brings may have any shape.
TEST_F(FitTest, WhatIsCompletedNeedNoBatchAxis) {
  const Dataset samples = data();
  FitOptions o = options();
  FakeTrainer trainer(4);
  trainer.with_scalar = true;
  int64_t completed = 0;
  o.complete = [&](Trainer::Values& inputs) {
    inputs["alpha"] = Tensor::scalar(0.5f);
    ++completed;
  };
  EXPECT_EQ(fit(trainer, samples, o).steps, completed);
}

TEST_F(FitTest, EpochsHaveOrdersOfTheirOwnAndEverySampleOnce) {
  const Dataset samples = numbered();
  FitOptions o = options();
  o.epochs = 2;
  FakeTrainer trainer(1);
  fit(trainer, samples, o);
  ASSERT_EQ(trainer.seen.size(), 40u);  // 22 samples fill five batches of 4
  const std::vector<float> one(trainer.seen.begin(), trainer.seen.begin() + 20);
  const std::vector<float> two(trainer.seen.begin() + 20, trainer.seen.end());
  EXPECT_NE(one, two);
  for (const auto& epoch : {one, two})
    EXPECT_EQ(std::set<float>(epoch.begin(), epoch.end()).size(), 20u);
}

TEST_F(FitTest, RanksShareEveryStepOfOneProcess) {
  const Dataset samples = numbered();
  FakeTrainer single(1);
  FitOptions o = options();
  o.evaluate = nullptr;  // else ranks meet, to agree on what is best
  fit(single, samples, o);
  std::vector<FakeTrainer> ranks(2, FakeTrainer(1));
  for (int rank = 0; rank < 2; ++rank) {
    o.rank = {.rank = rank, .world_size = 2};
    fit(ranks[static_cast<size_t>(rank)], samples, o);
  }
  std::vector<float> joined;
  for (size_t step = 0; step < 15; ++step)
    for (const FakeTrainer& rank : ranks)
      for (size_t i = 0; i < 2; ++i) joined.push_back(rank.seen[2 * step + i]);
  EXPECT_EQ(joined, single.seen);
}

TEST_F(FitTest, OnlyTheFirstRankWritesCheckpoints) {
  FitOptions o = options();
  o.checkpoint = at("c");
  o.evaluate = nullptr;
  o.rank = {.rank = 1, .world_size = 2};
  FakeTrainer trainer(1);
  fit(trainer, numbered(), o);
  EXPECT_FALSE(std::filesystem::exists(at("c")));
}

/// Evaluates to one number after another.
auto scripted(std::vector<double> values) {
  return [values, at = size_t{0}](const Graph&) mutable -> std::map<std::string, double> {
    return {{"top1", values.at(at++)}};
  };
}

TEST_F(FitTest, BestAndLastAreToldApart) {
  FitOptions o = options();
  o.evaluate = scripted({0.5, 0.8, kNotKnown});
  std::vector<Graph> graphs;
  o.evaluate = [&, inner = o.evaluate](const Graph& g) mutable {
    graphs.push_back(g);
    return inner(g);
  };
  FakeTrainer trainer(4);
  const FitResult found = fit(trainer, data(), o);
  EXPECT_EQ(found.best_epoch, 1);
  EXPECT_EQ(found.best_metric, 0.8);
  EXPECT_TRUE(same_graph(found.best, graphs[1]));
  EXPECT_TRUE(same_graph(found.last, graphs[2]));
  EXPECT_FALSE(same_graph(found.best, found.last));
  EXPECT_TRUE(found.log.epochs[0].best && found.log.epochs[1].best && !found.log.epochs[2].best);
  o.evaluate = {};
  FakeTrainer unjudged(4);
  const FitResult plain = fit(unjudged, data(), o);
  EXPECT_TRUE(same_graph(plain.best, plain.last));
}

TEST_F(FitTest, StopsEarlyWithoutABetterEpoch) {
  FitOptions o = options();
  o.epochs = 9;
  o.patience = 2;
  o.min_delta = 0.1;
  o.evaluate = scripted({0.5, 0.7, 0.75, 0.4, 0.9});
  FakeTrainer trainer(4);
  const FitResult found = fit(trainer, data(), o);
  EXPECT_TRUE(found.stopped_early);
  EXPECT_EQ(found.log.epochs.size(), 4u);  // 0.75 is no better by 0.1, 0.4 neither
  EXPECT_EQ(found.best_epoch, 1);
  o.higher_is_better = false;
  o.min_delta = 0;
  o.evaluate = scripted({0.5, 0.4, 0.6, 0.4, 0.1});
  FakeTrainer lower(4);
  EXPECT_EQ(fit(lower, data(), o).log.epochs.size(), 4u);
}

TEST_F(FitTest, AveragedGraphsAreEvaluatedAndKept) {
  FitOptions o = options();
  o.averaged = true;
  FakeTrainer trainer(4);
  const FitResult found = fit(trainer, data(), o);
  EXPECT_TRUE(same_graph(found.last, trainer.graph(true)));
  EXPECT_FALSE(same_graph(found.last, trainer.graph(false)));
}

TEST_F(FitTest, StatisticsFreezeAndRatesFollowTheSchedule) {
  FitOptions o = options();
  o.steps = 7;  // instead of epochs; 0.7 of 7 steps is 4.9
  FakeTrainer trainer(4);
  const FitResult found = fit(trainer, data(), o);
  EXPECT_EQ(found.steps, 7);
  EXPECT_EQ(found.log.epochs.size(), 2u);
  EXPECT_THAT(trainer.moved, ElementsAre(true, true, true, true, true, false, false));
  for (int64_t i = 0; i < 7; ++i) EXPECT_EQ(trainer.rates[static_cast<size_t>(i)], o.lr(i, 7));
}

TEST_F(FitTest, RecordsAreMeansOfTheirSteps) {
  FitOptions o = options();
  o.epochs = 1;
  class Watched : public FakeTrainer {
   public:
    using FakeTrainer::FakeTrainer;
    std::vector<double> losses;
    StepResult step(const Values& inputs, const StepOptions& with) override {
      StepResult out = FakeTrainer::step(inputs, with);
      losses.push_back(out.loss);
      return out;
    }
  } trainer(4);
  std::vector<std::string> lines;
  int64_t progress = 0;
  o.log.message = [&](LogLevel, const std::string& text) { lines.push_back(text); };
  o.log.progress = [&](const Progress& p) { progress = p.done * 100 + p.total; };
  const FitResult found = fit(trainer, data(), o);
  ASSERT_EQ(found.log.intervals.size(), 2u);
  EXPECT_EQ(found.log.intervals[1].step, 4);
  EXPECT_DOUBLE_EQ(found.log.intervals[1].loss, (trainer.losses[2] + trainer.losses[3]) / 2);
  EXPECT_DOUBLE_EQ(found.log.epochs[0].loss,
                   std::accumulate(trainer.losses.begin(), trainer.losses.end(), 0.0) / 5);
  EXPECT_GT(found.log.epochs[0].images_per_second, 0);
  EXPECT_EQ(progress, 505);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], HasSubstr("epoch 1, step 2 of 5: loss "));
  EXPECT_THAT(lines[0], HasSubstr(" left"));
  EXPECT_THAT(lines[2], HasSubstr("end of epoch 1"));
  EXPECT_THAT(lines[2], HasSubstr("(best so far)"));
}

TEST_F(FitTest, ALossThatIsNotFiniteEndsTheRunAndKeepsTheState) {
  const Dataset samples = data();
  FakeTrainer whole(4);
  const FitResult expected = fit(whole, samples, options());
  FitOptions o = options();
  o.checkpoint = at("c");
  FakeTrainer failing(4), second(4);
  failing.not_finite_at = 6;
  EXPECT_THAT(error_of([&] { fit(failing, samples, o); }),
              testing::AllOf(HasSubstr("3: step 7 of 15 (epoch 2): the loss is nan"),
                             HasSubstr("the state before it is kept in " + o.checkpoint)));
  o.resume = true;
  expect_same(fit(second, samples, o), expected, "");
  EXPECT_EQ(second.rates.size(), 9u);
}

TEST_F(FitTest, OptionsAreChecked) {
  const auto of = [&](auto change) {
    FitOptions o = options();
    change(o);
    FakeTrainer trainer(4);
    return error_of([&] { fit(trainer, data(), o); });
  };
  EXPECT_THAT(of([](FitOptions& o) { o.batch = 23; }),
              HasSubstr("22 samples do not fill one batch"));
  EXPECT_THAT(of([](FitOptions& o) { o.rank.world_size = 3; }),
              HasSubstr("does not divide among 3"));
  EXPECT_THAT(of([](FitOptions& o) { o.epochs = 0; }), HasSubstr("must be positive"));
  EXPECT_THAT(of([](FitOptions& o) { o.lr = {}; }), HasSubstr("no learning rate"));
  EXPECT_THAT(of([](FitOptions& o) { o.resume = true; }), HasSubstr("no checkpoint file"));
  EXPECT_THAT(of([](FitOptions& o) { o.metric = "f1"; }),
              HasSubstr("no 'f1'; it gives calls, top1"));
  FakeTrainer plain(4);
  EXPECT_THAT(error_of([&] {
                fit(plain, data({{"mixup", 1}}), options());
              }),
              HasSubstr("'mixup' needs a loss of two labels"));
  FakeTrainer unlabelled(1);
  EXPECT_THAT(error_of([&] {
                fit(unlabelled, dataset_of({{"", Tensor(DType::kF32, {8, 1})}}), options());
              }),
              HasSubstr("has no label"));
}

TEST(FeedBatch, CountsWhatIsRight) {
  Batch batch;
  batch.labels = {1, 0, 2};
  const Tensor scores = Tensor::of<float>({3, 3}, {0, 5, 1, 1, 2, 0, 0, 1, 9});
  Correct found = count_correct(scores, batch);
  EXPECT_EQ(found.correct, 2);  // the second says 1
  EXPECT_EQ(found.judged, 3);
  batch.labels2 = {1, 1, 0};
  batch.shares = {0.5f, 0.25f, 0.75f};
  EXPECT_EQ(count_correct(scores, batch).correct, 1 + 0.75 + 0.75);
  batch.targets = Tensor::of<int64_t>({1, 3}, {1, 1, 1});
  batch.shares.clear(), batch.labels2.clear();
  EXPECT_EQ(count_correct(scores.reshaped({1, 3, 3}), batch).correct, 2);
  batch.labels = {1};
  batch.targets = {};
  EXPECT_EQ(count_correct(scores, batch).judged, 0);
}

TEST(FitProgress, LongLogsAreThinnedToMeans) {
  std::vector<FitInterval> log;
  for (int64_t i = 1; i <= 10'000; ++i) {
    log.push_back({.step = i, .loss = static_cast<double>(i)});
    thin(log);
  }
  ASSERT_LE(log.size(), 4096u);
  EXPECT_GE(log.size(), 2048u);
  EXPECT_EQ(log.back().step, 10'000);
  EXPECT_EQ(log[0].step, 8);  // joined three times: the mean of steps 1 to 8
  EXPECT_EQ(log[0].loss, 4.5);
  for (size_t i = 1; i < log.size(); ++i) EXPECT_GT(log[i].step, log[i - 1].step);
}

TEST(FitProgress, ReadsWhatItWrites) {
  FitProgress before;
  before.step = 7;
  before.epoch_sums = {3, 12, 12, 0.1 + 0.2, 5.25, 1.5};
  before.log.intervals.resize(1);
  before.log.intervals[0].loss = 1.0 / 3;
  FitEpoch epoch;
  epoch.metrics = {{"top1", 0.7}, {"sqnr_db", kNotKnown}};
  before.log.epochs.push_back(epoch);
  const FitProgress after = read_progress(write_progress(before));
  EXPECT_EQ(after.step, 7);
  EXPECT_EQ(after.epoch_sums.loss, 0.1 + 0.2);
  EXPECT_EQ(after.log.intervals[0].loss, 1.0 / 3);
  EXPECT_TRUE(std::isnan(after.log.intervals[0].accuracy) && std::isnan(after.best_metric));
  EXPECT_TRUE(std::isnan(after.log.epochs[0].metrics.at("sqnr_db")));
  EXPECT_THAT(error_of([] { read_progress("{}"); }), HasSubstr("3: the checkpoint's progress"));
  EXPECT_THAT(error_of([] { read_progress("{"); }), HasSubstr("3: the checkpoint's progress"));
}

}  // namespace
}  // namespace lapidary
