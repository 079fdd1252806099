#include "quantize/ptq/output_error.h"

#include <algorithm>
#include <limits>

#include "calibrate/feeder.h"
#include "lapidary/exec.h"
#include "src/base/signal.h"
#include "src/data/batches.h"

namespace lapidary {

namespace {

constexpr int64_t kChunk = 4;

/// Sum of dB, and how many were added: one for each sample of each output.
struct MeanDb {
  double sum = 0;
  int64_t count = 0;

  void add(const Tensor& y, const Tensor& made, const Batch& batch, int64_t ran) {
    if (y.dtype() != DType::kF32 || made.dtype() != DType::kF32 || y.shape() != made.shape())
      return;
    // Where the leading axis is not the batch, all is one signal.
    const bool apart = y.rank() > 0 && y.dim(0) == ran;
    const auto parts = static_cast<size_t>(apart ? ran : 1);
    const size_t size = static_cast<size_t>(y.size()) / std::max<size_t>(parts, 1);
    const auto counted = static_cast<size_t>(apart ? batch.size() : 1);
    for (size_t i = 0; i < counted; ++i, ++count)
      sum += sqnr_db(y.data<float>().subspan(i * size, size),
                     made.data<float>().subspan(i * size, size));
  }
  double value() const {
    return count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();
  }
};

}  // namespace

std::vector<double> output_sqnr(const Graph& reference, std::span<const Graph* const> models,
                                const Dataset& data, int64_t samples, int threads) {
  const Feeder feeder(reference, data);
  Executor expected(reference, {.threads = threads});
  std::vector<Executor> executors;
  for (const Graph* model : models) executors.emplace_back(*model, ExecOptions{.threads = threads});
  std::vector<MeanDb> found(models.size());
  const int64_t batch = std::min({suitable_batch(reference, data), std::max<int64_t>(samples, 1),
                                  feeder.fixed_batch() > 0 ? feeder.fixed_batch() : kChunk});
  for_spread_batches(data, samples, batch, [&](const Batch& held) {
    const int64_t ran = feeder.rows(held).ran;
    const auto inputs = feeder.inputs(held);
    const auto wanted = expected.run(inputs);
    for (size_t i = 0; i < models.size(); ++i) {
      const auto made = executors[i].run(inputs);
      for (const auto& [name, y] : wanted)
        if (const auto at = made.find(name); at != made.end())
          found[i].add(y, at->second, held, ran);
    }
  });
  std::vector<double> db;
  for (const MeanDb& mean : found) db.push_back(mean.value());
  return db;
}

}  // namespace lapidary
