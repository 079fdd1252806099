#pragma once

#include <cstdint>

namespace lapidary::kernels {

/// What a tile multiplies: rows of inputs by 16 columns of weights, K in quads of 4 bytes.
struct SatTile {
  const uint8_t* x = nullptr;  ///< [rows][4 * quads]
  const int8_t* w = nullptr;   ///< [quads][16][4]
  int64_t rows = 0;            ///< 1 to kSatRows
  int64_t quads = 0;
  int32_t* acc = nullptr;  ///< [rows][16]: sums of the saturated pairs, wrapping
};
constexpr int64_t kSatRows = 4, kSatColumns = 16;

/// Returns how many pairs saturated.
using SatTileFunction = int64_t (*)(const SatTile&);

}  // namespace lapidary::kernels
