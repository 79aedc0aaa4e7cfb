/** \file
 * Order statistics and the median of distances, against sorting everything. */
#include "base/memory.h"
#include "linalg/select.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { MOST = 40 };

/* Numbers >= 0 of several kinds: different, many ties, all equal, sorted both ways, a
 * gap with zeros. */
enum { KINDS = 6 };
static double number(int kind, int64_t k, int64_t count) {
  double random = zg_test_random(7, (unsigned long)k);
  switch (kind) {
  case 0:
    return 1 + random;
  case 1:
    return floor(2 + 2 * random);
  case 2:
    return 5;
  case 3:
    return (double)k;
  case 4:
    return (double)(count - k);
  default:
    return random < 0 ? 0 : 100 + random;
  }
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void check_statistic(int kind, int64_t count, int64_t k) {
  double values[MOST], sorted[MOST];
  for (int64_t i = 0; i < count; i++)
    values[i] = sorted[i] = number(kind, i, count);
  qsort(sorted, (size_t)count, sizeof *sorted, compare);
  CU_ASSERT_EQUAL(zg_order_statistic(values, count, k), sorted[k]);
  for (int64_t i = 0; i < k; i++)
    CU_ASSERT(values[i] <= values[k]);
  for (int64_t i = k + 1; i < count; i++)
    CU_ASSERT(values[i] >= values[k]);
}

static void order_statistics_are_those_of_a_sort(void) {
  for (int kind = 0; kind < KINDS; kind++)
    for (int64_t count = 1; count <= MOST; count++)
      for (int64_t k = 0; k < count; k++)
        check_statistic(kind, count, k);
}

static void selection_from_many_numbers_takes_linear_time(void) {
  /* A quadratic algorithm would run into the test's time limit. */
  enum { MANY = 1 << 21 };
  double *values = malloc(MANY * sizeof *values);
  for (int kind = 0; kind < KINDS; kind++) {
    for (int64_t k = 0; k < MANY; k++)
      values[k] = number(kind, k, MANY);
    double middle = zg_order_statistic(values, MANY, MANY / 2);
    int64_t smaller = 0, larger = 0;
    for (int64_t k = 0; k < MANY; k++) {
      smaller += values[k] < middle;
      larger += values[k] > middle;
    }
    CU_ASSERT(smaller <= MANY / 2 && larger < MANY - MANY / 2);
  }
  free(values);
}

/* numpy.median(D) of the symmetric n x n matrix with these pairs and a zero diagonal.
 */
static double median_of_matrix(const double *pairs, int64_t n) {
  double all[MOST * MOST];
  int64_t pair = 0;
  for (int64_t i = 0; i < n; i++) {
    all[i * n + i] = 0;
    for (int64_t j = 0; j < i; j++)
      all[i * n + j] = all[j * n + i] = pairs[pair++];
  }
  qsort(all, (size_t)(n * n), sizeof *all, compare);
  return 0.5 * (all[(n * n - 1) / 2] + all[n * n / 2]);
}

static void the_median_is_that_of_the_whole_matrix(void) {
  for (int kind = 0; kind < KINDS; kind++)
    for (int64_t n = 1; n <= MOST; n++) {
      double pairs[MOST * MOST];
      int64_t count = n * (n - 1) / 2;
      for (int64_t k = 0; k < count; k++)
        pairs[k] = number(kind, k, count);
      double expected = median_of_matrix(pairs, n);
      CU_ASSERT_EQUAL(zg_distance_median(pairs, n), expected);
    }
}

/* With the pairs 1, 2, 3, ... a rank can be read off the sorted matrix. */
static void ranks_are_where_the_middle_values_lie(void) {
  for (int64_t n = 1; n <= MOST; n++) {
    double all[MOST * MOST];
    int64_t pair = 0, rank[2];
    for (int64_t i = 0; i < n; i++)
      all[i] = 0;
    for (int64_t at = n; at < n * n; at += 2)
      all[at] = all[at + 1] = (double)++pair;
    zg_median_ranks(n, n * (n - 1) / 2, rank);
    CU_ASSERT_EQUAL((double)rank[0], all[(n * n - 1) / 2] - 1);
    CU_ASSERT_EQUAL((double)rank[1], all[n * n / 2] - 1);
    if (n % 2) CU_ASSERT_EQUAL(rank[0], rank[1]);
  }
}

/* Of `zeros` zeros and of 1, 2, 3, ..., twice each, as a sorted array has it. */
static void medians_with_any_number_of_zeros(void) {
  for (int64_t zeros = 0; zeros <= MOST; zeros++)
    for (int64_t count = zeros == 0; count <= MOST; count++) {
      double all[3 * MOST] = {0}, values[MOST];
      int64_t rank[2], number = zeros + 2 * count;
      for (int64_t k = 0; k < count; k++)
        all[zeros + 2 * k] = all[zeros + 2 * k + 1] = values[k] = (double)(k + 1);
      double lower = number ? all[(number - 1) / 2] : 0, upper = all[number / 2];
      CU_ASSERT_EQUAL(zg_median(zeros, values, count), (lower + upper) / 2);
      zg_median_ranks(zeros, count, rank);
      CU_ASSERT(!count ||
                (lower == (double)rank[0] + 1 && upper == (double)rank[1] + 1));
    }
}

static void ranks_of_huge_matrices_do_not_overflow(void) {
  const int64_t n = 2000000001;
  int64_t rank[2], pairs = n * ((n - 1) / 2);
  zg_median_ranks(n, pairs, rank);
  CU_ASSERT(rank[0] == rank[1] && rank[0] < pairs / 2 && rank[0] > pairs / 2 - n);
}

/* ---- sorting ---- */

static int compare_numbers(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void check_sorted(double *values, int64_t count) {
  double *expected = ZG_NEW(double, count);
  uint64_t *scratch = ZG_NEW(uint64_t, 2 * count);
  for (int64_t k = 0; k < count; k++)
    expected[k] = values[k];
  if (count) qsort(expected, (size_t)count, sizeof *expected, compare_numbers);
  zg_sort(values, count, scratch);
  for (int64_t k = 0; k < count; k++)
    CU_ASSERT_EQUAL(values[k], expected[k]);
  free(scratch);
  free(expected);
}

static void numbers_are_sorted(void) {
  double values[5000];
  for (int64_t count = 0; count <= 5000; count = 2 * count + 1) {
    for (int64_t k = 0; k < count; k++)
      values[k] =
          zg_test_random(5, (unsigned long)k) * pow(10, (double)(k % 600) - 300);
    check_sorted(values, count);
    for (int64_t k = 0; k < count; k++)
      values[k] = floor(4 * zg_test_random(6, (unsigned long)k)); /* ties, zeros */
    check_sorted(values, count);
  }
  double odd[] = {INFINITY, 0.0, -0.0, -5e-324, 5e-324, -INFINITY, 1, -1, DBL_MAX};
  check_sorted(odd, 9);
}

const zg_test zg_tests[] = {
    {"order_statistics_are_those_of_a_sort", order_statistics_are_those_of_a_sort},
    {"selection_from_many_numbers_takes_linear_time",
     selection_from_many_numbers_takes_linear_time},
    {"the_median_is_that_of_the_whole_matrix", the_median_is_that_of_the_whole_matrix},
    {"ranks_are_where_the_middle_values_lie", ranks_are_where_the_middle_values_lie},
    {"medians_with_any_number_of_zeros", medians_with_any_number_of_zeros},
    {"ranks_of_huge_matrices_do_not_overflow", ranks_of_huge_matrices_do_not_overflow},
    {"numbers_are_sorted", numbers_are_sorted},
    {NULL, NULL}};
