#include "kernels/row.h"

#include "kernels/families.h"
#include "src/base/fail.h"

namespace lapidary::kernels {

std::string isa_refusal(Isa isa) {
  if (isa_enabled(isa)) return "";
  if (!cpu_has(isa)) return fmt::format("this CPU has no {}", isa_name(isa));
  return fmt::format("LAPIDARY_ISA caps at {}", isa_name(isa_cap()));
}

std::vector<RowInfo> all_rows() {
  std::vector<RowInfo> rows;
  const auto append = [&](const std::vector<RowInfo>& own) {
    rows.insert(rows.end(), own.begin(), own.end());
  };
#define LAPIDARY_FAMILY(name) append(name##_rows());
#include "kernels/families.def"
#undef LAPIDARY_FAMILY
  return rows;
}

}  // namespace lapidary::kernels
