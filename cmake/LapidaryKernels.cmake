# Only the thin ISA files are compiled for more than the baseline; everything they call is static.
file(GLOB_RECURSE isa_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*/*.cc)
foreach(file ${isa_files})
  get_filename_component(isa ${file} NAME_WE)
  if(isa STREQUAL avx2)
    set(flags -mavx2 -mfma -mf16c)
  elseif(isa STREQUAL avxvnni)
    set(flags -mavx2 -mfma -mf16c -mavxvnni)
  elseif(isa STREQUAL avx512)
    set(flags -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c -mprefer-vector-width=512)
  elseif(isa STREQUAL avx512vnni)
    set(flags -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx512vbmi -mfma -mf16c
              -mprefer-vector-width=512)
  elseif(isa STREQUAL avx512bf16)
    set(flags -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mfma -mf16c
              -mprefer-vector-width=512)
  else()
    continue()
  endif()
  set_source_files_properties(${file} TARGET_DIRECTORY lapidary_kernels
    PROPERTIES COMPILE_OPTIONS "${flags}")
endforeach()
