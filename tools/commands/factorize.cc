#include "tools/verb.h"

namespace lapidary::cli {

void add_factorize(CLI::App& app, Common& common, Action& action) {
  auto o = std::make_shared<Verb>();
  CLI::App* sub = add_verb(app, "factorize", "Replaces layers by low-rank factors of their weights",
                           common, *o);
  add_data(*sub, *o, "calib", "Calibration data, of --error-of outputs");
  sub->callback([o, &common, &action] { action = [o, &common] { return run_verb(*o, common); }; });
}

}  // namespace lapidary::cli
