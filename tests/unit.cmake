# One line per CUnit program.
zg_add_test(job/test_job NP 1 LIBS zg_job)
zg_add_test(base/test_text NP 1 LIBS zg_base)
zg_add_test(base/test_memory NP 1 LIBS zg_base)
zg_add_test(base/test_hash NP 1 LIBS zg_base)
zg_add_test(linalg/test_half NP 1 LIBS zg_linalg)
zg_add_test(linalg/test_fixed NP 1 LIBS zg_linalg)
zg_add_test(linalg/test_kernel NP 1 LIBS zg_linalg)
zg_add_test(linalg/test_features NP 1 LIBS zg_linalg)
zg_add_test(linalg/test_select NP 1 LIBS zg_linalg)
zg_add_test(linalg/test_blas NP 1 LIBS zg_linalg)
zg_add_test(grid/test_comm NP 1 2 3 4 5 LIBS zg_grid)
zg_add_test(grid/test_team NP 1 2 3 4 5 LIBS zg_grid)
zg_add_test(grid/test_tile NP 1 2 3 4 5 LIBS zg_grid)
zg_add_test(grid/test_pairs NP 1 2 3 4 5 LIBS zg_grid)

# Files that tests make.
add_library(zg_test_files STATIC files.c)
target_link_libraries(zg_test_files PUBLIC zg_test_main zg_hdf5 PRIVATE zg_flags)

zg_add_test(zoo/test_catalogue NP 1 LIBS zg_zoo zg_test_files)
zg_add_test(zoo/test_reader NP 1 LIBS zg_zoo zg_test_files)
zg_add_test(zoo/test_samples NP 1 LIBS zg_zoo zg_test_files)
zg_add_test(zoo/test_exchange NP 1 2 3 LIBS zg_zoo zg_test_files)
zg_add_test(results/test_results NP 1 2 3 LIBS zg_results zg_test_files)
zg_add_test(results/test_owner NP 1 LIBS zg_results zg_test_files)
zg_add_test(measures/test_registry NP 1 LIBS zg_measures)
zg_add_test(measures/test_cka NP 1 LIBS zg_measures)
zg_add_test(plan/test_plan NP 1 LIBS zg_plan)

# Whole runs of the engine, and its plain-loop twin.
add_library(zg_test_runs STATIC engine/run.c engine/twin.c)
target_link_libraries(zg_test_runs PUBLIC zg_engine zg_test_files PRIVATE zg_flags)

zg_add_test(engine/test_engine NP 1 2 3 4 5 LIBS zg_engine zg_test_runs)
zg_add_test(engine/test_medians NP 1 2 3 4 5 LIBS zg_engine zg_test_runs)
