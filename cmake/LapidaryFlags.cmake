# -ffp-contract=off: g++ contracts a*b+c to FMA under -mfma, which changes the bits of every formula
# that is written as separate float32 operations. std::fma says so where a formula means it.
add_library(lapidary_flags INTERFACE)
target_compile_options(lapidary_flags INTERFACE
  -Wall -Wextra -Wno-missing-field-initializers -ffp-contract=off $<$<BOOL:${LAPIDARY_WERROR}>:-Werror>)
# At -O3 g++ 12 sees overlapping copies inside std::string's own operator+ (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(lapidary_flags INTERFACE -Wno-restrict)
endif()
if(LAPIDARY_SANITIZE)
  target_compile_options(lapidary_flags INTERFACE
    -fsanitize=${LAPIDARY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(lapidary_flags INTERFACE -fsanitize=${LAPIDARY_SANITIZE})
endif()
