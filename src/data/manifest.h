#pragma once

#include <string>
#include <vector>

#include "lapidary/data.h"

namespace lapidary {

/// SHA-256 of what samples are: the record's settings but its paths, the seed where that orders
/// them, the contents and names of `files`. `whole`: of all that the files hold, without the
/// settings that pick a part; files of more than 1 GB together by their sizes.
std::string data_digest(const DatasetSpec& spec, uint64_t seed,
                        const std::vector<std::string>& files, bool whole);

}  // namespace lapidary
