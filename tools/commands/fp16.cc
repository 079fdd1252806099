#include "tools/verb.h"

namespace lapidary::cli {

void add_fp16(CLI::App& app, Common& common, Action& action) {
  struct Options : Verb {
    bool weights_only = false;
    std::vector<std::string> skip;
  };
  auto o = std::make_shared<Options>();
  CLI::App* sub = add_command(app, "fp16", "Converts a model to FP16", common);
  add_verb_options(*sub, *o);
  sub->add_flag("--weights-only", o->weights_only, "Half the file, float32 arithmetic");
  sub->add_option("--skip", o->skip, "Nodes that stay float32: name, glob, re:REGEX, op:TYPE");
  sub->callback([o, &common, &action] {
    action = [o, &common] {
      if (o->weights_only) o->params["weights_only"] = true;
      if (!o->skip.empty()) o->params["skip"] = o->skip;
      return run_verb("fp16", *o, common);
    };
  });
}

}  // namespace lapidary::cli
