#include "src/train/optimizers/optimizer.h"

#include "src/base/fail.h"

namespace lapidary::train {

#define LAPIDARY_OPTIMIZER(name, update, ...) void update(ParameterGroup&, const UpdateContext&);
#include "src/train/optimizers/optimizers.def"
#undef LAPIDARY_OPTIMIZER

namespace {

using Names = std::vector<std::string_view>;

const std::vector<OptimizerDef>& rows() {
  static const std::vector<OptimizerDef> all = {
#define LAPIDARY_OPTIMIZER(name, update, ...) {name, Names{__VA_ARGS__}, update},
#include "src/train/optimizers/optimizers.def"
#undef LAPIDARY_OPTIMIZER
  };
  return all;
}

}  // namespace

const OptimizerDef& find_optimizer(std::string_view name) {
  std::vector<std::string_view> names;
  for (const OptimizerDef& row : rows()) {
    if (row.name == name) return row;
    names.push_back(row.name);
  }
  fail_usage("optimizer '{}', expected one of {}", name, fmt::join(names, ", "));
}

}  // namespace lapidary::train
