#pragma once

#include "kernels/row.h"

namespace lapidary::kernels {

// The rows of every family: defined, by rows_of, where its kernels.def becomes a table.
#define LAPIDARY_FAMILY(name) std::vector<RowInfo> name##_rows();
#include "kernels/families.def"
#undef LAPIDARY_FAMILY

template <class Kernel>
std::vector<RowInfo> rows_of(std::span<const Kernel> kernels) {
  std::vector<RowInfo> rows;
  for (const Kernel& kernel : kernels) rows.push_back(kernel.row);
  return rows;
}

}  // namespace lapidary::kernels
