#include "src/pipeline/sparsity.h"

namespace lapidary {

std::string SparsityParams::describe() const {
  if (pattern.kind == SparsePattern::Kind::kNM)
    return fmt::format("{}, pattern {}", method, pattern.text());
  std::string out = fmt::format("{}, {} of the weights", method, ratio.value_or(0.5));
  if (pattern.kind == SparsePattern::Kind::kBlock)
    out += fmt::format(" in blocks of {}", pattern.text());
  return out;
}

const FieldTable& GradualParams::fields() {
  static const FieldTable kTable = [] {
    using P = GradualParams;
    std::vector<Field> all = sparsity_fields<P>(true);
    for (Field& f : std::vector<Field>{
             field("initial", &P::initial, "Share of zeros that it begins with").range(0, 1),
             field("begin", &P::begin, "Share of the steps before the first masks").range(0, 1),
             field("end", &P::end, "Share of the steps at which `ratio` is reached").range(0, 1),
             field("every", &P::every, "Steps between two masks").range(1, 1e12)})
      all.push_back(std::move(f));
    return FieldTable{"gradual sparsity", std::move(all)};
  }();
  return kTable;
}

}  // namespace lapidary
