#pragma once

#include "tools/verb.h"

namespace lapidary::cli {

/// The command of a step that trains: add_verb, with --train, --valid, --calib and --resume.
CLI::App* add_training_verb(CLI::App& app, const char* step, const char* help, Common& common,
                            std::shared_ptr<Verb> verb, Action& action);

}  // namespace lapidary::cli
