#pragma once

#include <string>

#include "lapidary/data.h"
#include "src/base/params.h"

namespace lapidary {

/// The keys of a data record, with defaults, ranges and help. Fields that are empty read and write
/// as null.
const FieldTable& dataset_fields();

/// Throws Error{kUsage} where keys are missing, out of range or contradict each other.
void check_dataset(const DatasetSpec& spec);

// Lets a params struct of another box hold a data record: field("calib", &Data::calib, "...").
struct DatasetRecord {
  static const FieldTable& fields() { return dataset_fields(); }
};
template <>
struct RecordOf<DatasetSpec> {
  using type = DatasetRecord;
};
template <>
struct FieldCodec<DatasetSpec> {
  static std::string type() { return "record"; }
  static DatasetSpec parse(const Setting& s, const Field&);
  static Setting format(const DatasetSpec& v) { return unbind(dataset_fields(), &v); }
};

}  // namespace lapidary
