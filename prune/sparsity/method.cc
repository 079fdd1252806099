#include "prune/sparsity/method.h"

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

#define LAPIDARY_SPARSITY_METHOD(name) const SparsityMethod& sparsity_##name();
#include "prune/sparsity/methods.def"
#undef LAPIDARY_SPARSITY_METHOD

namespace {

const std::vector<const SparsityMethod*>& all_methods() {
  static const std::vector<const SparsityMethod*> kAll = {
#define LAPIDARY_SPARSITY_METHOD(name) &sparsity_##name(),
#include "prune/sparsity/methods.def"
#undef LAPIDARY_SPARSITY_METHOD
  };
  return kAll;
}

}  // namespace

const SparsityMethod& find_sparsity_method(std::string_view name) {
  std::vector<std::string> names;
  for (const SparsityMethod* method : all_methods()) {
    if (method->name == name) return *method;
    names.emplace_back(method->name);
  }
  fail_usage("no method of sparsity is called '{}'; there are {}{}", printable(name),
             fmt::join(names, ", "), did_you_mean(name, names));
}

std::vector<SparsityMethodInfo> list_sparsity_methods() {
  std::vector<SparsityMethodInfo> out;
  for (const SparsityMethod* method : all_methods()) {
    const bool solves = method->solve != nullptr;
    out.push_back(
        {std::string(method->name), std::string(method->help), method->one_shot, !solves, solves});
  }
  return out;
}

}  // namespace lapidary
