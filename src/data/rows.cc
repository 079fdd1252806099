#include "src/data/rows.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include "src/base/checked.h"
#include "src/data/csv.h"
#include "src/data/inflate.h"
#include "src/data/npy.h"
#include "src/data/source.h"

namespace lapidary {

namespace {

/// "u8" and "uint8".
DType raw_dtype(const std::string& name) {
  static constexpr std::array<std::pair<std::string_view, DType>, 12> kShort = {
      {{"u8", DType::kU8},
       {"i8", DType::kI8},
       {"u16", DType::kU16},
       {"i16", DType::kI16},
       {"u32", DType::kU32},
       {"i32", DType::kI32},
       {"u64", DType::kU64},
       {"i64", DType::kI64},
       {"f16", DType::kF16},
       {"f32", DType::kF32},
       {"f64", DType::kF64},
       {"bf16", DType::kBF16}}};
  for (const auto& [text, dtype] : kShort)
    if (name == text || name == dtype_name(dtype)) return dtype;
  fail_usage(
      "dtype '{}' of a raw file; it is one of u8, i8, u16, i16, u32, i32, u64, i64, f16, "
      "bf16, f32, f64",
      name);
}

class RawRows : public Rows {
 public:
  RawRows(const std::string& path, DType dtype, Shape shape)
      : file_(path), dtype_(dtype), shape_(std::move(shape)) {
    bytes_ = checked_mul(element_count(shape_), static_cast<int64_t>(dtype_size(dtype_)));
    if (file_.size_bytes() % bytes_ != 0)
      fail_invalid("{}: {} bytes are no whole number of {} samples of {} ({} bytes each)", path,
                   file_.size_bytes(), dtype_name(dtype_), shape_text(shape_), bytes_);
  }
  int64_t count() const override { return file_.size_bytes() / bytes_; }
  DType dtype() const override { return dtype_; }
  Shape row_shape() const override { return shape_; }
  Tensor row(int64_t index) const override {
    Tensor out(dtype_, shape_);
    file_.read_at(index * bytes_, out.mutable_raw(), static_cast<size_t>(bytes_));
    return out;
  }

 private:
  RandomAccessFile file_;
  DType dtype_;
  Shape shape_;
  int64_t bytes_ = 1;
};

class NpyFileRows : public Rows {
 public:
  explicit NpyFileRows(const std::string& path) : rows_(path) {}
  int64_t count() const override { return rows_.count(); }
  DType dtype() const override { return rows_.dtype(); }
  Shape row_shape() const override { return rows_.row_shape(); }
  Tensor row(int64_t index) const override { return rows_.row(index); }

 private:
  NpyRows rows_;
};

class MemoryRows : public Rows {
 public:
  explicit MemoryRows(Tensor tensor) : tensor_(std::move(tensor)) {
    if (tensor_.rank() == 0) fail_invalid("one number; expected a first axis that counts samples");
  }
  int64_t count() const override { return tensor_.dim(0); }
  DType dtype() const override { return tensor_.dtype(); }
  Shape row_shape() const override { return {tensor_.shape().begin() + 1, tensor_.shape().end()}; }
  Tensor row(int64_t index) const override { return tensor_row(tensor_, index); }

 private:
  Tensor tensor_;
};

Tensor array_of_archive(const std::string& path, const std::string& input) {
  const auto arrays = read_npz(path);
  if (const auto named = arrays.find(input); named != arrays.end()) return named->second;
  if (arrays.size() == 1) return arrays.begin()->second;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : arrays) names.push_back(name);
  fail_invalid("{}: {} arrays ({}); name one of them with 'input'", path, arrays.size(),
               fmt::join(names, ", "));
}

std::unique_ptr<Rows> open_one(const DatasetSpec& spec, const std::string& path) {
  if (spec.kind == "idx") return open_idx(path);
  if (spec.kind == "raw") return std::make_unique<RawRows>(path, raw_dtype(spec.dtype), spec.shape);
  if (path.ends_with(".npz"))
    return std::make_unique<MemoryRows>(array_of_archive(path, spec.input));
  return std::make_unique<NpyFileRows>(path);
}

std::vector<int64_t> integers_of(const std::string& path, const Tensor& tensor) {
  if (tensor.rank() != 1 || !is_int(tensor.dtype()))
    fail_invalid("{}: labels are {} {}; expected one axis of integers", path,
                 dtype_name(tensor.dtype()), shape_text(tensor.shape()));
  const Tensor wide = to_float32(tensor);  // class numbers are far below 2^24
  std::vector<int64_t> out;
  for (float value : wide.data<float>())
    out.push_back(value >= 0 ? static_cast<int64_t>(value) : kNoLabel);
  return out;
}

/// Labels in sample order from an array file, told by its first bytes; nothing for a CSV file.
std::optional<std::vector<int64_t>> array_labels(const std::string& path) {
  const RandomAccessFile file(path);
  std::string start(static_cast<size_t>(std::min<int64_t>(file.size_bytes(), 8)), '\0');
  file.read_at(0, start.data(), start.size());
  if (start.starts_with("\x93NUMPY")) return integers_of(path, read_npy(path));
  if (!is_gzip(start) && !is_idx(start)) return std::nullopt;
  const auto rows = open_idx(path);
  rows->prepare(rows->count());
  Tensor all(rows->dtype(), {rows->count()});
  if (!rows->row_shape().empty())
    fail_invalid("{}: labels have samples of shape {}; expected one number each", path,
                 shape_text(rows->row_shape()));
  auto* bytes = static_cast<char*>(all.mutable_raw());
  for (int64_t i = 0; i < rows->count(); ++i) {
    const Tensor row = rows->row(i);
    std::copy_n(static_cast<const char*>(row.raw()), row.size_bytes(),
                bytes + i * static_cast<int64_t>(row.size_bytes()));
  }
  return integers_of(path, all);
}

/// Files of equal rows one after another, and which of the rows are samples with which labels.
class RowSource : public Source {
 public:
  RowSource(std::vector<std::unique_ptr<Rows>> parts, std::vector<std::string> paths)
      : parts_(std::move(parts)), paths_(std::move(paths)) {
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (parts_[i]->dtype() != parts_[0]->dtype() ||
          parts_[i]->row_shape() != parts_[0]->row_shape())
        fail_invalid("{} holds {} {}, {} holds {} {}", paths_[0], dtype_name(parts_[0]->dtype()),
                     shape_text(parts_[0]->row_shape()), paths_[i], dtype_name(parts_[i]->dtype()),
                     shape_text(parts_[i]->row_shape()));
      starts_.push_back(count_);
      count_ += parts_[i]->count();
    }
    rows_.resize(static_cast<size_t>(count_));
    std::iota(rows_.begin(), rows_.end(), int64_t{0});
  }

  void set_labels(std::vector<int64_t> labels, const std::string& where) {
    if (static_cast<int64_t>(labels.size()) != count_)
      fail_invalid("{}: {} labels for {} samples", where, labels.size(), count_);
    labels_ = std::move(labels);
  }

  void read_labels(const DatasetSpec& spec) {
    label_file_ = spec.labels;
    if (auto labels = array_labels(spec.labels)) return set_labels(std::move(*labels), spec.labels);
    with_context([&] { return spec.labels; }, [&] { read_csv_labels(spec); });
  }

  int64_t size() const override { return static_cast<int64_t>(rows_.size()); }

  std::string name(int64_t index) const override {
    const auto [part, row] = locate(index);
    return fmt::format("{}[{}]", paths_[part].empty() ? "sample" : file_name(paths_[part]), row);
  }

  Stored read(int64_t index) const override {
    const auto [part, row] = locate(index);
    Stored out;
    out.tensor = parts_[part]->row(row);
    if (!labels_.empty()) out.label = labels_[static_cast<size_t>(index)];
    return out;
  }

  bool labelled() const override {
    return std::any_of(labels_.begin(), labels_.end(), [](int64_t label) { return label != -1; });
  }

  std::vector<std::string> files(std::span<const int64_t>) const override {
    std::vector<std::string> out = paths_;
    std::erase(out, "");
    if (!label_file_.empty()) out.push_back(label_file_);
    return out;
  }

  void prepare(std::span<const int64_t> indices) override {
    std::vector<int64_t> needed(parts_.size(), 0);
    for (int64_t index : indices) {
      const auto [part, row] = locate(index);
      needed[part] = std::max(needed[part], row + 1);
    }
    for (size_t i = 0; i < parts_.size(); ++i) parts_[i]->prepare(needed[i]);
  }

  /// idx, and raw or npy of a known layout.
  bool pictures() const override { return pictures_; }
  void set_pictures(bool known_layout) {
    const size_t rank = parts_[0]->row_shape().size();
    pictures_ = known_layout && parts_[0]->dtype() == DType::kU8 && (rank == 2 || rank == 3);
  }
  std::vector<std::string> warnings() const override { return warnings_; }

 private:
  void read_csv_labels(const DatasetSpec& spec) {
    const CsvTable table = parse_csv(read_file(spec.labels));
    const bool by_index =
        std::find(table.header.begin(), table.header.end(), "index") != table.header.end();
    if (!by_index && static_cast<int64_t>(table.rows.size()) != count_)
      fail_invalid("{} rows for {} samples, and no column 'index' that says which",
                   table.rows.size(), count_);
    const auto rows = label_rows(table, spec.columns, spec.label_column, false);
    rows_.clear();
    for (const LabelRow& row : rows) {
      if (row.index >= count_)
        fail_invalid("index {}; the samples are 0..{}", row.index, count_ - 1);
      rows_.push_back(row.index);
      labels_.push_back(row.label);
    }
    if (spec.columns.where.empty() && size() < count_)
      warnings_.push_back(fmt::format("{} has rows for {} of {} samples; the others are left out",
                                      file_name(spec.labels), size(), count_));
  }

  std::pair<size_t, int64_t> locate(int64_t index) const {
    const int64_t row = rows_[static_cast<size_t>(index)];
    const auto after = std::upper_bound(starts_.begin(), starts_.end(), row);
    const auto part = static_cast<size_t>(after - starts_.begin()) - 1;
    return {part, row - starts_[part]};
  }

  std::vector<std::unique_ptr<Rows>> parts_;
  std::vector<std::string> paths_;
  std::vector<int64_t> starts_, rows_, labels_;
  std::string label_file_;
  std::vector<std::string> warnings_;
  int64_t count_ = 0;
  bool pictures_ = false;
};

}  // namespace

std::unique_ptr<Source> open_rows(const DatasetSpec& spec) {
  std::vector<std::unique_ptr<Rows>> parts;
  for (const std::string& path : spec.path) parts.push_back(open_one(spec, path));
  auto source = std::make_unique<RowSource>(std::move(parts), spec.path);
  source->set_pictures(spec.kind == "idx" || !spec.layout.empty());
  if (!spec.labels.empty()) source->read_labels(spec);
  return source;
}

std::unique_ptr<Source> memory_source(Tensor rows, std::vector<int64_t> labels) {
  std::vector<std::unique_ptr<Rows>> parts;
  parts.push_back(std::make_unique<MemoryRows>(std::move(rows)));
  auto source = std::make_unique<RowSource>(std::move(parts), std::vector<std::string>{""});
  if (!labels.empty()) source->set_labels(std::move(labels), "dataset_of");
  return source;
}

}  // namespace lapidary
