#include "tools/training_verb.h"

#include "src/base/fail.h"

namespace lapidary::cli {

CLI::App* add_training_verb(CLI::App& app, const char* step, const char* help, Common& common,
                            std::shared_ptr<Verb> verb, Action& action) {
  CLI::App* sub = add_verb(app, step, help, common, *verb);
  add_data(*sub, *verb, "train", "Training data");
  add_data(*sub, *verb, "valid", "Data to measure on between epochs, instead of --eval");
  sub->add_flag("--resume", verb->resume, "Go on from OUT's checkpoint");
  sub->callback([verb, &common, &action] {
    action = [verb, &common] {
      if (!verb->data.contains("train")) fail_usage("give training data: --train DATA");
      return run_verb(*verb, common);
    };
  });
  return sub;
}

}  // namespace lapidary::cli
