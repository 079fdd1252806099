#include <array>

#include "kernels/row.h"
#include "lapidary/evaluate.h"
#include "lapidary/factorize.h"
#include "lapidary/ops.h"
#include "lapidary/passes.h"
#include "lapidary/recipe.h"
#include "lapidary/sparsify.h"
#include "prune/criterion.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/exec/steps/steps.h"
#include "src/ops/opdef.h"
#include "src/passes/qdq/rules.h"
#include "src/pipeline/step.h"
#include "src/pipeline/variants.h"

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

std::vector<ListedItem> criteria() {
  std::vector<ListedItem> out;
  for (const prune::Criterion* criterion : prune::all_criteria()) {
    ListedItem item{std::string(criterion->name), std::string(criterion->help)};
    const Setting defaults = criterion->defaults();
    for (const Field& f : criterion->fields().fields)
      item.parameters.push_back(parameter_info(f, defaults.find(f.name)));
    out.push_back(std::move(item));
  }
  return out;
}

std::string full_name(const OpSupport& op) {
  return op.domain.empty() ? op.name : op.domain + "." + op.name;
}

std::vector<ListedItem> ops() {
  std::vector<ListedItem> out;
  for (const OpSupport& op : list_ops()) {
    std::vector<std::string> can;
    if (op.shape) can.emplace_back("shape");
    if (op.reference) can.emplace_back("reference");
    if (op.quantize) can.emplace_back("quantize");
    if (op.prune) can.emplace_back("prune");
    out.push_back({full_name(op), fmt::format("{} (since {})", fmt::join(can, ", "),
                                              fmt::join(op.versions, ", "))});
  }
  return out;
}

std::vector<ListedItem> variants(std::string_view type) {
  std::vector<ListedItem> out;
  for (const Variant& variant : find_variant_type(type)->all()) {
    ListedItem item{variant.name, variant.help};
    for (const Field& f : variant.fields)
      item.parameters.push_back(parameter_info(f, variant.defaults.find(f.name)));
    out.push_back(std::move(item));
  }
  return out;
}

const char* role_text(QuantRole role) {
  switch (role) {
    case QuantRole::kNone:
      return "";
    case QuantRole::kCompute:
      return "computes";
    case QuantRole::kPassThrough:
      return "moves values";
    case QuantRole::kShapeOnly:
      return "reads shapes";
    case QuantRole::kInteger:
      return "on integers";
  }
  return "";
}

std::string ops_markdown() {
  const auto mark = [](bool can) { return can ? "yes" : ""; };
  std::string out =
      "# Operators\n\n"
      "This page is the output of `lapidary list ops --markdown`.\n\n"
      "- since: the op's versions that are understood, by the opset that introduced them.\n"
      "- shapes: types and shapes of the outputs are inferred.\n"
      "- reference: it has the naive evaluation that judges the kernels.\n"
      "- fast: the executor has steps of its own for it, kernels or moves of memory; forms that "
      "they do not take, and all\n  other ops, run on the reference.\n"
      "- quantization: it *computes* with scales of its own, *moves values*, whose scale input and "
      "output share, or *reads\n  shapes*; other ops stay float.\n"
      "- integers: between DequantizeLinear and QuantizeLinear it runs on integers.\n"
      "- pruning: it is known how elements of its axes depend on each other; ops without it keep "
      "theirs.\n\n"
      "| op | since | shapes | reference | fast | quantization | integers | pruning |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const OpSupport& op : list_ops()) {
    const OpDef& def = *find_op(op.domain, op.name);
    const bool fast = exec::find_step_rule(op.domain, op.name) != nullptr;
    const bool integers = op.domain.empty() && find_lowering(op.name) != nullptr;
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", full_name(op),
                       fmt::join(op.versions, ", "), mark(op.shape), mark(op.reference), mark(fast),
                       role_text(def.role), mark(integers), mark(op.prune));
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
  std::string (*markdown)() = nullptr;  ///< a page of its own instead of names and help
};

constexpr std::array kKinds = {
    Kind{"steps", steps},
    Kind{"ops", ops, ops_markdown},
    Kind{"passes", [] { return from_infos(list_passes()); }},
    Kind{"calibrators", [] { return from_infos(list_calibrators()); }},
    Kind{"sparsity", [] { return from_infos(list_sparsity_methods()); }},
    Kind{"targets", [] { return from_infos(list_targets()); }},
    Kind{"kernels", kernels},
    Kind{"losses", [] { return variants("loss"); }, [] { return variants_markdown("loss"); }},
    Kind{"schedules", [] { return variants("schedule"); },
         [] { return variants_markdown("schedule"); }},
    Kind{"regularizers", [] { return variants("regularizer"); },
         [] { return variants_markdown("regularizer"); }},
    Kind{"augmentations", [] { return variants("augmentation"); },
         [] { return variants_markdown("augmentation"); }},
    Kind{"criteria", criteria},
    Kind{"factorizations", [] { return from_infos(list_factorizations()); }},
    Kind{"metrics", [] { return from_infos(list_metrics()); }},
};

const Kind& find_kind(const std::string& name) {
  for (const Kind& kind : kKinds)
    if (name == kind.name) return kind;
  const auto kinds = listable_kinds();
  fail_usage("nothing to list is called '{}'; there are {}{}", name, fmt::join(kinds, ", "),
             did_you_mean(name, kinds));
}

}  // namespace

std::vector<std::string> listable_kinds() {
  std::vector<std::string> out;
  for (const Kind& kind : kKinds) out.emplace_back(kind.name);
  return out;
}

std::vector<ListedItem> list_items(const std::string& kind) { return find_kind(kind).items(); }

std::string list_markdown(const std::string& kind) {
  const Kind& found = find_kind(kind);
  if (found.markdown != nullptr) return found.markdown();
  std::string out = fmt::format("| {} | |\n| --- | --- |\n", kind);
  for (const ListedItem& item : found.items())
    out += fmt::format("| `{}` | {} |\n", item.name, item.help);
  return out;
}

}  // namespace lapidary
