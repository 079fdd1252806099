#include <array>

#include "kernels/row.h"
#include "lapidary/evaluate.h"
#include "lapidary/ops.h"
#include "lapidary/passes.h"
#include "lapidary/recipe.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/pipeline/step.h"

namespace lapidary {

namespace {

template <class Infos>
std::vector<ListedItem> from_infos(const Infos& infos) {
  std::vector<ListedItem> out;
  for (const auto& info : infos) out.push_back({info.name, info.help});
  return out;
}

std::vector<ListedItem> steps() {
  std::vector<ListedItem> out;
  for (const StepDef* def : all_steps())
    out.push_back({std::string(def->name), std::string(def->help)});
  return out;
}

std::vector<ListedItem> ops() {
  std::vector<ListedItem> out;
  for (const OpSupport& op : list_ops()) {
    std::vector<std::string> can;
    if (op.shape) can.emplace_back("shape");
    if (op.reference) can.emplace_back("reference");
    if (op.quantize) can.emplace_back("quantize");
    out.push_back(
        {op.domain.empty() ? op.name : op.domain + "." + op.name,
         fmt::format("{} (since {})", fmt::join(can, ", "), fmt::join(op.versions, ", "))});
  }
  return out;
}

std::vector<ListedItem> kernels() {
  std::vector<ListedItem> out;
  for (const kernels::RowInfo& row : kernels::all_rows()) {
    const std::string refusal = kernels::isa_refusal(row.isa);
    out.push_back({std::string(row.name), fmt::format("{}, tile {}{}", row.types, row.tile,
                                                      refusal.empty() ? "" : "; " + refusal)});
  }
  return out;
}

struct Kind {
  const char* name;
  std::vector<ListedItem> (*items)();
};

constexpr std::array kKinds = {
    Kind{"steps", steps},
    Kind{"ops", ops},
    Kind{"passes", [] { return from_infos(list_passes()); }},
    Kind{"calibrators", [] { return from_infos(list_calibrators()); }},
    Kind{"targets", [] { return from_infos(list_targets()); }},
    Kind{"kernels", kernels},
    Kind{"metrics", [] { return from_infos(list_metrics()); }},
};

}  // namespace

std::vector<std::string> listable_kinds() {
  std::vector<std::string> out;
  for (const Kind& kind : kKinds) out.emplace_back(kind.name);
  return out;
}

std::vector<ListedItem> list_items(const std::string& kind) {
  for (const Kind& k : kKinds)
    if (kind == k.name) return k.items();
  const auto kinds = listable_kinds();
  fail_usage("nothing to list is called '{}'; there are {}{}", kind, fmt::join(kinds, ", "),
             did_you_mean(kind, kinds));
}

}  // namespace lapidary
