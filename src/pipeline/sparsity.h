#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lapidary/sparsify.h"
#include "src/base/params.h"

namespace lapidary {

template <>
struct FieldCodec<SparsePattern> {
  static std::string type() { return "string"; }
  static SparsePattern parse(const Setting& s, const Field& f) {
    return with_context([&] { return s.where(); },
                        [&] { return SparsePattern::parse(parse_text(s, f)); });
  }
  static Setting format(const SparsePattern& v) {
    return FieldCodec<std::string>::format(v.text());
  }
};

/// What says which weights become zero, whenever that is.
struct SparsityParams {
  std::string method = "magnitude";
  SparsePattern pattern;
  std::optional<double> ratio;
  std::optional<std::string> scope;
  std::vector<std::string> include, exclude;

  SparsifyOptions options(uint64_t seed, int threads, const LogSink& log) const {
    return {.method = method,
            .pattern = pattern,
            .ratio = ratio,
            .scope = scope,
            .include = include,
            .exclude = exclude,
            .seed = seed,
            .threads = threads,
            .log = log};
  }
  /// "magnitude, pattern 2:4"; "magnitude, 0.9 of the weights"
  std::string describe() const;
};

/// Rows for a table of `P`, which is a SparsityParams; methods that work `while_training`, or in
/// one shot.
template <class P>
std::vector<Field> sparsity_fields(bool while_training) {
  std::vector<std::string> methods;
  for (const SparsityMethodInfo& info : list_sparsity_methods())
    if (while_training ? info.while_training : info.one_shot) methods.push_back(info.name);
  const auto option = [](std::string name, auto SparsityParams::*member, std::string help) {
    using T = std::remove_reference_t<decltype(std::declval<P>().*member)>;
    return field<P, T>(std::move(name), static_cast<T P::*>(member), std::move(help));
  };
  return {option("method", &SparsityParams::method, "How the weights are chosen").one_of(methods),
          option("pattern", &SparsityParams::pattern,
                 "Which become zero together: unstructured; N:M (2:4: of each 4 consecutive input "
                 "channels 2 stay); ROWSxCOLUMNS (4x4: blocks of output by input channels)"),
          option("ratio", &SparsityParams::ratio,
                 "Share of the weights that become zero; null: 0.5, of N:M what that says")
              .range(0, 1),
          option("scope", &SparsityParams::scope,
                 "One threshold for all tensors, or the same share of each; null: global; of N:M "
                 "and sparsegpt local")
              .one_of({"global", "local"}),
          option("include", &SparsityParams::include,
                 "Patterns of layers: name, glob, re:REGEX, op:TYPE; empty: all"),
          option("exclude", &SparsityParams::exclude, "Patterns of layers that stay as they are")};
}

/// Masks that grow while a step trains.
struct GradualParams : SparsityParams {
  double initial = 0, begin = 0, end = 0.75;
  int64_t every = 100;

  static const FieldTable& fields();
  GradualOptions gradual(uint64_t seed, int threads, const LogSink& log) const {
    return {.sparsify = options(seed, threads, log),
            .initial = initial,
            .begin = begin,
            .end = end,
            .every = every};
  }
};

}  // namespace lapidary
