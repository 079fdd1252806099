include(CMakePackageConfigHelpers)
install(TARGETS lapidary EXPORT LapidaryTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET lapidary_train)  # loaded by liblapidary.so, linked by nobody
  install(TARGETS lapidary_train LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_SKIP)
  set_target_properties(lapidary_train PROPERTIES INSTALL_RPATH "$ORIGIN")
endif()
install(DIRECTORY include/lapidary DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT LapidaryTargets NAMESPACE Lapidary::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Lapidary)
configure_package_config_file(cmake/LapidaryConfig.cmake.in ${CMAKE_BINARY_DIR}/LapidaryConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Lapidary)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/LapidaryConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/LapidaryConfig.cmake ${CMAKE_BINARY_DIR}/LapidaryConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Lapidary)
# From libdir/pkgconfig up to the prefix, so that the installed tree may lie anywhere.
file(RELATIVE_PATH LAPIDARY_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(PREPEND LAPIDARY_PC_PREFIX "\${pcfiledir}/")
configure_file(cmake/lapidary.pc.in ${CMAKE_BINARY_DIR}/lapidary.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/lapidary.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
