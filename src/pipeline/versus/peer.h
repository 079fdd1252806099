#pragma once

namespace lapidary {

/// The program peer.py; CMake makes the definition of the file (peer.cc.in).
extern const char* const kPeerSource;

}  // namespace lapidary
