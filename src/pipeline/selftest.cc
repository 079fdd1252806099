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

template <class T>
std::string first_difference(const Tensor& got, const Tensor& wanted) {
  const auto a = got.data<T>(), b = wanted.data<T>();
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = as_double(a[i]), y = as_double(b[i]);
    const bool same = x == y || (std::isnan(x) && std::isnan(y)) ||
                      std::abs(x - y) <= kAbsolute + kRelative * std::abs(y);
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
    case DType::kF32: return first_difference<float>(got, wanted);
    case DType::kF64: return first_difference<double>(got, wanted);
    case DType::kF16: return first_difference<Half>(got, wanted);
    case DType::kBF16: return first_difference<BFloat16>(got, wanted);
    default: return got.equals(wanted) ? "" : "elements differ";
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

/// Runs one test_data_set; returns what is wrong, or nothing.
std::string run_set(const Graph& graph, Executor& executor, const fs::path& set) {
  Executor::Values inputs;
  size_t file = 0;
  for (ValueId id : graph.inputs()) {
    if (!fs::exists(set / fmt::format("input_{}.pb", file))) break;
    inputs[graph.value(id).name] = stored(set, "input", file++, graph.value(id).type.dtype);
  }
  Executor::Values outputs = executor.run(inputs);
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const std::string& name = graph.value(graph.outputs()[i]).name;
    const Tensor& got = outputs.at(name);
    if (const std::string wrong = difference(got, stored(set, "output", i, got.dtype())); !wrong.empty())
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
    Executor executor(graph, {.executor = kind});
    size_t sets = 0;
    for (const fs::path& set : sorted(folder)) {
      if (!set.filename().string().starts_with("test_data_set_")) continue;
      ++sets;
      if (out.why = run_set(graph, executor, set); !out.why.empty()) {
        out.verdict = Verdict::kFailed;
        return out;
      }
    }
    out.verdict = sets > 0 ? Verdict::kPassed : Verdict::kUnsupported;
    if (sets == 0) out.why = "has no test data";
  } catch (const Error& error) {
    out.verdict = error.code() == ErrorCode::kUnsupported ? Verdict::kUnsupported : Verdict::kFailed;
    out.why = error.what();
  } catch (const std::exception& error) {
    out.verdict = Verdict::kFailed;
    out.why = error.what();
  }
  return out;
}

}  // namespace

SelftestResult selftest(const std::string& folder, const SelftestOptions& options) {
  if (!fs::is_directory(folder)) fail(ErrorCode::kIo, "'{}' is not a folder", folder);
  SelftestResult result;
  for (const fs::path& path : sorted(folder)) {
    const std::string name = path.filename().string();
    if (!fs::exists(path / "model.onnx") || !glob_match(options.filter, name)) continue;
    const Outcome outcome = run_case(path, options.executor);
    const auto count = [&](SelftestResult::Op& op) {
      ++(outcome.verdict == Verdict::kPassed   ? op.passed
         : outcome.verdict == Verdict::kFailed ? op.failed
                                               : op.unsupported);
    };
    count(result.summary);
    for (const std::string& op : outcome.ops) count(result.ops[op]);
    switch (outcome.verdict) {
      case Verdict::kPassed: result.passed.push_back(name); break;
      case Verdict::kFailed: result.failed.push_back(name + ": " + outcome.why); break;
      case Verdict::kUnsupported: result.unsupported.push_back(name + ": " + outcome.why); break;
    }
  }
  const auto& s = result.summary;
  if (s.passed + s.failed + s.unsupported == 0)
    fail_usage("no test matches '{}' in '{}'", options.filter, folder);
  return result;
}

}  // namespace lapidary
