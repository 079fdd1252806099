#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lapidary {

/// Bytes of one zlib stream (RFC 1950, level 9) of all the parts, one after the other.
int64_t deflated_size(std::span<const std::string_view> parts);

}  // namespace lapidary
