# One line per CUnit program.
zg_add_test(job/test_job NP 1 LIBS zg_job)
zg_add_test(base/test_text NP 1 LIBS zg_base)
zg_add_test(base/test_memory NP 1 LIBS zg_base)
zg_add_test(base/test_hash NP 1 LIBS zg_base)
