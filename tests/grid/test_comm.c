/** \file
 * What ranks tell one another, for any number of ranks. */
#include "grid/comm.h"
#include "mpi_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const MPI_Comm world = MPI_COMM_WORLD;

static void ranks_without_a_failure_agree_on_none(void) {
  zg_fail(ZG_ERR_DATA, "of long ago on rank %d", zg_test_rank());
  CU_ASSERT_EQUAL(zg_agree(world, ZG_OK), ZG_OK);
}

static void one_failing_rank_makes_all_fail_with_its_message(void) {
  for (int failing = 0; failing < zg_test_ranks(); failing++) {
    zg_status mine = ZG_OK;
    if (zg_test_rank() == failing)
      mine = zg_fail(ZG_ERR_INPUT, "no file on rank %d", failing);
    else
      zg_fail(ZG_ERR_DATA, "an older message");
    char expected[64];
    snprintf(expected, sizeof expected, "no file on rank %d", failing);
    CU_ASSERT_EQUAL(zg_agree(world, mine), ZG_ERR_INPUT);
    CU_ASSERT_STRING_EQUAL(zg_message(), expected);
  }
}

static void the_worst_status_wins_and_the_lowest_rank_speaks(void) {
  /* All odd ranks have the worst one. */
  int rank = zg_test_rank(), ranks = zg_test_ranks();
  zg_status mine =
      zg_fail(rank % 2 ? ZG_ERR_JOB : ZG_ERR_DATA, "message of rank %d", rank);
  CU_ASSERT_EQUAL(zg_agree(world, mine), ranks > 1 ? ZG_ERR_JOB : ZG_ERR_DATA);
  CU_ASSERT_STRING_EQUAL(zg_message(),
                         ranks > 1 ? "message of rank 1" : "message of rank 0");
}

static void the_longest_message_arrives_whole(void) {
  char longest[ZG_MESSAGE_BYTES];
  memset(longest, 'm', sizeof longest - 1);
  longest[sizeof longest - 1] = 0;
  int last = zg_test_ranks() - 1;
  zg_status mine = ZG_OK;
  if (zg_test_rank() == last) mine = zg_fail(ZG_ERR_WRITE, "%s", longest);
  CU_ASSERT_EQUAL(zg_agree(world, mine), ZG_ERR_WRITE);
  CU_ASSERT_STRING_EQUAL(zg_message(), longest);
}

static void bytes_and_texts_come_from_rank_0(void) {
  int64_t numbers[3] = {zg_test_rank(), 7 + zg_test_rank(), -1};
  zg_broadcast(world, numbers, sizeof numbers);
  CU_ASSERT(numbers[0] == 0 && numbers[1] == 7 && numbers[2] == -1);
  zg_broadcast(world, NULL, 0);
  char *text = zg_test_rank() == 0 ? strdup("of rank 0") : NULL;
  zg_broadcast_text(world, &text);
  CU_ASSERT_STRING_EQUAL(text, "of rank 0");
  free(text);
  text = zg_test_rank() == 0 ? strdup("") : NULL;
  zg_broadcast_text(world, &text);
  CU_ASSERT_STRING_EQUAL(text, "");
  free(text);
}

/* Rank r has r numbers, rank 0 none. */
static void numbers_of_all_ranks_are_laid_end_to_end(void) {
  int P = zg_test_ranks(), rank = zg_test_rank();
  double values[64];
  for (int k = 0; k < rank; k++)
    values[k] = 10 * rank + k;
  CU_ASSERT_EQUAL(zg_gather_doubles(world, values, rank), P * (P - 1) / 2);
  for (int r = 0, at = 0; r < P; r++)
    for (int k = 0; k < r; k++, at++)
      CU_ASSERT_EQUAL(values[at], 10 * r + k);
}

static void sums_and_maxima_are_taken_over_all_ranks(void) {
  int P = zg_test_ranks(), rank = zg_test_rank();
  double values[] = {1, rank, 0.5};
  int64_t counts[] = {(int64_t)1 << 40, rank};
  int32_t codes[] = {rank, -rank, rank == P - 1 ? 9 : 3};
  zg_sum_doubles(world, values, 3);
  zg_sum_counts(world, counts, 2);
  double largest[] = {-1.0 - rank, rank * 1e300};
  zg_max_ints(world, codes, 3);
  zg_max_doubles(world, largest, 2);
  CU_ASSERT(values[0] == P && values[1] == P * (P - 1) / 2 && values[2] == 0.5 * P);
  CU_ASSERT(counts[0] == P * ((int64_t)1 << 40) && counts[1] == P * (P - 1) / 2);
  CU_ASSERT(largest[0] == -1 && largest[1] == (P - 1) * 1e300);
  CU_ASSERT(codes[0] == P - 1 && codes[1] == 0 && codes[2] == 9);
  zg_sum_doubles(world, NULL, 0);
}

static void any_is_true_when_one_rank_says_so(void) {
  CU_ASSERT_FALSE(zg_any(world, false));
  CU_ASSERT(zg_any(world, true));
  for (int k = 0; k < zg_test_ranks(); k++)
    CU_ASSERT(zg_any(world, zg_test_rank() == k));
}

static void statistics_over_ranks_name_the_largest(void) {
  int P = zg_test_ranks(), middle = P / 2;
  zg_rank_stat stat = zg_rank_stat_of(world, zg_test_rank() == middle ? 10 : 1);
  CU_ASSERT_EQUAL(stat.most, 10);
  CU_ASSERT_EQUAL(stat.most_rank, middle);
  CU_ASSERT_EQUAL(stat.sum, 10 + P - 1);
  zg_test_close(stat.mean, (10 + P - 1) / (double)P, 0, "mean");
}

static void ranks_of_one_node_are_counted(void) {
  CU_ASSERT_EQUAL(zg_local_ranks(MPI_COMM_SELF), 1);
  int local = zg_local_ranks(world);
  CU_ASSERT(local >= 1 && local <= zg_test_ranks());
}

const zg_test zg_tests[] = {
    {"ranks_without_a_failure_agree_on_none", ranks_without_a_failure_agree_on_none},
    {"one_failing_rank_makes_all_fail_with_its_message",
     one_failing_rank_makes_all_fail_with_its_message},
    {"the_worst_status_wins_and_the_lowest_rank_speaks",
     the_worst_status_wins_and_the_lowest_rank_speaks},
    {"the_longest_message_arrives_whole", the_longest_message_arrives_whole},
    {"bytes_and_texts_come_from_rank_0", bytes_and_texts_come_from_rank_0},
    {"numbers_of_all_ranks_are_laid_end_to_end",
     numbers_of_all_ranks_are_laid_end_to_end},
    {"sums_and_maxima_are_taken_over_all_ranks",
     sums_and_maxima_are_taken_over_all_ranks},
    {"any_is_true_when_one_rank_says_so", any_is_true_when_one_rank_says_so},
    {"statistics_over_ranks_name_the_largest", statistics_over_ranks_name_the_largest},
    {"ranks_of_one_node_are_counted", ranks_of_one_node_are_counted},
    {NULL, NULL}};
