#include "src/data/stack.h"

#include <algorithm>
#include <cstring>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/data/augment.h"

namespace lapidary {

namespace {

/// Row `row` of axis 0 of `batch`.
void put_row(Tensor& batch, int64_t row, const Tensor& sample) {
  const size_t bytes = sample.size_bytes();
  if (bytes > 0)
    std::memcpy(static_cast<char*>(batch.mutable_raw()) + static_cast<size_t>(row) * bytes,
                sample.raw(), bytes);
}

}  // namespace

bool stacks(const Sample& a, const Sample& b) {
  return std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(),
                    [](const auto& x, const auto& y) {
                      return x.second.dtype() == y.second.dtype() &&
                             x.second.shape() == y.second.shape();
                    });
}

Batch stack(const std::vector<Sample>& samples) {
  Batch out;
  if (samples.empty()) return out;
  auto batched = [&](const Tensor& first) {
    Shape shape = first.shape();
    shape.insert(shape.begin(), static_cast<int64_t>(samples.size()));
    return Tensor(first.dtype(), shape);
  };
  auto check = [&](const Tensor& tensor, const Tensor& first, const Sample& sample) {
    if (tensor.dtype() != first.dtype() || tensor.shape() != first.shape())
      fail_invalid(
          "{} (sample {}): {} {} does not stack with {} (sample {}): {} {}; resize or "
          "crop them to one size, or use 'batch: 1'",
          sample.source, sample.index, dtype_name(tensor.dtype()), shape_text(tensor.shape()),
          samples[0].source, samples[0].index, dtype_name(first.dtype()),
          shape_text(first.shape()));
  };
  for (const auto& [name, first] : samples[0].inputs) {
    Tensor all = batched(first);
    for (size_t i = 0; i < samples.size(); ++i) {
      const Tensor& tensor = samples[i].inputs.at(name);
      check(tensor, first, samples[i]);
      put_row(all, static_cast<int64_t>(i), tensor);
    }
    out.inputs.emplace(name, std::move(all));
  }
  if (const Tensor& first = samples[0].targets; !first.empty()) {
    out.targets = batched(first);
    for (size_t i = 0; i < samples.size(); ++i)
      put_row(out.targets, static_cast<int64_t>(i), samples[i].targets);
  }
  for (const Sample& sample : samples) {
    out.indices.push_back(sample.index);
    out.labels.push_back(sample.label);
    out.sources.push_back(sample.source);
  }
  return out;
}

void mix_inputs(Batch& batch, size_t row, const Sample& other, float share) {
  for (auto& [name, all] : batch.inputs) {
    const Tensor& from = other.inputs.at(name);
    if (all.dtype() != DType::kF32)
      fail_usage("'mixup' mixes float32 samples, input '{}' is {}", name, dtype_name(all.dtype()));
    if (from.size() * all.dim(0) != all.size())
      fail_invalid("{} (sample {}): {} does not mix with a batch of {}", other.source, other.index,
                   shape_text(from.shape()), shape_text(all.shape()));
    const auto size = static_cast<size_t>(from.size());
    mix_into(all.mutable_data<float>().subspan(row * size, size), from.data<float>(), share);
  }
}

}  // namespace lapidary
