#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/data.h"

namespace lapidary {

/// RFC 4180 with a header; LF or CRLF, UTF-8 with or without a byte order mark; empty lines are
/// skipped.
struct CsvTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  ///< as long as the header each
  std::vector<int64_t> lines;                  ///< of each row in the file, 1-based
};

/// Throws Error{kInvalid} where a row has another number of cells than the header or a quote stays
/// open.
CsvTable parse_csv(std::string_view text);

/// A label that should be there and is not a non-negative integer.
inline constexpr int64_t kNoLabel = -2;

/// One sample that a label file names.
struct LabelRow {
  std::string file;   ///< empty where the file has no such column
  int64_t index = 0;  ///< of the sample, from the column `index` or by counting rows
  int64_t label = kNoLabel;
};

/// The rows of a CSV label file that pass the filter of `columns`. Throws Error{kUsage} where a
/// column that the record names is not there, Error{kInvalid} where the label's column cannot be
/// told.
std::vector<LabelRow> label_rows(const CsvTable& table, const CsvColumns& columns,
                                 const std::string& label_column, bool need_files);

}  // namespace lapidary
