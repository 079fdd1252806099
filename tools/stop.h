#pragma once

namespace lapidary::cli {

/// Whether SIGINT or SIGTERM came. The first call takes both over, until one comes: a second one
/// ends the process at once.
bool asked_to_stop();

/// What a process that a signal ended returns: 128 and the signal's number (130, 143).
int stop_code();

}  // namespace lapidary::cli
