/** \file
 * Tasks handed out through shared counters: each once, whoever takes them. */
#include "grid/handout.h"

#include "base/memory.h"
#include "grid/comm.h"
#include "mpi_main.h"

#include <stdlib.h>

enum { MOST = 64 };

/* Take everything. \return how many tasks; `done` counts them by list and position. */
static int64_t take_all(zg_handout *h, int64_t *done) {
  int list;
  int64_t position, count = 0;
  while (zg_handout_next(h, &list, &position) == ZG_HANDOUT_TASK) {
    CU_ASSERT_FATAL(list >= 0 && list < h->teams && position >= 0 && position < MOST);
    done[list * MOST + position]++;
    count++;
  }
  CU_ASSERT_EQUAL(zg_handout_next(h, &list, &position), ZG_HANDOUT_NONE);
  return count;
}

static void check(const int64_t *lengths, bool help, bool first_waits) {
  int ranks = zg_test_ranks();
  int64_t *done = ZG_NEW0(int64_t, ranks * MOST), count;
  zg_handout h;
  zg_handout_create(MPI_COMM_WORLD, lengths, help, &h);
  if (first_waits && zg_test_rank() > 0) {
    count = take_all(&h, done);
    MPI_Barrier(MPI_COMM_WORLD);
  } else {
    if (first_waits) MPI_Barrier(MPI_COMM_WORLD);
    count = take_all(&h, done);
  }
  zg_handout_destroy(&h);
  if (!help) CU_ASSERT_EQUAL(count, lengths[zg_test_rank()]);
  if (first_waits && ranks > 1 && zg_test_rank() == 0)
    CU_ASSERT_EQUAL(count, 0); /* the others have done its list */
  zg_sum_counts(MPI_COMM_WORLD, done, ranks * MOST);
  for (int list = 0; list < ranks; list++)
    for (int k = 0; k < MOST; k++)
      CU_ASSERT_EQUAL(done[list * MOST + k], k < lengths[list]);
  free(done);
}

static void every_task_is_taken_once(void) {
  for (int round = 0; round < 40; round++) {
    int64_t lengths[16] = {0};
    for (int list = 0; list < zg_test_ranks(); list++)
      lengths[list] = (list * 37 + round * 11) % (round % 4 ? MOST : 3);
    check(lengths, true, false);
    check(lengths, false, false);
    check(lengths, true, true);
  }
}

/* A list is taken from its front by its team and from its back by others. */
static void helpers_begin_at_the_end(void) {
  int64_t lengths[16] = {10}, position = -1;
  int list = -1, ranks = zg_test_ranks();
  zg_handout h;
  zg_handout_create(MPI_COMM_WORLD, lengths, true, &h);
  for (int turn = 0; turn < ranks; turn++) {
    if (zg_test_rank() == turn) {
      CU_ASSERT_EQUAL(zg_handout_next(&h, &list, &position), ZG_HANDOUT_TASK);
      CU_ASSERT_EQUAL(list, 0);
      CU_ASSERT_EQUAL(position, turn ? 10 - turn : 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
  }
  zg_handout_destroy(&h);
}

/* The longest list is helped with first, and the same one as long as it lasts. */
static void the_longest_list_is_helped_with(void) {
  int64_t lengths[16] = {0, 3, 5, 4, 2}, position, least = zg_min(5, zg_test_ranks());
  int list, longest = least > 2 ? 2 : 1;
  if (zg_test_ranks() == 1) return;
  zg_handout h;
  zg_handout_create(MPI_COMM_WORLD, lengths, true, &h);
  for (int k = 0; zg_test_rank() == 0 && k < lengths[longest]; k++) {
    CU_ASSERT_EQUAL(zg_handout_next(&h, &list, &position), ZG_HANDOUT_TASK);
    CU_ASSERT(list == longest && position == lengths[longest] - 1 - k);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  zg_handout_destroy(&h);
}

/* After one team's end nobody gets anything, however many have ended it. */
static void an_end_is_the_end_for_all(void) {
  for (int enders = 1; enders <= zg_test_ranks(); enders++) {
    int64_t lengths[16], position;
    int list;
    zg_handout h;
    for (int k = 0; k < 16; k++)
      lengths[k] = 5;
    zg_handout_create(MPI_COMM_WORLD, lengths, true, &h);
    if (zg_test_rank() < enders) zg_handout_end(&h);
    MPI_Barrier(MPI_COMM_WORLD);
    zg_handout_answer answer = zg_handout_next(&h, &list, &position);
    CU_ASSERT_EQUAL(answer, zg_test_ranks() > 1 ? ZG_HANDOUT_ENDED : ZG_HANDOUT_TASK);
    zg_handout_destroy(&h);
  }
}

const zg_test zg_tests[] = {
    {"every_task_is_taken_once", every_task_is_taken_once},
    {"helpers_begin_at_the_end", helpers_begin_at_the_end},
    {"the_longest_list_is_helped_with", the_longest_list_is_helped_with},
    {"an_end_is_the_end_for_all", an_end_is_the_end_for_all},
    {NULL, NULL}};
