#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <set>

#include "src/base/fail.h"
#include "src/base/file.h"
#include "src/data/csv.h"
#include "src/data/source.h"

namespace lapidary {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostFileBytes = int64_t{1} << 30;

bool looks_like_picture(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return ending == ".jpg" || ending == ".jpeg" || ending == ".png";
}

/// Names in a folder in byte order, so that every machine sees the same order.
std::vector<std::string> sorted_names(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> out;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    out.push_back(it->path().filename().string());
  if (error) fail(ErrorCode::kIo, "{}: cannot list: {}", folder, error.message());
  std::sort(out.begin(), out.end());
  return out;
}

/// Pictures below a folder, links followed; a folder that was seen before (a loop) is not entered
/// again.
class FolderWalk {
 public:
  std::vector<std::string> pictures(const std::string& folder) {
    walk(folder, "");
    return std::move(found_);
  }

 private:
  void walk(const std::string& folder, const std::string& prefix) {
    struct stat info;
    if (::stat(folder.c_str(), &info) != 0 || !seen_.emplace(info.st_dev, info.st_ino).second)
      return;
    for (const std::string& name : sorted_names(folder)) {
      const std::string path = (fs::path(folder) / name).string();
      std::error_code error;
      if (fs::is_directory(path, error)) {
        walk(path, prefix + name + "/");
      } else if (looks_like_picture(name)) {
        found_.push_back(prefix + name);  // a dangling link too: it shall be reported, not vanish
      }
    }
  }

  std::set<std::pair<dev_t, ino_t>> seen_;
  std::vector<std::string> found_;
};

struct Picture {
  std::string path;  // to open
  std::string name;  // to print: relative to the folder
  int64_t label = -1;
};

class ImageSource : public Source {
 public:
  explicit ImageSource(const DatasetSpec& spec) : channels_(spec.channels == "gray" ? 1 : 3) {
    if (spec.labels == "folders") {
      for (const std::string& path : spec.path) add_class_folders(path);
    } else if (!spec.labels.empty()) {
      with_context([&] { return spec.labels; }, [&] { add_listed(spec); });
    } else {
      for (const std::string& path : spec.path) add_plain(path);
    }
  }

  int64_t size() const override { return static_cast<int64_t>(pictures_.size()); }
  std::string name(int64_t index) const override { return at(index).name; }
  bool pictures() const override { return true; }
  bool may_skip() const override { return true; }
  int64_t num_classes() const override { return static_cast<int64_t>(classes_.size()); }
  bool labelled() const override {
    return std::any_of(pictures_.begin(), pictures_.end(),
                       [](const Picture& picture) { return picture.label != -1; });
  }

  Stored read(int64_t index) const override {
    const Picture& picture = at(index);
    DecodeNotes notes;
    Stored out;
    out.image = decode_image(read_file(picture.path, kMostFileBytes), channels_, &notes);
    out.label = picture.label;
    if (notes.rotated || notes.damaged) {
      const std::lock_guard lock(mutex_);
      if (notes.rotated) rotated_.insert(index);
      if (notes.damaged) damaged_.insert(index);
    }
    return out;
  }

  std::vector<std::string> files(std::span<const int64_t> indices) const override {
    std::vector<std::string> out;
    for (int64_t index : indices) out.push_back(at(index).path);
    if (!label_file_.empty()) out.push_back(label_file_);
    return out;
  }

  std::vector<std::string> warnings() const override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> out = warnings_;
    auto note = [&](const std::set<int64_t>& which, const char* text) {
      if (!which.empty())
        out.push_back(
            fmt::format("{} pictures (first: {}) {}", which.size(), at(*which.begin()).name, text));
    };
    note(rotated_, "ask for a rotation (EXIF), which is ignored");
    note(damaged_, "hold damaged data and were decoded as far as they go");
    return out;
  }

 private:
  const Picture& at(int64_t index) const { return pictures_[static_cast<size_t>(index)]; }

  static void require_folder(const std::string& path) {
    std::error_code error;
    if (!fs::is_directory(path, error))
      fail(ErrorCode::kIo, "{}: {}", path,
           error ? "cannot open: " + error.message() : "is not a folder");
  }

  void add_plain(const std::string& path) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      pictures_.push_back({path, file_name(path)});
      return;
    }
    for (const std::string& name : FolderWalk().pictures(path))
      pictures_.push_back({(fs::path(path) / name).string(), name});
  }

  /// Folder names in byte order are the classes 0, 1, 2, ...
  void add_class_folders(const std::string& path) {
    require_folder(path);
    std::vector<std::string> classes;
    for (const std::string& name : sorted_names(path)) {
      std::error_code error;
      if (fs::is_directory(fs::path(path) / name, error)) classes.push_back(name);
    }
    if (classes.empty())
      fail_invalid("{}: holds no folders; 'labels: folders' wants one for each class", path);
    if (!classes_.empty() && classes != classes_)
      fail_invalid("{}: its folders differ from those of the first path", path);
    classes_ = classes;
    for (size_t c = 0; c < classes.size(); ++c) {
      const std::string folder = (fs::path(path) / classes[c]).string();
      for (const std::string& name : FolderWalk().pictures(folder))
        pictures_.push_back(
            {(fs::path(folder) / name).string(), classes[c] + "/" + name, static_cast<int64_t>(c)});
    }
  }

  /// Files of a CSV are relative to `path`, or to the CSV's own folder.
  void add_listed(const DatasetSpec& spec) {
    if (spec.path.size() > 1) fail_usage("a CSV of labels wants one folder as 'path'");
    label_file_ = spec.labels;
    const fs::path folder =
        spec.path.empty() ? fs::path(spec.labels).parent_path() : fs::path(spec.path[0]);
    if (!spec.path.empty()) require_folder(spec.path[0]);
    const CsvTable table = parse_csv(read_file(spec.labels, kMostFileBytes));
    std::set<std::string> listed;
    for (const LabelRow& row : label_rows(table, spec.columns, spec.label_column, true)) {
      pictures_.push_back({(folder / row.file).string(), row.file, row.label});
      listed.insert(row.file);
    }
    if (spec.path.empty() || !spec.columns.where.empty()) return;
    std::vector<std::string> unlisted;
    for (std::string& name : FolderWalk().pictures(spec.path[0]))
      if (!listed.contains(name)) unlisted.push_back(std::move(name));
    if (!unlisted.empty())
      warnings_.push_back(fmt::format("{} pictures (first: {}) have no row in {} and are left out",
                                      unlisted.size(), unlisted[0], file_name(spec.labels)));
  }

  int64_t channels_;
  std::vector<Picture> pictures_;
  std::vector<std::string> classes_;
  std::string label_file_;
  std::vector<std::string> warnings_;
  mutable std::mutex mutex_;
  mutable std::set<int64_t> rotated_, damaged_;
};

}  // namespace

std::unique_ptr<Source> open_images(const DatasetSpec& spec) {
  return std::make_unique<ImageSource>(spec);
}

}  // namespace lapidary
