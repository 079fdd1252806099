#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lapidary/error.h"

namespace lapidary {

/// Throws Error{code, message}; the caller's context is added on the way up by `with_context`.
template <class... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_invalid(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::kInvalid, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_unsupported(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::kUnsupported, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::kUsage, fmt::format(format, std::forward<Args>(args)...));
}

/// Runs `body`; an Error that leaves it gets `context()` (a string) as its outer context.
template <class Context, class Body>
decltype(auto) with_context(Context&& context, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw error.within(context());
  }
}

/// A broken promise of our own code: throws Error{kInternal} (exit code 1).
#define LAPIDARY_CHECK(condition)                                                                  \
  do {                                                                                             \
    if (!(condition))                                                                              \
      ::lapidary::fail(::lapidary::ErrorCode::kInternal, "{}:{}: expected {}", __FILE__, __LINE__, \
                       #condition);                                                                \
  } while (false)

}  // namespace lapidary
