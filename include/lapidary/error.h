#pragma once

#include <stdexcept>
#include <string>

#include "lapidary/export.h"

namespace lapidary {

/// What went wrong, as the command line's exit code says it.
enum class ErrorCode {
  kInternal = 1,     ///< a bug of Lapidary's own
  kUsage = 2,        ///< command line, recipe or options
  kInvalid = 3,      ///< the model or the data breaks its format's rules
  kUnsupported = 4,  ///< valid, but Lapidary cannot do it
  kLimitMissed = 5,  ///< a limit of the recipe was missed; results are kept
  kIo = 6,           ///< reading or writing failed
  kResource = 7,     ///< a size, count or memory limit
};

/// Thrown for the user's problems. `what()` is "context: message"; both parts name what was found
/// and what was expected, and are escaped (no control characters).
class LAPIDARY_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string message, std::string context = {});
  ~Error() override;

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  /// Where: file, node or tensor; may be empty.
  const std::string& context() const { return context_; }

  /// The same error with an outer context ("model.onnx: Conv 'a': ..."), unless it begins with
  /// that.
  Error within(const std::string& outer) const;

 private:
  ErrorCode code_;
  std::string message_;
  std::string context_;
};

}  // namespace lapidary
