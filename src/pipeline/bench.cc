#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "lapidary/evaluate.h"
#include "src/base/fail.h"
#include "src/base/isa.h"
#include "src/base/rng.h"
#include "src/base/text.h"
#include "src/pipeline/bench.h"
#include "src/pipeline/given_shapes.h"

namespace lapidary {

namespace {

/// "float32[N,?]" -> "x=1x?": what is to be given.
std::string shape_hint(const Value& input) {
  std::vector<std::string> sizes;
  if (input.type.shape)
    for (size_t i = 0; i < input.type.shape->size(); ++i) {
      const Dim& d = (*input.type.shape)[i];
      sizes.push_back(d.known() ? fmt::format("{}", d.value) : i == 0 ? "1" : "?");
    }
  return fmt::format("{}={}", input.name,
                     sizes.empty() ? "1x?" : fmt::format("{}", fmt::join(sizes, "x")));
}

/// The size that the user gives a dim's symbol, or null.
const int64_t* symbol_size(const Dim& dim, const GivenShapes& given) {
  if (dim.known() || dim.symbol.empty()) return nullptr;
  const auto found = given.symbols.find(dim.symbol);
  return found == given.symbols.end() ? nullptr : &found->second;
}

/// Sizes for one inference: given by the input's name or the symbols', or by the batch for a first
/// axis, otherwise a usage error.
Shape bind_shape(const Value& input, const GivenShapes& given, int64_t batch) {
  if (const auto found = given.inputs.find(input.name); found != given.inputs.end()) {
    if (element_count(found->second) == 0)
      fail_usage("input '{}' is to be {}: nothing would be computed", input.name,
                 shape_text(found->second));
    return found->second;
  }
  if (!input.type.shape)
    fail_usage("input '{}' has no shape: give --shape {}", input.name, shape_hint(input));
  Shape out;
  for (size_t i = 0; i < input.type.shape->size(); ++i) {
    const Dim& d = (*input.type.shape)[i];
    const int64_t* size = symbol_size(d, given);
    if (!d.known() && !size && i > 0)
      fail_usage("input '{}' is {}: give --shape {}", input.name, input.type.text(),
                 shape_hint(input));
    out.push_back(d.known() ? d.value : size ? *size : batch);
  }
  return out;
}

/// Floats uniform in [-1, 1), integers in {0, 1}: valid as token ids and flags.
Tensor random_tensor(DType dtype, const Shape& shape, Rng& rng) {
  Tensor t(dtype, shape);
  switch (dtype) {
    case DType::kF32:
      for (float& v : t.mutable_data<float>()) v = static_cast<float>(2 * rng.uniform() - 1);
      break;
    case DType::kI64:
      for (int64_t& v : t.mutable_data<int64_t>()) v = static_cast<int64_t>(rng.below(2));
      break;
    case DType::kI32:
      for (int32_t& v : t.mutable_data<int32_t>()) v = static_cast<int32_t>(rng.below(2));
      break;
    case DType::kU8:
      for (uint8_t& v : t.mutable_data<uint8_t>()) v = static_cast<uint8_t>(rng.below(256));
      break;
    default:
      break;  // zeros
  }
  return t;
}

Tensor filled(const Value& input, const Shape& shape, double value) {
  Tensor t(input.type.dtype, shape);
  const auto fill = [&]<class T>(T) {
    for (T& v : t.mutable_data<T>()) v = static_cast<T>(value);
  };
  const auto integer = [&]<class T>(T one) {
    if (value != std::floor(value) || value < static_cast<double>(std::numeric_limits<T>::min()) ||
        value >= std::ldexp(1.0, std::numeric_limits<T>::digits))
      fail_usage("input '{}' is {}: {} does not fit", printable(input.name), input.type.text(),
                 value);
    fill(one);
  };
  switch (t.dtype()) {
    case DType::kF32:
      fill(float{});
      break;
    case DType::kF64:
      fill(double{});
      break;
    case DType::kI64:
      integer(int64_t{});
      break;
    case DType::kI32:
      integer(int32_t{});
      break;
    case DType::kU8:
      integer(uint8_t{});
      break;
    case DType::kI8:
      integer(int8_t{});
      break;
    default:
      fail_usage("input '{}' is {}: give it as a file, {}=FILE.npy", printable(input.name),
                 input.type.text(), printable(input.name));
  }
  return t;
}

/// Names that the user gave must be inputs.
template <class Map>
void check_names(const Graph& model, const Map& given) {
  const std::vector<std::string> names = input_names_of(model);
  for (const auto& [name, what] : given) check_input_name(name, names);
}

/// Nothing is open to `batch`: the model fixes its first axes, or --shape and --input do.
[[noreturn]] void refuse_batch(const Graph& model, int64_t batch) {
  std::vector<std::string> inputs;
  for (const ValueId id : model.inputs())
    if (model.constant(id) == nullptr)
      inputs.push_back(
          fmt::format("{} {}", printable(model.value(id).name), model.value(id).type.text()));
  fail_usage(
      "a batch of {} fits no input: {} (the first axis has to be open, and bound by neither "
      "--shape nor --input)",
      batch, fmt::join(inputs, ", "));
}

double percentile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const size_t low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - static_cast<double>(low));
}

}  // namespace

Executor::Values bench_inputs(const Graph& model, const BenchOptions& options) {
  Rng rng(options.seed);
  check_names(model, options.inputs);
  check_names(model, options.constants);
  const GivenShapes given = given_shapes(model, options.input_shapes);
  Executor::Values inputs = options.inputs;
  bool batch_bound = false;
  for (ValueId id : model.inputs()) {
    const Value& v = model.value(id);
    if (model.constant(id) != nullptr || inputs.contains(v.name)) continue;
    const Shape shape = bind_shape(v, given, options.batch);
    batch_bound |= !given.inputs.contains(v.name) && !shape.empty() &&
                   !(*v.type.shape)[0].known() && !symbol_size((*v.type.shape)[0], given);
    const auto constant = options.constants.find(v.name);
    inputs.emplace(v.name, constant != options.constants.end()
                               ? filled(v, shape, constant->second)
                               : random_tensor(v.type.dtype, shape, rng));
  }
  if (options.batch != 1 && !batch_bound) refuse_batch(model, options.batch);
  return inputs;
}

int64_t leading_size(const Graph& model, const Executor::Values& inputs) {
  for (ValueId id : model.inputs()) {
    const auto found = inputs.find(model.value(id).name);
    if (found != inputs.end() && !found->second.shape().empty()) return found->second.shape()[0];
  }
  return 1;
}

std::vector<double> time_runs(const std::function<void()>& run, double seconds) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> ms;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    const auto start = Clock::now();
    run();
    ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  } while (Clock::now() < end);
  return ms;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return percentile(values, 0.5);
}

Latency summarize_times(std::vector<double> ms, int threads, int64_t batch) {
  std::sort(ms.begin(), ms.end());
  return {threads,
          std::string(isa_name(isa_cap())),
          batch,
          static_cast<int64_t>(ms.size()),
          percentile(ms, 0.5),
          percentile(ms, 0.9),
          percentile(ms, 0.99)};
}

std::vector<Latency> bench(const Graph& model, const BenchOptions& options) {
  const Executor::Values inputs = bench_inputs(model, options);
  const int64_t batch = leading_size(model, inputs);
  std::vector<Latency> out;
  for (int threads : options.threads) {
    options.log.advance("time", static_cast<int64_t>(out.size()),
                        static_cast<int64_t>(options.threads.size()));
    Executor executor(model, {.threads = threads,
                              .winograd = options.winograd,
                              .float_arithmetic = options.float_arithmetic});
    for (int i = 0; i < options.warmup; ++i) executor.run(inputs);
    const auto run = [&] { executor.run(inputs); };
    out.push_back(summarize_times(time_runs(run, options.seconds), threads, batch));
  }
  return out;
}

std::vector<StepInfo> time_steps(Executor& executor, const Executor::Values& inputs, int warmup,
                                 double seconds) {
  for (int i = 0; i < warmup; ++i) executor.run(inputs);
  std::vector<StepInfo> steps = executor.steps();
  std::vector<std::vector<double>> ms(steps.size());
  const auto run = [&] {
    executor.run(inputs);
    for (size_t i = 0; i < steps.size(); ++i) ms[i].push_back(executor.steps()[i].milliseconds);
  };
  time_runs(run, seconds);
  for (size_t i = 0; i < steps.size(); ++i) steps[i].milliseconds = median(ms[i]);
  return steps;
}

std::vector<StepInfo> bench_layers(const Graph& model, const BenchOptions& options) {
  const Executor::Values inputs = bench_inputs(model, options);
  Executor executor(model, {.threads = options.threads.at(0),
                            .profile = true,
                            .winograd = options.winograd,
                            .float_arithmetic = options.float_arithmetic});
  return time_steps(executor, inputs, std::max(1, options.warmup), options.seconds);
}

}  // namespace lapidary
