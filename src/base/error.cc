#include "lapidary/error.h"

#include "src/base/text.h"

namespace lapidary {

namespace {
std::string joined(const std::string& message, const std::string& context) {
  return context.empty() ? message : context + ": " + message;
}
}  // namespace

Error::Error(ErrorCode code, std::string message, std::string context)
    : std::runtime_error(printable(joined(message, context))),
      code_(code),
      message_(printable(message)),
      context_(printable(context)) {}

Error::~Error() = default;

Error Error::within(const std::string& outer) const {
  const std::string said = printable(outer);
  const std::string& begin = context_.empty() ? message_ : context_;
  if (begin == said || begin.starts_with(said + ": ")) return *this;  // said once is enough
  return Error(code_, message_, context_.empty() ? outer : outer + ": " + context_);
}

}  // namespace lapidary
