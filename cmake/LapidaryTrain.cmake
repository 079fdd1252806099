# liblapidary_train.so: the trainer on libtorch, which liblapidary.so loads when something trains. Debian's libtorch-dev,
# or with LAPIDARY_TORCH_DIR the headers and libraries of another tree (<site-packages>/torch of PyPI's wheel), taken as
# they lie: libtorch's own CMake config asks for a CUDA toolkit even where the CPU alone is used.
set(LAPIDARY_TRAIN AUTO CACHE STRING "Build the training library: AUTO (where libtorch is), ON, OFF")
set_property(CACHE LAPIDARY_TRAIN PROPERTY STRINGS AUTO ON OFF)
set(LAPIDARY_TORCH_DIR "" CACHE PATH "Folder with include/ and lib/ of libtorch; empty: the system's")

if(NOT LAPIDARY_TRAIN)
  return()
endif()

if(LAPIDARY_TORCH_DIR)
  set(where PATHS ${LAPIDARY_TORCH_DIR} NO_DEFAULT_PATH)
  set(found ${LAPIDARY_TORCH_DIR})
else()
  set(where)
  set(found system)
endif()
if(NOT "${LAPIDARY_TORCH_FOUND_IN}" STREQUAL "${found}")  # another tree: nothing of the former's is kept
  unset(LAPIDARY_TORCH_INCLUDE_DIR CACHE)
  unset(LAPIDARY_TORCH_LIBRARY CACHE)
  unset(LAPIDARY_TORCH_CPU_LIBRARY CACHE)
  unset(LAPIDARY_C10_LIBRARY CACHE)
  set(LAPIDARY_TORCH_FOUND_IN "${found}" CACHE INTERNAL "")
endif()
find_path(LAPIDARY_TORCH_INCLUDE_DIR ATen/core/Tensor.h ${where} PATH_SUFFIXES include)
find_library(LAPIDARY_TORCH_LIBRARY torch ${where} PATH_SUFFIXES lib)
find_library(LAPIDARY_TORCH_CPU_LIBRARY torch_cpu ${where} PATH_SUFFIXES lib)
find_library(LAPIDARY_C10_LIBRARY c10 ${where} PATH_SUFFIXES lib)
mark_as_advanced(LAPIDARY_TORCH_INCLUDE_DIR LAPIDARY_TORCH_LIBRARY LAPIDARY_TORCH_CPU_LIBRARY LAPIDARY_C10_LIBRARY)
if(NOT (LAPIDARY_TORCH_INCLUDE_DIR AND LAPIDARY_TORCH_LIBRARY AND LAPIDARY_TORCH_CPU_LIBRARY AND LAPIDARY_C10_LIBRARY))
  if(LAPIDARY_TRAIN STREQUAL AUTO)
    message(STATUS "No libtorch: the training library is not built (tools/install-deps train)")
    return()
  endif()
  message(FATAL_ERROR "LAPIDARY_TRAIN=ON, but libtorch was not found: tools/install-deps train, or LAPIDARY_TORCH_DIR")
endif()

file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/train/*.cc)
add_library(lapidary_train SHARED ${sources})
target_include_directories(lapidary_train PRIVATE ${CMAKE_SOURCE_DIR})
target_include_directories(lapidary_train SYSTEM PRIVATE
  ${LAPIDARY_TORCH_INCLUDE_DIR} ${LAPIDARY_TORCH_INCLUDE_DIR}/torch/csrc/api/include)
# PyPI's wheel has the headers of an fmt of its own beside libtorch's, found before the system's, and no library of it.
set(fmt fmt::fmt)
if(LAPIDARY_TORCH_DIR AND EXISTS ${LAPIDARY_TORCH_INCLUDE_DIR}/fmt)
  set(fmt fmt::fmt-header-only)
endif()
# torch_cpu registers its operators when it is loaded: it must be, whatever of it is called.
target_link_libraries(lapidary_train PRIVATE lapidary lapidary_flags ${fmt} -Wl,--no-undefined -Wl,--no-as-needed
  ${LAPIDARY_TORCH_LIBRARY} ${LAPIDARY_TORCH_CPU_LIBRARY} ${LAPIDARY_C10_LIBRARY})
# Reading libtorch's headers takes longer than compiling what is here: a few files at a time.
set_target_properties(lapidary_train PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 7
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
# Training in several processes: c10d on Gloo, whose headers libtorch's own include (PyPI's wheel lacks them).
find_path(LAPIDARY_GLOO_INCLUDE_DIR gloo/config.h)
mark_as_advanced(LAPIDARY_GLOO_INCLUDE_DIR)
if(LAPIDARY_GLOO_INCLUDE_DIR AND NOT LAPIDARY_TORCH_DIR)
  target_compile_definitions(lapidary_train PRIVATE USE_C10D_GLOO)
  target_include_directories(lapidary_train SYSTEM PRIVATE ${LAPIDARY_GLOO_INCLUDE_DIR})
endif()
