#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "lapidary/evaluate.h"
#include "lapidary/model_io.h"
#include "src/base/fail.h"
#include "src/base/half.h"
#include "src/base/text.h"

namespace lapidary {

namespace fs = std::filesystem;

namespace {

// onnx.backend.test.runner's own tolerances.
constexpr double kRelative = 1e-3, kAbsolute = 1e-7;

template <class T>
double as_double(T v) {
  if constexpr (std::is_same_v<T, Half>) {
    return from_half(v);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return from_bfloat16(v);
  } else {
    return static_cast<double>(v);
  }
}

/// One unit in the last place of bfloat16: the stored data were cut, not rounded.
constexpr double kBFloat16Relative = 0x1p-7;

template <class T>
std::string first_difference(const Tensor& got, const Tensor& wanted) {
  constexpr double relative = std::is_same_v<T, BFloat16> ? kBFloat16Relative : kRelative;
  const auto a = got.data<T>(), b = wanted.data<T>();
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = as_double(a[i]), y = as_double(b[i]);
    const bool same = x == y || (std::isnan(x) && std::isnan(y)) ||
                      std::abs(x - y) <= kAbsolute + relative * std::abs(y);
    if (!same) return fmt::format("element {} is {}, expected {}", i, x, y);
  }
  return {};
}

/// Empty where dtype, shape and every value agree.
std::string difference(const Tensor& got, const Tensor& wanted) {
  if (got.dtype() != wanted.dtype())
    return fmt::format("is {}, expected {}", dtype_name(got.dtype()), dtype_name(wanted.dtype()));
  if (got.shape() != wanted.shape())
    return fmt::format("is {}, expected {}", shape_text(got.shape()), shape_text(wanted.shape()));
  switch (got.dtype()) {
    case DType::kF32:
      return first_difference<float>(got, wanted);
    case DType::kF64:
      return first_difference<double>(got, wanted);
    case DType::kF16:
      return first_difference<Half>(got, wanted);
    case DType::kBF16:
      return first_difference<BFloat16>(got, wanted);
    default:
      return got.equals(wanted) ? "" : "elements differ";
  }
}

std::vector<fs::path> sorted(const fs::path& folder) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(folder)) out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

/// The stored test data hold bfloat16 as uint16: NumPy has no bfloat16.
Tensor stored(const fs::path& set, const char* kind, size_t i, DType declared) {
  Tensor t = load_tensor_proto(set / fmt::format("{}_{}.pb", kind, i));
  if (declared != DType::kBF16 || t.dtype() != DType::kU16) return t;
  const auto owner = std::make_shared<Tensor>(t);
  return Tensor::borrow(DType::kBF16, t.shape(), owner->raw(), owner);
}

/// The inputs of one test_data_set.
Executor::Values stored_inputs(const Graph& graph, const fs::path& set) {
  Executor::Values inputs;
  size_t file = 0;
  for (ValueId id : graph.inputs()) {
    if (!fs::exists(set / fmt::format("input_{}.pb", file))) break;
    inputs[graph.value(id).name] = stored(set, "input", file++, graph.value(id).type.dtype);
  }
  return inputs;
}

/// Runs one test_data_set; returns what is wrong, or nothing.
std::string run_set(Graph graph, ExecutorKind kind, const fs::path& set) {
  const Executor::Values inputs = stored_inputs(graph, set);
  // Some cases declare another shape than they store: the data bind the shapes, as everywhere.
  for (const auto& [name, tensor] : inputs)
    if (const ValueId id = graph.find_value(name)) graph.mutable_value(id).type.shape.reset();
  Executor executor(graph, {.executor = kind});
  Executor::Values outputs = executor.run(inputs);
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const Value& output = graph.value(graph.outputs()[i]);
    const std::string& name = output.name;
    const Tensor wanted = stored(set, "output", i, output.type.dtype);
    if (const std::string wrong = difference(outputs.at(name), wanted); !wrong.empty())
      return fmt::format("output '{}' {}", name, wrong);
  }
  return {};
}

enum class Verdict { kPassed, kFailed, kUnsupported };

struct Outcome {
  Verdict verdict;
  std::string why;
  std::set<std::string> ops;
};

Outcome run_case(const fs::path& folder, ExecutorKind kind) {
  Outcome out{Verdict::kUnsupported, {}, {}};
  try {
    Graph graph = load_onnx(folder / "model.onnx");
    for (NodeId id : graph.nodes()) out.ops.insert(graph.node(id).op);
    size_t sets = 0;
    for (const fs::path& set : sorted(folder)) {
      if (!set.filename().string().starts_with("test_data_set_")) continue;
      ++sets;
      if (out.why = run_set(graph, kind, set); !out.why.empty()) {
        out.verdict = Verdict::kFailed;
        return out;
      }
    }
    out.verdict = sets > 0 ? Verdict::kPassed : Verdict::kUnsupported;
    if (sets == 0) out.why = "has no test data";
  } catch (const Error& error) {
    out.verdict =
        error.code() == ErrorCode::kUnsupported ? Verdict::kUnsupported : Verdict::kFailed;
    out.why = error.what();
  } catch (const std::exception& error) {
    out.verdict = Verdict::kFailed;
    out.why = error.what();
  }
  return out;
}

/// Folders that hold a test case, whatever lies around them: "test_abs", "node/test_abs". Those
/// whose model is to be fetched from elsewhere (data.json) have none to run.
struct Cases {
  std::vector<std::string> runnable, without_model;
};

Cases find_cases(const fs::path& root) {
  Cases out;
  const auto options = fs::directory_options::skip_permission_denied;
  for (auto it = fs::recursive_directory_iterator(root, options); it != fs::end(it); ++it) {
    if (!it->is_directory()) continue;
    const bool runnable = fs::exists(it->path() / "model.onnx");
    if (!runnable && !fs::exists(it->path() / "data.json")) continue;
    it.disable_recursion_pending();
    (runnable ? out.runnable : out.without_model)
        .push_back(it->path().lexically_relative(root).generic_string());
  }
  std::ranges::sort(out.runnable);
  std::ranges::sort(out.without_model);
  return out;
}

/// `filter` may name the case with or without the folders around it.
bool asked_for(const std::string& name, const std::string& filter) {
  return glob_match(filter, name) || glob_match(filter, fs::path(name).filename().string());
}

void add(SelftestResult& result, const std::string& name, const Outcome& outcome) {
  const auto count = [&](SelftestResult::Op& op) {
    ++(outcome.verdict == Verdict::kPassed   ? op.passed
       : outcome.verdict == Verdict::kFailed ? op.failed
                                             : op.unsupported);
  };
  count(result.summary);
  for (const std::string& op : outcome.ops) count(result.ops[op]);
  switch (outcome.verdict) {
    case Verdict::kPassed:
      return result.passed.push_back(name);
    case Verdict::kFailed:
      return result.failed.push_back(name + ": " + outcome.why);
    case Verdict::kUnsupported:
      return result.unsupported.push_back(name + ": " + outcome.why);
  }
}

}  // namespace

SelftestResult selftest(const std::string& folder, const SelftestOptions& options) {
  if (!fs::is_directory(folder)) fail(ErrorCode::kIo, "'{}' is not a folder", folder);
  const Cases cases = find_cases(folder);
  SelftestResult result;
  for (const std::string& name : options.skip)
    if (!std::ranges::binary_search(cases.runnable, name))
      fail_usage("there is no case '{}' to skip in '{}'", printable(name, 100), folder);
  for (const std::string& name : cases.runnable) {
    if (!asked_for(name, options.filter)) continue;
    if (std::ranges::count(options.skip, name) > 0)
      result.skipped.push_back(name);
    else
      add(result, name, run_case(fs::path(folder) / name, options.executor));
  }
  for (const std::string& name : cases.without_model)
    if (asked_for(name, options.filter)) result.without_model.push_back(name);
  const auto& s = result.summary;
  if (s.passed + s.failed + s.unsupported == 0)
    fail_usage("no test matches '{}' in '{}'", options.filter, folder);
  return result;
}

}  // namespace lapidary
