#include "src/data/spec.h"

#include <algorithm>
#include <cmath>

#include "src/base/text.h"
#include "src/data/augment.h"

namespace lapidary {

namespace {

const FieldTable& letterbox_fields() {
  static const FieldTable table{
      "letterbox",
      {field("size", &Letterbox::size, "Height and width, or one number for both").range(1, 65535),
       field("fill", &Letterbox::fill, "Value of the border").range(0, 255),
       field("align", &Letterbox::align, "Where the picture lies").one_of({"top_left", "centre"})}};
  return table;
}

}  // namespace

template <>
struct FieldCodec<PathList> {
  static std::string type() { return "list of string"; }
  static PathList parse(const Setting& s, const Field& f) {
    PathList out;
    for (auto& path : FieldCodec<std::vector<std::string>>::parse(s, f)) out.push_back(path);
    return out;
  }
  static Setting format(const PathList& v) {
    return v.size() == 1 ? FieldCodec<std::string>::format(v[0])
                         : FieldCodec<std::vector<std::string>>::format(v);
  }
};

template <>
struct FieldCodec<Letterbox> {
  static std::string type() { return "record"; }
  static Letterbox parse(const Setting& s, const Field&) {
    Letterbox out;
    bind(letterbox_fields(), s, &out);
    return out;
  }
  static Setting format(const Letterbox& v) { return unbind(letterbox_fields(), &v); }
};

/// {file: NAME, label: NAME} and, for every other key, a column and the text it must hold.
template <>
struct FieldCodec<CsvColumns> {
  static std::string type() { return "map of string"; }
  static CsvColumns parse(const Setting& s, const Field& f) {
    if (s.kind != Setting::Kind::kMap)
      fail_setting(s, "'{}' wants a map, such as {{file: name, label: class, split: val}}", f.name);
    CsvColumns out;
    for (const auto& [key, value] : s.entries) {
      const std::string text = parse_text(value, f);
      if (key == "file") {
        out.file = text;
      } else if (key == "label") {
        out.label = text;
      } else if (!out.where.emplace(key, text).second) {
        fail_setting(value, "key '{}' stands twice", key);
      }
    }
    return out;
  }
  static Setting format(const CsvColumns& v) {
    std::vector<std::pair<std::string, Setting>> entries;
    auto add = [&](const std::string& key, const std::string& text) {
      if (!text.empty()) entries.emplace_back(key, FieldCodec<std::string>::format(text));
    };
    add("file", v.file);
    add("label", v.label);
    for (const auto& [column, text] : v.where) add(column, text);
    return Setting::map(std::move(entries));
  }
};

/// {flip: 0.5}
template <>
struct FieldCodec<Augment> {
  static std::string type() { return "augmentation"; }
  static Augment parse(const Setting& s, const Field& f) {
    if (s.kind != Setting::Kind::kMap || s.entries.size() != 1)
      fail_setting(s, "'{}' wants a list of maps of one key, such as [{{flip: 0.5}}]", f.name);
    const auto& [kind, amount] = s.entries[0];
    std::vector<std::string> names;
    for (const AugmentKind& known : augment_kinds()) {
      if (known.name == kind)
        return {kind, parse_number(amount, {.name = kind, .min = 0, .max = known.most})};
      names.emplace_back(known.name);
    }
    fail_setting(amount, "unknown augmentation '{}'{}", kind, did_you_mean(kind, names));
  }
  static Setting format(const Augment& v) {
    return Setting::map({{v.kind, FieldCodec<double>::format(v.amount)}});
  }
};

/// A map: input name -> record.
template <>
struct FieldCodec<std::vector<DatasetSpec>> {
  static std::string type() { return "map of record"; }
  static std::vector<DatasetSpec> parse(const Setting& s, const Field& f) {
    if (s.kind != Setting::Kind::kMap)
      fail_setting(s, "'{}' wants a map: graph input to data record", f.name);
    std::vector<DatasetSpec> out;
    for (const auto& [name, record] : s.entries) {
      DatasetSpec one;
      bind(dataset_fields(), record, &one);
      if (!one.input.empty() && one.input != name)
        fail_setting(record, "record '{}' says input '{}'", name, one.input);
      one.input = name;
      out.push_back(std::move(one));
    }
    return out;
  }
  static Setting format(const std::vector<DatasetSpec>& v) {
    std::vector<std::pair<std::string, Setting>> entries;
    for (const DatasetSpec& one : v)
      entries.emplace_back(one.input, unbind(dataset_fields(), &one));
    return Setting::map(std::move(entries));
  }
};

DatasetSpec FieldCodec<DatasetSpec>::parse(const Setting& s, const Field&) {
  DatasetSpec out;
  bind(dataset_fields(), s, &out);
  with_context([&] { return s.where(); }, [&] { check_dataset(out); });
  return out;
}

namespace {

bool is_empty(const Setting& s) {
  return (s.kind == Setting::Kind::kScalar && s.text.empty()) ||
         (s.kind == Setting::Kind::kList && s.items.empty()) ||
         (s.kind == Setting::Kind::kMap && s.entries.empty());
}

/// null <-> the empty value, so that a written record reads again.
Field nullable(Field f) {
  f.set = [set = f.set](void* object, const Setting& s, const Field& self) {
    if (s.kind != Setting::Kind::kNull) set(object, s, self);
  };
  f.get = [get = f.get](const void* object) {
    Setting s = get(object);
    return is_empty(s) ? Setting{} : s;
  };
  return f;
}

FieldTable make_dataset_fields() {
  using S = DatasetSpec;
  constexpr double kMost = 0x1p53;
  FieldTable table{
      "data",
      {field("kind", &S::kind, "Format of the samples")
           .one_of({"images", "cifar10", "idx", "npy", "raw", "tokens"}),
       field("path", &S::path, "Folder, file or list of files; ~ and ${VAR} expand"),
       field("labels", &S::labels,
             "images: CSV with a header, or `folders` (one per class); others: idx, npy or CSV"),
       field("label_column", &S::label_column,
             "CSV column of the label (default: label, or the only numeric one)"),
       field("columns", &S::columns,
             "CSV columns: `file`, `label`, and any other as a filter (split: val)"),
       field("input", &S::input, "Graph input (default: the only one)"),
       field("inputs", &S::inputs, "Several graph inputs: name to record"),
       field("shape", &S::shape, "raw: shape of one sample").range(1, 0x1p31),
       field("dtype", &S::dtype, "raw: type of the elements, little-endian"),
       field("layout", &S::layout, "How samples are stored").one_of({"nchw", "nhwc"}),
       field("channels", &S::channels, "Order of the colours").one_of({"rgb", "bgr", "gray"}),
       field("resize", &S::resize, "Shorter side, or height and width").range(1, 65535),
       field("filter", &S::filter, "Of resize and letterbox, antialiased as PIL's")
           .one_of({"bilinear", "bicubic", "nearest"}),
       field("crop", &S::crop, "The centre: side, or height and width").range(1, 65535),
       field("crop_fill", &S::crop_fill, "Where the picture is smaller than the crop")
           .range(0, 255),
       field("letterbox", &S::letterbox, "Scale to fit and pad"),
       field("scale", &S::scale, "x * scale, first"),
       field("mean", &S::mean, "then x - mean: one value, or one for each channel"),
       field("std", &S::std, "then x / std"),
       field("augment", &S::augment, "Training only, by seed, epoch and sample"),
       field("nonfinite", &S::nonfinite, "A sample with NaN or infinity").one_of({"error", "skip"}),
       field("window", &S::window, "tokens: longest input; 0: sequences stay whole")
           .range(0, 1 << 24),
       field("limit", &S::limit, "How many samples; 0: all").range(0, kMost),
       field("skip", &S::skip, "Samples left out before them").range(0, kMost),
       field("shuffle", &S::shuffle, "Order by seed, before skip and limit"),
       field("batch", &S::batch, "Samples at a time; 0: as suits the model").range(0, 65536)}};
  for (Field& f : table.fields) f = nullable(std::move(f));
  return table;
}

bool any_of(const std::string& value, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return value == name; });
}

void check_choices(const DatasetSpec& spec) {
  for (const Field& f : dataset_fields().fields) {
    if (f.choices.empty()) continue;
    const Setting value = f.get(&spec);
    if (value.kind == Setting::Kind::kScalar) parse_text(value, f);
  }
}

void check_size(const char* name, const std::vector<int64_t>& size) {
  if (size.size() > 2) fail_usage("'{}' wants one number or [H, W], found {}", name, size);
  for (int64_t side : size)
    if (side < 1 || side > 65535) fail_usage("'{}': {} is outside 1..65535", name, side);
}

void check_geometry(const DatasetSpec& spec) {
  check_size("resize", spec.resize);
  check_size("crop", spec.crop);
  const bool geometry = !spec.resize.empty() || !spec.crop.empty() || spec.letterbox;
  if (geometry && spec.kind == "tokens") fail_usage("tokens cannot be resized or cropped");
  if (!spec.letterbox) return;
  check_size("letterbox.size", spec.letterbox->size);
  if (spec.letterbox->size.empty()) fail_usage("'letterbox' needs the key 'size'");
  if (!any_of(spec.letterbox->align, {"top_left", "centre"}))
    fail_usage("letterbox.align is '{}'; it is top_left or centre", spec.letterbox->align);
  if (!spec.resize.empty() || !spec.crop.empty())
    fail_usage("'letterbox' resizes and pads; 'resize' and 'crop' contradict it");
}

void check_values(const DatasetSpec& spec) {
  const bool normalised = spec.scale || !spec.mean.empty() || !spec.std.empty();
  if (normalised && spec.kind == "tokens") fail_usage("tokens have no scale, mean or std");
  if (spec.scale && (!std::isfinite(*spec.scale) || *spec.scale == 0))
    fail_usage("'scale' is {}; it must be finite and not 0", *spec.scale);
  for (double mean : spec.mean)
    if (!std::isfinite(mean)) fail_usage("'mean' holds {}", mean);
  for (double deviation : spec.std)
    if (!std::isfinite(deviation) || deviation == 0)
      fail_usage("'std' holds {}; it must be finite and not 0", deviation);
  if (spec.mean.size() > 1 && spec.std.size() > 1 && spec.mean.size() != spec.std.size())
    fail_usage("'mean' has {} values, 'std' has {}", spec.mean.size(), spec.std.size());
}

void check_keys_of_kind(const DatasetSpec& spec) {
  const bool raw = spec.kind == "raw";
  if (raw && (spec.shape.empty() || spec.dtype.empty()))
    fail_usage("kind raw needs 'shape' (of one sample) and 'dtype'");
  if (!raw && (!spec.shape.empty() || !spec.dtype.empty()))
    fail_usage("'shape' and 'dtype' are for kind raw; {} files say them", spec.kind);
  for (int64_t side : spec.shape)
    if (side < 1) fail_usage("'shape' holds {}", side);
  if (!spec.layout.empty() && !any_of(spec.kind, {"raw", "npy"}))
    fail_usage("'layout' is for kinds raw and npy; that of {} is known", spec.kind);
  if (spec.labels == "folders" && spec.kind != "images")
    fail_usage("'labels: folders' is for kind images");
  if (!spec.labels.empty() && any_of(spec.kind, {"cifar10", "tokens"}))
    fail_usage("'labels' is not for kind {}: its files hold them", spec.kind);
  if (spec.window != 0 && spec.kind != "tokens") fail_usage("'window' is for kind tokens");
  const bool columns = !spec.columns.file.empty() || !spec.columns.label.empty() ||
                       !spec.columns.where.empty() || !spec.label_column.empty();
  if (columns && (spec.labels.empty() || spec.labels == "folders"))
    fail_usage("'columns' and 'label_column' need 'labels: FILE.csv'");
  if (!spec.columns.label.empty() && !spec.label_column.empty() &&
      spec.columns.label != spec.label_column)
    fail_usage("'label_column' is '{}', 'columns' says '{}'", spec.label_column,
               spec.columns.label);
}

void check_inputs(const DatasetSpec& spec) {
  if (!spec.kind.empty() || !spec.path.empty() || !spec.labels.empty())
    fail_usage("'inputs' holds the records; 'kind', 'path' and 'labels' belong into them");
  std::vector<std::string> names;
  for (const DatasetSpec& one : spec.inputs) {
    if (one.input.empty()) fail_usage("a record of 'inputs' names no graph input");
    if (std::find(names.begin(), names.end(), one.input) != names.end())
      fail_usage("'inputs' names '{}' twice", one.input);
    if (!one.inputs.empty()) fail_usage("record '{}' has 'inputs' of its own", one.input);
    if (mixup_alpha(one.augment) != mixup_alpha(spec.inputs[0].augment))
      fail_usage("records '{}' and '{}' ask for different 'mixup'; a sample is mixed as a whole",
                 spec.inputs[0].input, one.input);
    if (one.limit != 0 || one.skip != 0 || one.shuffle)
      fail_usage("record '{}': 'limit', 'skip' and 'shuffle' stand beside 'inputs'", one.input);
    with_context([&] { return "input '" + one.input + "'"; }, [&] { check_dataset(one); });
    names.push_back(one.input);
  }
}

}  // namespace

const FieldTable& dataset_fields() {
  static const FieldTable table = make_dataset_fields();
  return table;
}

void check_dataset(const DatasetSpec& spec) {
  if (spec.limit < 0 || spec.skip < 0) fail_usage("'limit' and 'skip' cannot be negative");
  if (spec.batch < 0) fail_usage("'batch' is {}; it cannot be negative", spec.batch);
  if (!spec.inputs.empty()) return check_inputs(spec);
  if (spec.kind.empty())
    fail_usage("a data record needs 'kind': images, cifar10, idx, npy, raw or tokens");
  check_choices(spec);
  if (spec.path.empty() && !(spec.kind == "images" && !spec.labels.empty()))
    fail_usage("a data record needs 'path'");
  for (const std::string& path : spec.path)
    if (path.empty()) fail_usage("'path' is empty");
  check_keys_of_kind(spec);
  check_geometry(spec);
  check_values(spec);
  check_augment(spec.augment);
}

}  // namespace lapidary
