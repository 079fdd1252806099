#include "src/exec/steps/batch.h"

namespace lapidary::exec {

std::vector<int64_t> batch_offsets(const Shape& operand, const Shape& result, int64_t matrix) {
  const size_t batch_rank = result.size() - 2, own_rank = operand.size() - 2;
  std::vector<int64_t> steps(batch_rank, 0);
  int64_t step = matrix;
  for (size_t i = own_rank; i-- > 0;) {
    if (operand[i] != 1) steps[batch_rank - own_rank + i] = step;
    step *= operand[i];
  }
  std::vector<int64_t> offsets = {0};
  for (size_t axis = 0; axis < batch_rank; ++axis) {
    std::vector<int64_t> next;
    for (const int64_t at : offsets)
      for (int64_t i = 0; i < result[axis]; ++i) next.push_back(at + i * steps[axis]);
    offsets = std::move(next);
  }
  return offsets;
}

}  // namespace lapidary::exec
