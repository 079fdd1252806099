#include "tools/verb.h"

namespace lapidary::cli {

void add_optimize(CLI::App& app, Common& common, Action& action) {
  struct Options : Verb {
    std::vector<std::string> passes;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "optimize", "Runs graph passes only", common);
  add_verb_options(*sub, *o);
  sub->add_option("--passes", o->passes, "Which (default: all; list passes)")->delimiter(',');
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      if (!o->passes.empty()) o->params["passes"] = o->passes;
      return run_verb("optimize", *o, common);
    };
  });
}

}  // namespace lapidary::cli
