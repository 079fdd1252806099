# lapidary_box(NAME DIR DEPENDS ...): one static library per box of the floor plan, lapidary_<NAME>,
# made of every .cc below DIR. Nothing but its own folder and what it links is its business.
set_property(GLOBAL PROPERTY LAPIDARY_BOXES "")
function(lapidary_box name dir)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${dir}/*.cc)
  add_library(lapidary_${name} STATIC ${sources})
  target_include_directories(lapidary_${name} PUBLIC
    ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR})
  target_compile_definitions(lapidary_${name} PRIVATE LAPIDARY_VERSION="${PROJECT_VERSION}")
  target_link_libraries(lapidary_${name} PUBLIC ${ARG_DEPENDS} lapidary_flags)
  set_property(GLOBAL APPEND PROPERTY LAPIDARY_BOXES lapidary_${name})
endfunction()

# One shared library, liblapidary.so, holds every box: the CLI and programs of others link only it.
function(lapidary_library)
  get_property(boxes GLOBAL PROPERTY LAPIDARY_BOXES)
  foreach(box ${boxes})
    list(APPEND objects $<TARGET_OBJECTS:${box}>)
    get_target_property(linked ${box} LINK_LIBRARIES)
    list(APPEND externals ${linked})
  endforeach()
  list(REMOVE_DUPLICATES externals)
  list(REMOVE_ITEM externals ${boxes})
  add_library(lapidary SHARED ${objects})
  add_library(Lapidary::lapidary ALIAS lapidary)
  target_link_libraries(lapidary PRIVATE ${externals})
  target_include_directories(lapidary PUBLIC
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(lapidary PUBLIC cxx_std_20)
  set_target_properties(lapidary PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endfunction()
