/** \file
 * Memory that ranks share: what each writes all see, in little memory and in as much as
 * huge pages are for. */
#include "grid/shared.h"

#include "mpi_main.h"

static const MPI_Comm world = MPI_COMM_WORLD;

/* Every rank writes each so many bytes, none of them on the same place of a page. */
static void check_shared(int64_t bytes) {
  enum { STEP = 1021 };
  zg_shared s;
  CU_ASSERT_FATAL(zg_shared_create(world, bytes, &s));
  unsigned char *all = s.base;
  for (int64_t k = s.rank * STEP; k < bytes; k += s.ranks * STEP)
    all[k] = (unsigned char)(1 + k % 250);
  all[bytes - 1] = 77; /* all the same */
  zg_shared_meet(&s);
  int64_t wrong = all[bytes - 1] != 77;
  for (int64_t k = 0; k < bytes - 1; k += STEP)
    wrong += all[k] != 1 + k % 250;
  CU_ASSERT_EQUAL(wrong, 0);
  zg_shared_meet(&s);
  zg_shared_destroy(&s);
  CU_ASSERT_PTR_NULL(s.base);
}

static void what_one_writes_all_see(void) {
  check_shared(1);
  check_shared(4096);
  check_shared(100 * 4096 + 1);
}

static void much_memory_is_the_same(void) {
  check_shared((64 << 20) - 1);
  check_shared((64 << 20) + 1);
  check_shared(3 * (33 << 20));
}

static void memory_that_nobody_has_is_told(void) {
  zg_shared s;
  if (zg_test_ranks() > 1) /* one has it for itself, or ends */
    CU_ASSERT_FALSE(zg_shared_create(world, INT64_C(1) << 60, &s));
}

const zg_test zg_tests[] = {
    {"what_one_writes_all_see", what_one_writes_all_see},
    {"much_memory_is_the_same", much_memory_is_the_same},
    {"memory_that_nobody_has_is_told", memory_that_nobody_has_is_told},
    {NULL, NULL}};
