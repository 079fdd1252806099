#include <algorithm>
#include <filesystem>
#include <limits>
#include <mutex>
#include <numeric>

#include "src/base/parallel.h"
#include "src/base/path.h"
#include "src/base/rng.h"
#include "src/base/sha256.h"
#include "src/data/augment.h"
#include "src/data/manifest.h"
#include "src/data/source.h"
#include "src/data/spec.h"
#include "src/data/stack.h"

namespace lapidary {

namespace {

constexpr double kMostSkipped = 0.01;
constexpr size_t kSkippedInMessage = 5;
constexpr int64_t kLookAhead = 1024;  // samples that are still read for the count of a refusal

/// One graph input: where its samples are and what is done to them.
struct Channel {
  std::string input;
  std::unique_ptr<Source> source;
  std::optional<Transform> transform;  // absent: handed over as stored
  bool skip_nonfinite = false;
  std::vector<Augment> augment;
};

/// A sample, or why there is none.
struct Outcome {
  Sample sample;
  std::optional<Error> unusable;  // without the sample's name
  bool tolerated = false;         // `nonfinite: skip`: does not count towards the limit
};

}  // namespace

class Dataset::Impl {
 public:
  DatasetSpec spec;
  uint64_t seed = 0;
  int64_t class_count = 0;  // asked for by the graph; 0: unchecked
  std::vector<Channel> channels;
  std::vector<int64_t> order;  // index -> sample of the sources
  std::vector<std::string> notes;

  int64_t size() const { return static_cast<int64_t>(order.size()); }

  Outcome load(int64_t index) const {
    if (index < 0 || index >= size()) fail_usage("sample {} of {}", index, size());
    Outcome out;
    out.sample.index = index;
    const int64_t at = order[static_cast<size_t>(index)];
    for (const Channel& channel : channels) {
      const std::string name = channel.source->name(at);
      if (out.sample.source.empty()) out.sample.source = name;
      const auto context = [&] { return fmt::format("{} (sample {})", name, index); };
      Stored stored;
      try {
        stored = channel.source->read(at);
      } catch (const Error& error) {
        if (!channel.source->may_skip()) throw error.within(context());
        out.unusable = error;
        return out;
      }
      with_context(context, [&] { take(channel, stored, out); });
      if (out.unusable) return out;
    }
    return out;
  }

  static std::string place(const Sample& sample) {
    return fmt::format("{} (sample {})", sample.source, sample.index);
  }

  /// None where there are no samples; throws where all are unusable.
  std::optional<Sample> first_usable() const {
    for (int64_t i = 0; i < size(); ++i) {
      Outcome outcome = load(i);
      if (!outcome.unusable) return std::move(outcome.sample);
      if (i + 1 == size()) {
        batch(0, size());  // counts them, where that is what they are skipped for
        throw outcome.unusable->within(place(outcome.sample));
      }
    }
    return std::nullopt;
  }

  Batch batch(int64_t begin, int64_t count) const {
    if (begin < 0 || begin > size() || count < 0)
      fail_usage("{} samples from {} of {}", count, begin, size());
    std::vector<Outcome> outcomes = load_all(begin, std::min(count, size() - begin));
    if (note_skipped(outcomes)) refuse(begin + static_cast<int64_t>(outcomes.size()));
    const bool ragged = std::any_of(channels.begin(), channels.end(),
                                    [](const Channel& c) { return c.source->ragged(); });
    std::vector<Sample> samples;
    int64_t next = begin;
    for (Outcome& outcome : outcomes) {
      if (!outcome.unusable) {
        if (ragged && !samples.empty() && !stacks(samples[0], outcome.sample)) break;
        samples.push_back(std::move(outcome.sample));
      }
      ++next;
    }
    Batch out = stack(samples);
    out.next = next;
    return out;
  }

  Batch training_batch(const TrainingRequest& request) const {
    const MixPlan plan = plan_mix(request, mixup_alpha(channels[0].augment));
    std::vector<Outcome> outcomes = load_augmented(plan.samples, request);
    if (note_skipped(outcomes)) refuse_all();
    return stack_mixed(outcomes, request.count, plan);
  }

  std::vector<SkippedSample> skipped() const {
    const std::lock_guard lock(mutex_);
    std::vector<SkippedSample> out;
    for (const auto& [index, sample] : skipped_) out.push_back(sample);
    return out;
  }

  std::vector<std::string> source_files() const {
    std::vector<std::string> out;
    for (const Channel& channel : channels)
      for (std::string& file : channel.source->files(order)) out.push_back(std::move(file));
    return out;
  }

  std::string manifest() const {
    const std::lock_guard lock(manifest_mutex_);
    if (manifest_.empty()) manifest_ = digest(source_files(), false);
    return manifest_;
  }
  std::string whole() const {
    const std::lock_guard lock(manifest_mutex_);
    if (whole_.empty()) whole_ = digest(all_files(), true);
    return whole_;
  }
  int64_t first() const { return std::min(spec.skip, channels[0].source->size()); }

 private:
  std::vector<Outcome> load_all(int64_t begin, int64_t count) const {
    std::vector<Outcome> out(static_cast<size_t>(count));
    parallel_for(count, 1, [&](int64_t from, int64_t to, int) {
      for (int64_t i = from; i < to; ++i) out[static_cast<size_t>(i)] = load(begin + i);
    });
    return out;
  }

  std::vector<Outcome> load_augmented(std::span<const int64_t> indices,
                                      const TrainingRequest& request) const {
    std::vector<Outcome> out(indices.size());
    const auto one = [&](size_t i) {
      out[i] = load(indices[i]);
      if (out[i].unusable) return;
      for (const Channel& channel : channels) {
        if (channel.augment.empty()) continue;
        Tensor& tensor = out[i].sample.inputs.at(channel.input);
        const Layout layout = channel.transform ? channel.transform->layout() : Layout::kNchw;
        const int64_t c = tensor.rank() == 3 ? tensor.dim(layout == Layout::kNchw ? 0 : 2) : 0;
        const auto border = channel.transform ? channel.transform->zeros(c)
                                              : std::vector<float>(static_cast<size_t>(c));
        tensor = augment(std::move(tensor), layout, border, channel.augment,
                         sample_rng(request, indices[i]));
      }
    };
    parallel_for(static_cast<int64_t>(out.size()), 1, [&](int64_t from, int64_t to, int) {
      for (int64_t i = from; i < to; ++i) one(static_cast<size_t>(i));
    });
    return out;
  }

  /// A sample whose partner cannot be used stays as it is.
  static Batch stack_mixed(const std::vector<Outcome>& outcomes, int64_t own, const MixPlan& plan) {
    std::vector<Sample> samples;
    for (int64_t i = 0; i < own; ++i)
      if (const Outcome& outcome = outcomes[static_cast<size_t>(i)]; !outcome.unusable)
        samples.push_back(outcome.sample);  // tensors are shared: partners read them still
    Batch out = stack(samples);
    size_t row = 0;
    for (size_t i = 0; i < plan.mixes.size(); ++i) {
      if (outcomes[i].unusable) continue;
      const Outcome& other = outcomes[static_cast<size_t>(plan.mixes[i].partner)];
      const float share = other.unusable ? 1 : plan.mixes[i].share;
      out.labels2.push_back(other.unusable ? out.labels[row] : other.sample.label);
      out.shares.push_back(share);
      if (!other.unusable) mix_inputs(out, row, other.sample, share);
      ++row;
    }
    return out;
  }

  /// Ends the run: unusable samples of training batches, which lie all over the data.
  [[noreturn]] void refuse_all() const {
    const std::lock_guard lock(mutex_);
    fail(first_code_, "{} of {} samples cannot be used, more than {:g} %: {}{}", counted_, size(),
         100 * kMostSkipped, fmt::join(refused_, "; "),
         counted_ > static_cast<int64_t>(refused_.size()) ? "; ..." : "");
  }

  void take(const Channel& channel, const Stored& stored, Outcome& out) const {
    if (const int64_t at = first_nonfinite(stored.tensor); at >= 0) {
      if (!channel.skip_nonfinite)
        fail_invalid("value {} is NaN or infinite; repair the file or say 'nonfinite: skip'", at);
      out.unusable = Error(ErrorCode::kInvalid, fmt::format("value {} is NaN or infinite", at));
      out.tolerated = true;
      return;
    }
    if (stored.label != -1) {
      const int64_t most = class_count > 0 ? class_count : std::numeric_limits<int64_t>::max();
      if (stored.label < 0) out.unusable = Error(ErrorCode::kInvalid, "has no label");
      if (stored.label >= most)
        out.unusable = Error(ErrorCode::kInvalid,
                             fmt::format("label {} is outside 0..{}", stored.label, most - 1));
      if (out.unusable) return;
      if (out.sample.label == -1) out.sample.label = stored.label;
    }
    if (!stored.targets.empty()) out.sample.targets = stored.targets;
    out.sample.inputs[channel.input] =
        channel.transform ? (*channel.transform)(stored) : stored.tensor;
  }

  /// True where more samples than may be are unusable by now.
  bool note_skipped(const std::vector<Outcome>& outcomes) const {
    const std::lock_guard lock(mutex_);
    const int64_t before = counted_;
    for (const Outcome& outcome : outcomes) {
      if (!outcome.unusable) continue;
      const int64_t index = outcome.sample.index;
      const Error& why = *outcome.unusable;
      const bool is_new =
          skipped_.emplace(index, SkippedSample{index, outcome.sample.source, why.what()}).second;
      if (!is_new || outcome.tolerated) continue;
      if (counted_++ == 0) first_code_ = why.code();
      if (refused_.size() < kSkippedInMessage)
        refused_.push_back(fmt::format("{}: {}", place(outcome.sample), why.what()));
    }
    return counted_ > before &&
           static_cast<double>(counted_) > kMostSkipped * static_cast<double>(size());
  }

  /// Ends the run, with what is wrong in samples from `begin` on as well.
  [[noreturn]] void refuse(int64_t begin) const {
    const int64_t looked = std::min(size() - begin, kLookAhead);
    note_skipped(load_all(begin, looked));
    const std::lock_guard lock(mutex_);
    const bool all = begin + looked == size();
    fail(first_code_, "{} of {}{} samples{} cannot be used, more than {:g} %: {}{}", counted_,
         all ? "" : "the first ", begin + looked, all ? "" : fmt::format(" (of {})", size()),
         100 * kMostSkipped, fmt::join(refused_, "; "),
         counted_ > static_cast<int64_t>(refused_.size()) ? "; ..." : "");
  }

  /// Samples in memory have no files: their elements stand for themselves.
  void hash_elements(Sha256& hash) const {
    for (int64_t i = 0; i < size(); ++i) {
      const Sample sample = load(i).sample;
      hash.update(fmt::format("label {}\n", sample.label));
      for (const auto& [name, tensor] : sample.inputs) {
        hash.update(fmt::format("{} {} {}\n", name, dtype_name(tensor.dtype()),
                                shape_text(tensor.shape())));
        hash.update(tensor.raw(), tensor.size_bytes());
      }
    }
  }

  std::vector<std::string> all_files() const {
    std::vector<int64_t> all(static_cast<size_t>(channels[0].source->size()));
    std::iota(all.begin(), all.end(), int64_t{0});
    std::vector<std::string> out;
    for (const Channel& channel : channels)
      for (std::string& file : channel.source->files(all)) out.push_back(std::move(file));
    return out;
  }

  std::string digest(const std::vector<std::string>& files, bool whole) const {
    if (!spec.kind.empty() || !spec.inputs.empty()) return data_digest(spec, seed, files, whole);
    Sha256 hash;
    hash.update("lapidary.data/1 in memory\n");
    hash_elements(hash);
    return hash.hex();
  }

  mutable std::mutex mutex_, manifest_mutex_;
  mutable std::map<int64_t, SkippedSample> skipped_;
  mutable int64_t counted_ = 0;               // that may not be so
  mutable std::vector<std::string> refused_;  // the first of them
  mutable ErrorCode first_code_ = ErrorCode::kInvalid;
  mutable std::string manifest_, whole_;
};

int64_t Dataset::size() const { return impl_->size(); }
const DatasetSpec& Dataset::spec() const { return impl_->spec; }
Batch Dataset::batch(int64_t begin, int64_t count) const { return impl_->batch(begin, count); }
Batch Dataset::training_batch(const TrainingRequest& request) const {
  return impl_->training_batch(request);
}
std::vector<SkippedSample> Dataset::skipped() const { return impl_->skipped(); }
std::vector<std::string> Dataset::files() const {
  std::vector<std::string> out = impl_->source_files();
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}
std::string Dataset::manifest_sha256() const { return impl_->manifest(); }
std::string Dataset::whole_sha256() const { return impl_->whole(); }
int64_t Dataset::first_index() const { return impl_->first(); }

Sample Dataset::get(int64_t index) const {
  Outcome outcome = impl_->load(index);
  if (outcome.unusable) throw outcome.unusable->within(Impl::place(outcome.sample));
  return std::move(outcome.sample);
}

std::vector<DatasetInput> Dataset::inputs() const {
  const std::optional<Sample> first = impl_->first_usable();
  std::vector<DatasetInput> out;
  if (!first) return out;
  for (const auto& [name, tensor] : first->inputs)
    out.push_back({name, tensor.dtype(), tensor.shape()});
  return out;
}

int64_t Dataset::num_classes() const {
  int64_t most = 0;
  for (const Channel& channel : impl_->channels)
    most = std::max(most, channel.source->num_classes());
  return most;
}

bool Dataset::labelled() const {
  return std::any_of(impl_->channels.begin(), impl_->channels.end(),
                     [](const Channel& channel) { return channel.source->labelled(); });
}

namespace {

/// Where a picture looks as stored (0 to 255, not the 0 to 1 or -1 to 1 that most networks take)
/// and nobody asked for that.
void warn_of_pixel_values(const std::string& input, const Tensor& tensor,
                          std::vector<std::string>& out) {
  constexpr double kPixels = 32;  // beyond what normalised pictures hold
  if (tensor.dtype() != DType::kF32 || tensor.rank() < 3) return;
  const auto [low, high] = value_range(tensor);
  if (low < 0 || high <= kPixels) return;
  out.push_back(
      fmt::format("{} gets values from {:g} to {:g}: the record gives no scale, mean or std "
                  "('scale: 1' says that the network wants them so)",
                  input.empty() ? "the input" : "input '" + input + "'", low, high));
}

}  // namespace

std::vector<std::string> Dataset::warnings() const {
  std::vector<std::string> out = impl_->notes;
  const std::optional<Sample> first = impl_->first_usable();
  for (const Channel& channel : impl_->channels)
    if (first && !(channel.transform && channel.transform->normalises()))
      warn_of_pixel_values(channel.input, first->inputs.at(channel.input), out);
  for (const Channel& channel : impl_->channels)
    for (std::string& warning : channel.source->warnings()) out.push_back(std::move(warning));
  return out;
}

std::unique_ptr<Source> open_source(const DatasetSpec& spec) {
  if (spec.kind == "images") return open_images(spec);
  if (spec.kind == "cifar10") return open_cifar10(spec);
  if (spec.kind == "tokens") return open_tokens(spec);
  return open_rows(spec);
}

std::string file_name(const std::string& path) {
  const std::filesystem::path file(path);
  return file.has_filename() ? file.filename().string() : file.parent_path().filename().string();
}

namespace {

DatasetSpec with_expanded_paths(DatasetSpec spec, const std::string& base_dir) {
  for (std::string& path : spec.path) path = expand_path(path, base_dir);
  if (!spec.labels.empty() && spec.labels != "folders")
    spec.labels = expand_path(spec.labels, base_dir);
  return spec;
}

InputRequest request_for(const OpenOptions& options, const std::string& input) {
  for (const std::string& name : {input, std::string()})
    if (const auto at = options.requests.find(name); at != options.requests.end())
      return at->second;
  return {};
}

Channel open_channel(const DatasetSpec& spec, const OpenOptions& options) {
  Channel channel;
  channel.input = spec.input;
  channel.source = open_source(with_expanded_paths(spec, options.base_dir));
  const bool picture = channel.source->pictures();
  InputRequest request = request_for(options, spec.input);
  if (picture && request.dtype == DType::kUndefined) request.dtype = DType::kF32;
  channel.transform.emplace(spec, request, picture);
  channel.skip_nonfinite = spec.nonfinite == "skip";
  channel.augment = spec.augment;
  return channel;
}

/// Shuffle, then skip, then limit.
std::vector<int64_t> pick(const DatasetSpec& spec, uint64_t seed, int64_t available) {
  std::vector<int64_t> order;
  if (spec.shuffle) {
    order = Rng(seed).permutation(available);
  } else {
    order.resize(static_cast<size_t>(available));
    std::iota(order.begin(), order.end(), int64_t{0});
  }
  const int64_t from = std::min(spec.skip, available);
  const int64_t rest = available - from;
  const int64_t count = spec.limit > 0 ? std::min(spec.limit, rest) : rest;
  return {order.begin() + from, order.begin() + from + count};
}

void check_sizes(const std::vector<Channel>& channels) {
  for (const Channel& channel : channels)
    if (channel.source->size() != channels[0].source->size())
      fail_invalid("input '{}' has {} samples, input '{}' has {}", channels[0].input,
                   channels[0].source->size(), channel.input, channel.source->size());
}

std::string describe(const DatasetSpec& spec) {
  if (!spec.inputs.empty()) return "inputs";
  return spec.path.empty() ? spec.labels : spec.path[0];
}

}  // namespace

Dataset open_dataset(const DatasetSpec& spec, const OpenOptions& options) {
  check_dataset(spec);
  auto impl = std::make_shared<Dataset::Impl>();
  impl->spec = spec;
  impl->seed = options.seed;
  impl->class_count = options.num_classes;
  const std::vector<DatasetSpec> one = {spec};
  for (const DatasetSpec& record : spec.inputs.empty() ? one : spec.inputs) {
    impl->channels.push_back(open_channel(record, options));
  }
  check_sizes(impl->channels);
  const int64_t available = impl->channels[0].source->size();
  impl->order = pick(spec, options.seed, available);
  if (impl->size() == 0)
    fail_usage("{}: no samples ({} found, {} skipped by the record)", describe(spec), available,
               std::min(spec.skip, available));
  if (spec.limit > impl->size())
    impl->notes.push_back(fmt::format("{} samples were asked for, {} holds {}", spec.limit,
                                      describe(spec), impl->size()));
  if (impl->size() == 1)
    impl->notes.push_back(fmt::format("{} holds one sample only", describe(spec)));
  for (Channel& channel : impl->channels) channel.source->prepare(impl->order);
  return Dataset(std::move(impl));
}

Dataset dataset_of(std::map<std::string, Tensor> inputs, std::vector<int64_t> labels) {
  auto impl = std::make_shared<Dataset::Impl>();
  for (auto& [name, tensor] : inputs) {
    Channel channel;
    channel.input = name;
    channel.source = memory_source(std::move(tensor), labels);
    impl->channels.push_back(std::move(channel));
  }
  if (impl->channels.empty()) fail_usage("dataset_of: no inputs");
  check_sizes(impl->channels);
  impl->order = pick(impl->spec, 0, impl->channels[0].source->size());
  if (impl->size() == 0) fail_usage("dataset_of: no samples");
  return Dataset(std::move(impl));
}

std::pair<double, double> value_range(const Tensor& tensor) {
  const Tensor wide = to_float32(tensor);
  const auto values = wide.data<float>();
  if (values.empty()) return {0, 0};
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {*low, *high};
}

}  // namespace lapidary
