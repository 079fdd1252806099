#pragma once

#include <string>
#include <string_view>

#include "lapidary/export.h"
#include "src/base/params.h"

namespace lapidary {

/// One YAML document (JSON is YAML) as a tree of settings with their places. Beyond what yaml-cpp
/// refuses, refused are: a second document, an unterminated quote, NUL, bad UTF-8, keys that are no
/// scalars, more than 64 levels, cyclic aliases and aliases that blow the tree up (Error{kUsage}).
/// `located`: false leaves lines out (text that no user wrote as a file).
LAPIDARY_API Setting parse_yaml(std::string_view text, const std::string& source,
                                bool located = true);

/// A setting as the command line gives one: a text that begins with { or [ is YAML, any other
/// stands for itself. `source`: what messages call it.
LAPIDARY_API Setting parse_inline(const std::string& text, const std::string& source);

/// Block-style YAML that `parse_yaml` reads back; texts that could be read as something else are
/// quoted.
std::string write_yaml(const Setting& setting);

/// The same as JSON: numbers and booleans by the look of unquoted scalars.
LAPIDARY_API std::string write_json(const Setting& setting);

}  // namespace lapidary
