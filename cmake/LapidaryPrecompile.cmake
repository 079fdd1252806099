# What nearly every file reads, parsed once for all boxes and once for all test programs, where
# LAPIDARY_PRECOMPILE_HEADERS asks for it. Files that forget an #include compile then: it is for CI's time, not for the
# desk. The kernels, whose files have flags of their own, are left alone.
set(LAPIDARY_COMMON_HEADERS
  <algorithm> <array> <bit> <chrono> <cmath> <cstdint> <cstring> <filesystem> <functional> <limits> <map> <memory>
  <numeric> <optional> <set> <span> <string> <string_view> <unordered_map> <utility> <vector>
  <fmt/format.h> <fmt/ranges.h>)

# lapidary_precompile(TARGET OWNER [HEADER ...]): TARGET reads the common headers and HEADERs as OWNER precompiled them,
# which has TARGET's flags; OWNER itself makes them.
function(lapidary_precompile target owner)
  if(NOT LAPIDARY_PRECOMPILE_HEADERS)
    return()
  endif()
  if(target STREQUAL owner)
    target_precompile_headers(${target} PRIVATE ${LAPIDARY_COMMON_HEADERS} ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)  # or ccache keeps none of the objects
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()
