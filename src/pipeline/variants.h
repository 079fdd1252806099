#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/recipe.h"
#include "src/base/params.h"

namespace lapidary {

/// One of the names that a value of a type like `schedule` begins with, and what stands below it.
struct Variant {
  std::string name, help;
  std::vector<Field> fields;
  Setting defaults;  ///< a map; of what has one
};

/// A type whose values are `NAME`, or `{NAME: {KEY: VALUE}}`.
struct VariantType {
  std::string_view type;    ///< Field::type
  std::string_view title;   ///< of its section in the documentation
  std::string_view anchor;  ///< of that in links
  std::string_view form;    ///< how a value is written
  bool amount;              ///< a value is `{NAME: NUMBER}`: the one field is that number
  std::vector<Variant> (*all)();
};

std::span<const VariantType> variant_types();
/// Null where the type has no such names.
const VariantType* find_variant_type(std::string_view type);

/// The names and keys of a type as a Markdown table.
std::string variants_markdown(std::string_view type);

/// A field as `lapidary list` and step_parameters tell of it; `value`: its default, or null.
ParameterInfo parameter_info(const Field& field, const Setting* value);

}  // namespace lapidary
