# The fuzz targets, each with the inputs that are kept for it.
function(zg_add_fuzz name)
  add_executable(fuzz_${name} torture/fuzz_${name}.c torture/fuzz_files.c torture/replay.c)
  target_link_libraries(fuzz_${name} PRIVATE ${ARGN} zg_flags)
  file(GLOB inputs CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/torture/corpus/${name}/*)
  add_test(NAME torture.fuzz_${name} COMMAND fuzz_${name} ${inputs})
  set_tests_properties(torture.fuzz_${name} PROPERTIES TIMEOUT 60 LABELS torture ENVIRONMENT "${ZG_MPI_ENVIRONMENT}")
endfunction()

zg_add_fuzz(job zg_job)
zg_add_fuzz(state zg_engine)
zg_add_fuzz(results zg_results)

# Kills, and what is left open: not with sanitizers, under which runs take long and nothing can be preloaded.
if(NOT ZOOGRAM_SANITIZE)
  add_test(NAME torture.kill
    COMMAND ${ZOOGRAM_TEST_PYTHON} ${PROJECT_SOURCE_DIR}/scripts/torture/kill $<TARGET_FILE:zoogram>
      --kills 20 --seconds 25)
  set_tests_properties(torture.kill PROPERTIES TIMEOUT 180 LABELS torture ENVIRONMENT "${ZG_MPI_ENVIRONMENT}")

  add_library(zoogram-handles MODULE torture/handles.c)
  set_target_properties(zoogram-handles PROPERTIES PREFIX "")
  # Only the headers: shells that load it on the way to the program have none of the libraries.
  target_include_directories(zoogram-handles SYSTEM PRIVATE
    ${MPI_C_INCLUDE_DIRS} $<TARGET_PROPERTY:zg_hdf5,INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(zoogram-handles PRIVATE ${CMAKE_DL_LIBS} zg_flags)
  add_test(NAME torture.handles
    COMMAND ${ZOOGRAM_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/torture/test_handles.py)
  set_tests_properties(torture.handles PROPERTIES TIMEOUT 300 LABELS torture
    ENVIRONMENT "${ZG_MPI_ENVIRONMENT}")
  set_property(TEST torture.handles APPEND PROPERTY ENVIRONMENT
    ZOOGRAM=$<TARGET_FILE:zoogram> ZOOGRAM_HANDLES_LIBRARY=$<TARGET_FILE:zoogram-handles>)
endif()
