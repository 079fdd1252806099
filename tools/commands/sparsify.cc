#include "tools/verb.h"

namespace lapidary::cli {

void add_sparsify(CLI::App& app, Common& common, Action& action) {
  auto o = std::make_shared<Verb>();
  CLI::App* sub = add_verb(app, "sparsify", "Makes weights zero; nothing is removed", common, *o);
  add_data(*sub, *o, "calib", "Calibration data, of --method sparsegpt");
  sub->callback([o, &common, &action] { action = [o, &common] { return run_verb(*o, common); }; });
}

}  // namespace lapidary::cli
