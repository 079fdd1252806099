#pragma once

#include <type_traits>
#include <utility>

namespace lapidary {

template <class Signature>
class FunctionRef;

/// Something callable that is not owned: a std::function without its allocation. It must outlive
/// the reference, as a lambda among a call's arguments does.
template <class Result, class... Args>
class FunctionRef<Result(Args...)> {
 public:
  template <class F,
            class = std::enable_if_t<!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> &&
                                     std::is_invocable_r_v<Result, F&, Args...>>>
  FunctionRef(F&& f)  // NOLINT(google-explicit-constructor): lambdas are passed as they are
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* object, Args... args) -> Result {
          return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Args>(args)...);
        }) {}

  Result operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  Result (*call_)(void*, Args...);
};

}  // namespace lapidary
