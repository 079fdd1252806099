find_package(OpenMP REQUIRED COMPONENTS CXX)
if(CMAKE_CROSSCOMPILING)
  # The library is the host's, the headers serve everybody: without what else lies beside them.
  find_path(FMT_INCLUDE_DIR fmt/format.h REQUIRED NO_CMAKE_FIND_ROOT_PATH)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include)
  file(CREATE_LINK ${FMT_INCLUDE_DIR}/fmt ${CMAKE_BINARY_DIR}/include/fmt SYMBOLIC)
  add_library(fmt::fmt INTERFACE IMPORTED)
  target_include_directories(fmt::fmt INTERFACE ${CMAKE_BINARY_DIR}/include)
  target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY)
else()
  find_package(fmt REQUIRED)
endif()
if(LAPIDARY_KERNELS_ONLY)
  return()
endif()
find_package(nlohmann_json REQUIRED)
find_package(Protobuf REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)  # headers alone: Cholesky factors of Hessians

# ONNX message classes: Debian's libonnx_proto, never a second descriptor set of our own.
# libtorch_cpu links the same library, and protobuf aborts on a file registered twice.
find_library(ONNX_PROTO_LIBRARY onnx_proto REQUIRED)
find_path(ONNX_INCLUDE_DIR onnx/onnx-ml.pb.h REQUIRED)
add_library(lapidary_onnx_proto INTERFACE)
target_include_directories(lapidary_onnx_proto SYSTEM INTERFACE ${ONNX_INCLUDE_DIR})
target_compile_definitions(lapidary_onnx_proto INTERFACE ONNX_NAMESPACE=onnx ONNX_ML=1)
target_link_libraries(lapidary_onnx_proto INTERFACE ${ONNX_PROTO_LIBRARY} protobuf::libprotobuf)

add_library(lapidary_images INTERFACE)
target_link_libraries(lapidary_images INTERFACE JPEG::JPEG PNG::PNG ZLIB::ZLIB)

add_library(lapidary_yaml INTERFACE)
target_link_libraries(lapidary_yaml INTERFACE yaml-cpp)
