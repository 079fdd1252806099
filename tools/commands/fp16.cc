#include "tools/verb.h"

namespace lapidary::cli {

void add_fp16(CLI::App& app, Common& common, Action& action) {
  auto o = std::make_shared<Verb>();
  add_verb(app, "fp16", "Converts a model to FP16", common, *o)->callback([o, &common, &action] {
    action = [o, &common] { return run_verb(*o, common); };
  });
}

}  // namespace lapidary::cli
