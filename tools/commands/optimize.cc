#include "tools/verb.h"

namespace lapidary::cli {

void add_optimize(CLI::App& app, Common& common, Action& action) {
  auto o = std::make_shared<Verb>();
  add_verb(app, "optimize", "Runs graph passes only", common, *o)->callback([o, &common, &action] {
    action = [o, &common] { return run_verb(*o, common); };
  });
}

}  // namespace lapidary::cli
