#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/isa.h"

// What holds for every family:
// - Arrays are row-major without gaps unless a stride says otherwise; activations are NHWC.
// - Every input array has 64 readable bytes after its last element, as Tensor has: vectors are
// loaded
//   whole. Nothing is written outside the asked range.
// - Packed weights and scratch are 64-byte aligned. Packing is done once per plan, with the row
// that runs.
// - Calls never allocate, throw or lock; calls on disjoint ranges of one output may run at once.
namespace lapidary::kernels {

/// One line of a family's kernels.def.
struct RowInfo {
  std::string_view family;  ///< "conv_s8"
  std::string_view name;    ///< "conv_s8_avx512vnni"
  Isa isa = Isa::kScalar;
  std::string_view types;  ///< of inputs and outputs: "u8 s8 -> u8 i32 f32"
  std::string_view tile;   ///< outputs computed at a time: "14x32" pixels x channels
  /// 0: the bits of the scalar row. Otherwise |y - y_scalar| <= tolerance * (sum of |terms| of y).
  float tolerance = 0.0f;
};

/// Why a row that stands before the chosen one was not taken.
struct Refusal {
  std::string_view row;
  std::string reason;
};

template <class Kernel>
struct Choice {
  const Kernel* kernel = nullptr;
  std::vector<Refusal> refused;  ///< in row order
};

/// Empty where isa_enabled(isa); otherwise what stands in the way.
std::string isa_refusal(Isa isa);

/// The first row whose ISA is enabled and for which `refuse(kernel)` is empty. Families end with a
/// scalar row that refuses nothing they are documented to take.
template <class Kernel, class Refuse>
Choice<Kernel> choose(std::span<const Kernel> kernels, const Refuse& refuse) {
  Choice<Kernel> choice;
  for (const Kernel& kernel : kernels) {
    std::string reason = isa_refusal(kernel.row.isa);
    if (reason.empty()) reason = refuse(kernel);
    if (reason.empty()) {
      choice.kernel = &kernel;
      break;
    }
    choice.refused.push_back({kernel.row.name, std::move(reason)});
  }
  return choice;
}

template <class Kernel>
Choice<Kernel> choose(std::span<const Kernel> kernels) {
  return choose(kernels, [](const Kernel&) { return std::string(); });
}

/// Every row of every family, families in alphabetical order, rows best first.
std::vector<RowInfo> all_rows();

}  // namespace lapidary::kernels
