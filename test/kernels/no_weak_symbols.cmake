# A weak symbol of an ISA file (a shared template or an inline function that was not inlined) may be the
# copy that the linker keeps for everybody, and then runs where the CPU lacks that ISA.
#   cmake -DNM=nm -DOBJECTS="a.o;b.o" -P no_weak_symbols.cmake
set(checked 0)
foreach(object ${OBJECTS})
  if(NOT object MATCHES "/(avx2|avxvnni|avx512|avx512vnni|avx512bf16|avx512vpopcntdq|neon|neondot|neoni8mm)\\.cc\\.o$")
    continue()
  endif()
  execute_process(COMMAND ${NM} --defined-only -C ${object} OUTPUT_VARIABLE symbols
                  COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]* [WVu] [^\n]*" weak "${symbols}")
  list(FILTER weak EXCLUDE REGEX " DW\\.ref\\.")  # a pointer to the unwinder's personality, no code
  if(weak)
    list(JOIN weak "\n  " weak)
    message(SEND_ERROR "${object} has weak symbols:\n  ${weak}")
  endif()
  math(EXPR checked "${checked} + 1")
endforeach()
if(checked EQUAL 0)
  message(FATAL_ERROR "no object of an ISA file among: ${OBJECTS}")
endif()
message(STATUS "${checked} objects of ISA files, no weak symbol")
