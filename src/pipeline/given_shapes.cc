#include "src/pipeline/given_shapes.h"

#include <algorithm>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

/// The symbols of the inputs' shapes, each once.
std::vector<std::string> symbols_of(const Graph& model) {
  std::vector<std::string> out;
  for (const ValueId id : model.inputs())
    for (const Dim& d : model.value(id).type.shape.value_or(std::vector<Dim>{}))
      if (!d.known() && !d.symbol.empty() &&
          std::find(out.begin(), out.end(), d.symbol) == out.end())
        out.push_back(d.symbol);
  return out;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::vector<std::string> input_names_of(const Graph& model) {
  std::vector<std::string> names;
  for (const ValueId id : model.inputs()) names.push_back(model.value(id).name);
  return names;
}

void check_input_name(const std::string& name, const std::vector<std::string>& names) {
  if (!contains(names, name))
    fail_usage("the model has no input '{}'; it has {}{}", printable(name),
               printable(fmt::format("{}", fmt::join(names, ", "))), did_you_mean(name, names));
}

GivenShapes given_shapes(const Graph& model, const std::map<std::string, Shape>& given) {
  const std::vector<std::string> inputs = input_names_of(model), symbols = symbols_of(model);
  std::vector<std::string> all = inputs;
  all.insert(all.end(), symbols.begin(), symbols.end());
  GivenShapes out;
  for (const auto& [name, shape] : given) {
    check_input_name(name, all);
    if (contains(inputs, name)) {
      out.inputs.emplace(name, shape);
      continue;
    }
    if (shape.size() != 1 || shape[0] < 1)
      fail_usage("'{}' is one size of an axis, not {}: give --shape {}=8", printable(name),
                 shape_text(shape), printable(name));
    out.symbols.emplace(name, shape[0]);
  }
  return out;
}

}  // namespace lapidary
