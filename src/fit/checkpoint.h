#pragma once

#include <map>
#include <optional>
#include <string>

#include "lapidary/log.h"
#include "lapidary/tensor.h"
#include "src/fit/safetensors.h"

namespace lapidary {

/// What a training run needs to go on.
struct Checkpoint {
  std::map<std::string, Tensor> tensors;
  std::string progress;  ///< JSON
};

/// A checkpoint as bytes, for other processes of the same program, and back.
std::string pack(const Checkpoint& checkpoint);
Checkpoint unpack(const std::string& bytes);

/// Whose checkpoint it is: one of others, or of another version of Lapidary, is refused. All but
/// `model` are lines `KEY: VALUE`; those that differ are named, of the first entry that differs.
struct CheckpointIdentity {
  std::string recipe, inputs, run, model;
};

/// What differs between lines `KEY: VALUE` of two runs: "lr: 0.1 there, 0.01 here; ...". Empty
/// where they are equal.
std::string differing_lines(const std::string& there, const std::string& here);

/// A checkpoint in a safetensors file. A new one takes the old one's place only when complete on
/// the disk, and the old one stays under the name with ".prev" appended.
class CheckpointFile {
 public:
  CheckpointFile(std::string path, CheckpointIdentity identity)
      : path_(std::move(path)), previous_(path_ + ".prev"), identity_(std::move(identity)) {}

  /// Throws Error{kIo} where it cannot be written; what was there before stays.
  void save(const Checkpoint& checkpoint);
  /// None where there is neither file. A file that cannot be read is passed over for the previous
  /// one with a warning that says why; Error{kInvalid} where that cannot be read either, and for a
  /// checkpoint of another identity.
  std::optional<Checkpoint> load(const LogSink& log);

 private:
  void expect_own(const Safetensors& file, const std::string& path) const;

  std::string path_, previous_;
  CheckpointIdentity identity_;
  bool good_ = false;  // the file under path_ was written or read by this object
};

}  // namespace lapidary
