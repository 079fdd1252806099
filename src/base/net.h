#pragma once

#include <string>

#include "lapidary/export.h"

namespace lapidary {

/// The numeric address of the interface by which this machine reaches `host` (a name or an
/// address), as its routes have it; nothing is sent. "" where there is no way.
LAPIDARY_API std::string own_address_towards(const std::string& host, int port);

}  // namespace lapidary
