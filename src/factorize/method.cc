#include "src/factorize/method.h"

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace lowrank {

#define LAPIDARY_FACTORIZATION(name) const Method& method_##name();
#include "src/factorize/methods.def"
#undef LAPIDARY_FACTORIZATION

std::span<const Method* const> all_methods() {
  static const std::vector<const Method*> kAll = {
#define LAPIDARY_FACTORIZATION(name) &method_##name(),
#include "src/factorize/methods.def"
#undef LAPIDARY_FACTORIZATION
  };
  return kAll;
}

const Method& find_method(std::string_view name) {
  std::vector<std::string> names;
  for (const Method* method : all_methods()) {
    if (method->name == name) return *method;
    names.emplace_back(method->name);
  }
  fail_usage("no factorization is called '{}'; there are {}{}", printable(name),
             fmt::join(names, ", "), did_you_mean(name, names));
}

}  // namespace lowrank

std::vector<NamedHelp> list_factorizations() {
  std::vector<NamedHelp> out;
  for (const lowrank::Method* method : lowrank::all_methods())
    out.push_back({std::string(method->name), std::string(method->help)});
  return out;
}

}  // namespace lapidary
