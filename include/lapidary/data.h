#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lapidary/export.h"
#include "lapidary/tensor.h"

namespace lapidary {

/// One file or folder, or several.
struct PathList : std::vector<std::string> {
  using std::vector<std::string>::vector;
  PathList(const char* path) : PathList{std::string(path)} {}
  PathList(std::string path) : std::vector<std::string>{std::move(path)} {}
};

/// Which columns of a CSV file say what. Empty names: found by `label_column`'s and `file`'s rules.
struct CsvColumns {
  std::string file;
  std::string label;
  /// Column -> text: only rows in which all of them agree are samples ({"split", "val"}).
  std::map<std::string, std::string> where;
};

/// Scale to fit `size` with the aspect kept, then pad: height = floor(h * r), width = floor(w * r)
/// with r the largest ratio that fits.
struct Letterbox {
  std::vector<int64_t> size;  ///< [H, W], or one number for both
  int64_t fill = 114;
  std::string align = "top_left";  ///< or "centre" (the odd pixel goes below and right)
};

/// One step of training-time augmentation, in the order of the list: "flip" (probability),
/// "shift_crop" (pixels; as torchvision's RandomCrop with that padding: stored pixels of 0),
/// "cutout" (side in pixels; the square is 0, the mean after normalisation), "mixup" (alpha of the
/// Beta distribution; last).
struct Augment {
  std::string kind;
  double amount = 0;
};

/// A data record, as under `calib` and `eval` of a recipe: the keys are the fields. Empty means
/// absent.
struct DatasetSpec {
  std::string kind;  ///< images | cifar10 | idx | npy | raw | tokens
  PathList path;
  std::string labels;        ///< file, or "folders" for images in one folder per class
  std::string label_column;  ///< default: "label", or the only numeric column
  CsvColumns columns;
  std::string input;                ///< graph input; empty: the only one
  std::vector<DatasetSpec> inputs;  ///< several inputs: one record each, `input` set in each
  std::vector<int64_t> shape;       ///< raw: one sample
  std::string dtype;                ///< raw: u8, i8, ..., f32 or uint8, int8, ..., float32
  std::string layout;               ///< how samples are stored: nchw | nhwc
  std::string channels;             ///< rgb | bgr | gray
  std::vector<int64_t> resize;      ///< {256}: shorter side; {H, W}
  std::string filter = "bilinear";  ///< bilinear | bicubic | nearest, as PIL's
  std::vector<int64_t> crop;        ///< {224} or {H, W}: the centre
  int64_t crop_fill = 0;            ///< where the picture is smaller than the crop
  std::optional<Letterbox> letterbox;
  std::optional<double> scale;
  std::vector<double> mean;  ///< one value, or one for each channel
  std::vector<double> std;
  std::vector<Augment> augment;
  std::string nonfinite = "error";  ///< a sample with NaN or infinity: error | skip
  int64_t window = 0;               ///< tokens: longest input; 0: sequences stay whole
  int64_t limit = 0;                ///< how many samples; 0: all
  int64_t skip = 0;                 ///< samples left out before them
  bool shuffle = false;             ///< order by seed, before `skip` and `limit`
  int64_t batch = 0;  ///< samples in one inference where the model leaves that open; 0: as suits
};

enum class Layout { kNchw, kNhwc };

/// What a graph input asks of its samples.
struct InputRequest {
  /// kUndefined: float32 for pictures (images, cifar10, idx, and raw or npy of uint8 with `layout`)
  /// and where `scale`, `mean` or `std` is given, otherwise the stored type. Numbers convert to
  /// float32, float16 and bfloat16; anything else that differs throws Error{kInvalid}.
  DType dtype = DType::kUndefined;
  Layout layout = Layout::kNchw;
  Shape shape;  ///< of one sample, -1: any; empty: unchecked
};

struct OpenOptions {
  uint64_t seed = 0;
  std::string base_dir;  ///< relative paths start here; empty: the working directory
  /// By input name; the entry "" is used by inputs that have none of their own.
  std::map<std::string, InputRequest> requests;
  int64_t num_classes =
      0;  ///< labels outside 0..num_classes-1 make a sample unusable; 0: unchecked
};

/// One sample; tensors have no batch axis. The input name "" stands for the graph's only input.
struct Sample {
  int64_t index = 0;  ///< in the dataset
  std::map<std::string, Tensor> inputs;
  int64_t label = -1;  ///< -1: none
  Tensor targets;      ///< tokens: int64 [T], the token that follows each input token
  std::string source;  ///< "n01/cat.jpg", "data_batch_1.bin[17]"
};

/// Samples stacked on a new first axis, in the order of the dataset. Samples that cannot be used
/// are missing: `indices` says which are there.
struct Batch {
  std::map<std::string, Tensor> inputs;  ///< [N, ...]
  std::vector<int64_t> indices, labels;
  Tensor targets;  ///< tokens: int64 [N, T]
  std::vector<std::string> sources;
  int64_t next = 0;  ///< in the dataset: where the batch after this one begins
  /// Of training batches with mixup: the label of the sample that was mixed in, and the share of
  /// the first one, x = share x1 + (1 - share) x2.
  std::vector<int64_t> labels2;
  std::vector<float> shares;

  int64_t size() const { return static_cast<int64_t>(indices.size()); }
};

/// What a training batch is made of. `indices` are those of the whole step; this process wants
/// `count` of them from `first` on.
struct TrainingRequest {
  std::span<const int64_t> indices;
  int64_t first = 0, count = 0;
  uint64_t seed = 0;
  int64_t epoch = 0;
};

struct SkippedSample {
  int64_t index = 0;
  std::string source, reason;
};

/// Name, type and shape (no batch axis) of what a sample brings.
struct DatasetInput {
  std::string name;
  DType dtype = DType::kUndefined;
  Shape shape;
};

/// Samples that are read when asked for, from any number of threads. Copies share the files.
///
/// A picture that cannot be read, and a label that is missing or out of range, make a sample
/// unusable: it is skipped and listed, and Error is thrown once more than 1 % of all samples are
/// (with the first five, and the code of the first). A sample of another shape or type than the
/// rest, or with a value that is not finite, throws Error{kInvalid} that names file and index.
class LAPIDARY_API Dataset {
 public:
  class Impl;
  explicit Dataset(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  /// Samples after shuffle, skip and limit, unusable ones included.
  int64_t size() const;
  const DatasetSpec& spec() const;
  /// Throws the sample's own Error where it is unusable, and counts nothing.
  Sample get(int64_t index) const;
  /// Samples [begin, min(begin + count, size())), decoded on `thread_count()` threads; the result
  /// does not depend on their number. Empty where none of them is usable. Tokens: ends before a
  /// sample of another length than the first (see Batch::next).
  Batch batch(int64_t begin, int64_t count) const;
  /// Samples as the record's `augment` changes them, in the order asked for, unusable ones left
  /// out. Every draw depends on (seed, epoch, sample) alone, and on the step's indices which sample
  /// is mixed in: the result is the same on any number of threads and however a step is cut into
  /// parts. Throws Error{kUsage} where samples are none that can be augmented so.
  Batch training_batch(const TrainingRequest& request) const;
  /// What the first usable sample brings.
  std::vector<DatasetInput> inputs() const;
  /// Classes that the data themselves name (CIFAR-10, folders); 0: unknown.
  int64_t num_classes() const;
  /// The record brings labels (some may be missing).
  bool labelled() const;
  /// What `batch` left out so far, by index.
  std::vector<SkippedSample> skipped() const;
  /// Sentences for the log and the report: fewer samples than asked, EXIF orientation ignored, ...
  std::vector<std::string> warnings() const;
  /// The files that the samples come from, label files included, each once.
  std::vector<std::string> files() const;
  /// SHA-256 over the record (without its paths), the seed where it matters, and name, size and
  /// SHA-256 of every file that the samples come from: equal digests, equal samples. Read on first
  /// use.
  std::string manifest_sha256() const;
  /// The same over the whole data, before `skip` and `limit`: datasets of equal digests are parts
  /// of the same data, sample i of each being sample `first_index() + i` of them. Beyond 1 GiB,
  /// files are told apart by name and size alone.
  std::string whole_sha256() const;
  int64_t first_index() const;

 private:
  std::shared_ptr<const Impl> impl_;
};

/// Throws Error{kUsage} where the record contradicts itself or names no samples, Error{kIo} where a
/// file cannot be opened, Error{kInvalid} where one breaks its format.
LAPIDARY_API Dataset open_dataset(const DatasetSpec& spec, const OpenOptions& options = {});

/// Samples that are in memory already: axis 0 of every tensor counts them; `labels` is empty or has
/// one each. Nothing is converted.
LAPIDARY_API Dataset dataset_of(std::map<std::string, Tensor> inputs,
                                std::vector<int64_t> labels = {});

/// Smallest and largest value of a numeric tensor; {0, 0} where it is empty.
LAPIDARY_API std::pair<double, double> value_range(const Tensor& tensor);

}  // namespace lapidary
