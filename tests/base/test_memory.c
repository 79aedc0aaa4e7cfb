/** \file
 * Allocation, checked integers, cutting things into runs. What ends the program is
 * tried in a child process, whose exit code is looked at. */
#include "base/memory.h"
#include "base/status.h"
#include "mpi_main.h"

#include <limits.h>
#include <stdlib.h>

static void parts_are_consecutive_and_nearly_equal(void) {
  for (int64_t count = 0; count <= 40; count++)
    for (int64_t parts = 1; parts <= 13; parts++) {
      CU_ASSERT_EQUAL(zg_part(count, parts, 0), 0);
      CU_ASSERT_EQUAL(zg_part(count, parts, parts), count);
      for (int64_t k = 0; k < parts; k++) {
        int64_t size = zg_part(count, parts, k + 1) - zg_part(count, parts, k);
        CU_ASSERT(size == count / parts || size == count / parts + 1);
      }
    }
}

static void parts_of_huge_counts_do_not_overflow(void) {
  const int64_t count = INT64_MAX - 5;
  for (int64_t parts = 1; parts <= 1000; parts += 333) {
    CU_ASSERT_EQUAL(zg_part(count, parts, parts), count);
    CU_ASSERT(zg_part(count, parts, parts - 1) >= 0);
  }
}

static void division_rounds_up(void) {
  for (int64_t a = 0; a <= 30; a++)
    for (int64_t b = 1; b <= 7; b++) {
      int64_t q = zg_ceil_div(a, b);
      CU_ASSERT(q * b >= a && (q - 1) * b < a);
    }
}

static void fresh_memory_is_zeroed_and_keeps_its_contents_when_it_grows(void) {
  double *values = ZG_NEW0(double, 100);
  for (int k = 0; k < 100; k++) {
    CU_ASSERT_EQUAL(values[k], 0);
    values[k] = k;
  }
  values = zg_realloc(values, 100000, sizeof *values);
  for (int k = 0; k < 100; k++)
    CU_ASSERT_EQUAL(values[k], k);
  free(values);
}

static void nothing_is_still_something_to_free(void) {
  void *empty = zg_alloc(0, 8);
  CU_ASSERT_PTR_NOT_NULL(empty);
  free(empty);
  CU_ASSERT_PTR_NULL(zg_strdup(NULL));
}

static void integers_that_fit_pass(void) {
  CU_ASSERT_EQUAL(zg_int(0), 0);
  CU_ASSERT_EQUAL(zg_int(INT_MAX), INT_MAX);
  CU_ASSERT_EQUAL(zg_int(INT_MIN), INT_MIN);
}

static void narrow_too_large(void) {
  zg_int((int64_t)INT_MAX + 1);
}
static void narrow_too_small(void) {
  zg_int((int64_t)INT_MIN - 1);
}
static void allocate_negative(void) {
  zg_alloc(-1, 8);
}
static void allocate_overflowing(void) {
  zg_alloc(INT64_MAX / 4, 32);
}
static void require_what_does_not_hold(void) {
  ZG_REQUIRE(zg_min(1, 2) == 2);
}

static void what_does_not_fit_ends_the_program(void) {
  CU_ASSERT_EQUAL(zg_test_exit_code(narrow_too_large), ZG_ERR_INTERNAL);
  CU_ASSERT_EQUAL(zg_test_exit_code(narrow_too_small), ZG_ERR_INTERNAL);
  CU_ASSERT_EQUAL(zg_test_exit_code(allocate_negative), ZG_ERR_SYSTEM);
  CU_ASSERT_EQUAL(zg_test_exit_code(allocate_overflowing), ZG_ERR_SYSTEM);
  CU_ASSERT_EQUAL(zg_test_exit_code(require_what_does_not_hold), ZG_ERR_INTERNAL);
}

static void more_ranks_on_a_node_may_each_use_less(void) {
  int64_t alone = zg_memory_limit(1), shared = zg_memory_limit(4);
  CU_ASSERT(alone > 0);
  CU_ASSERT(shared > 0 && shared < alone);
  CU_ASSERT(zg_peak_memory() > 0);
}

static void limits_of_slurm_are_kept(void) {
  setenv("SLURM_MEM_PER_NODE", "1000", 1);
  CU_ASSERT(zg_memory_limit(4) <= (int64_t)250 << 20);
  setenv("SLURM_MEM_PER_CPU", "3", 1);
  CU_ASSERT_EQUAL(zg_memory_limit(1), (int64_t)3 << 20);
  unsetenv("SLURM_MEM_PER_CPU");
  unsetenv("SLURM_MEM_PER_NODE");
}

static void a_failure_may_quote_the_one_before(void) {
  CU_ASSERT_EQUAL(zg_fail(ZG_ERR_DATA, "layer %d", 7), ZG_ERR_DATA);
  CU_ASSERT_EQUAL(zg_fail(ZG_ERR_INPUT, "file: %s", zg_message()), ZG_ERR_INPUT);
  CU_ASSERT_STRING_EQUAL(zg_message(), "file: layer 7");
}

const zg_test zg_tests[] = {
    {"parts_are_consecutive_and_nearly_equal", parts_are_consecutive_and_nearly_equal},
    {"parts_of_huge_counts_do_not_overflow", parts_of_huge_counts_do_not_overflow},
    {"division_rounds_up", division_rounds_up},
    {"fresh_memory_is_zeroed_and_keeps_its_contents_when_it_grows",
     fresh_memory_is_zeroed_and_keeps_its_contents_when_it_grows},
    {"nothing_is_still_something_to_free", nothing_is_still_something_to_free},
    {"integers_that_fit_pass", integers_that_fit_pass},
    {"what_does_not_fit_ends_the_program", what_does_not_fit_ends_the_program},
    {"more_ranks_on_a_node_may_each_use_less", more_ranks_on_a_node_may_each_use_less},
    {"limits_of_slurm_are_kept", limits_of_slurm_are_kept},
    {"a_failure_may_quote_the_one_before", a_failure_may_quote_the_one_before},
    {NULL, NULL}};
