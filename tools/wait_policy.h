#pragma once

namespace lapidary::cli {

/// Starts the program again with a short GOMP_SPINCOUNT, unless the environment says how OpenMP's
/// threads wait. libgomp reads that before main, and by default spins for milliseconds: where other
/// processes want the processors, a thread that spins keeps the one it waits for from running.
void wait_briefly(char** argv);

}  // namespace lapidary::cli
