/** \file
 * Order statistics found by counting in slices, against sorting everything. */
#include "linalg/search.h"
#include "linalg/select.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { COUNT = 400, SLICES = 7 };

/* Numbers >= 0 of several kinds: of all sizes, many ties, all equal, two far apart,
 * some of them zero. */
enum { KINDS = 5 };
static double number(int kind, int64_t k) {
  double random = fabs(zg_test_random(11, (unsigned long)k));
  switch (kind) {
  case 0:
    return ldexp(1 + random, (int)(k % 2000) - 1000);
  case 1:
    return floor(6 * random);
  case 2:
    return 5;
  case 3:
    return k % 2 ? 1e-300 : 1e300;
  default:
    return random < 0.3 ? 0 : random;
  }
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void keys_have_the_order_of_numbers(void) {
  const double ascending[] = {0, 0x1p-1074,       DBL_MIN, 0.5,
                              1, 1 + DBL_EPSILON, DBL_MAX, INFINITY};
  for (int k = 0; k < 8; k++) {
    CU_ASSERT_EQUAL(zg_value_of(zg_key_of(ascending[k])), ascending[k]);
    if (k) CU_ASSERT(zg_key_of(ascending[k - 1]) < zg_key_of(ascending[k]));
  }
}

/* One sweep: counts by slice, or what is inside. */
static int64_t sweep(const zg_search *s, const double *numbers, double *inside,
                     int64_t *below, double *largest) {
  for (int64_t k = 0; k < COUNT; k++)
    inside[k] = numbers[k];
  return zg_split(inside, COUNT, zg_value_of(s->low), zg_value_of(s->high), below,
                  largest);
}

/* Find two neighbouring ranks from a bracket on. */
static double find(zg_search s, const double *numbers, const int64_t rank[2],
                   int64_t few) {
  static double inside[COUNT];
  int64_t below, sweeps = 0;
  double largest;
  while (!zg_search_is_narrow(&s, few)) {
    int64_t counts[SLICES] = {0};
    int64_t count = sweep(&s, numbers, inside, &below, &largest);
    zg_search_count(&s, count, inside, SLICES, counts);
    zg_search_narrow(&s, rank[1], below, SLICES, counts);
    CU_ASSERT(++sweeps < 64);
    if (sweeps == 64) return NAN;
  }
  int64_t count = sweep(&s, numbers, inside, &below, &largest);
  CU_ASSERT(count == s.inside && below == s.below);
  bool tied = s.inside > few; /* then nothing needs to be collected */
  return zg_search_middle(&s, rank, few, tied ? NULL : inside, largest);
}

static void check(int kind, zg_search start) {
  static double numbers[COUNT], sorted[COUNT];
  for (int64_t k = 0; k < COUNT; k++)
    numbers[k] = sorted[k] = number(kind, k);
  qsort(sorted, COUNT, sizeof *sorted, compare);
  for (int64_t upper = 0; upper < COUNT; upper++)
    for (int64_t lower = upper - 1; lower <= upper; lower++)
      for (int64_t few = 1; few <= COUNT; few *= 50) {
        int64_t rank[2] = {lower, upper};
        double beneath = lower < 0 ? 0 : sorted[lower]; /* -1: a zero beside them */
        CU_ASSERT_EQUAL(find(start, numbers, rank, few),
                        0.5 * (beneath + sorted[upper]));
      }
}

static void values_are_those_of_a_sort(void) {
  const zg_search all = {.high = zg_key_of(INFINITY), .inside = COUNT};
  for (int kind = 0; kind < KINDS; kind++)
    check(kind, all);
}

/* What is not in the bracket is looked for on the side on which it lies. */
static void a_bracket_may_miss_the_value(void) {
  const zg_search guess = {
      .low = zg_key_of(0.5), .high = zg_key_of(0.75), .inside = -1};
  for (int kind = 0; kind < KINDS; kind++)
    check(kind, guess);
}

/* Slices of one number each: what is left are `held` numbers about the place. */
static void check_focus(double wanted, double share, int64_t first, int64_t held) {
  const int64_t counts[SLICES] = {1, 1, 1, 1, 1, 1, 1};
  const uint64_t from = zg_key_of(1);
  zg_search s = {.low = from, .high = from + SLICES};
  CU_ASSERT(zg_search_focus(&s, wanted, share, SLICES, counts));
  CU_ASSERT_EQUAL(s.low, from + (uint64_t)first);
  CU_ASSERT_EQUAL(s.high - s.low, (uint64_t)held);
}

static void a_bracket_is_narrowed_about_a_place(void) {
  check_focus(3.5, 3.1 / SLICES, 2, 3);
  check_focus(3.5, 0, 3, 1); /* never nothing */
  check_focus(0.5, 4.1 / SLICES, 0, 4);
  check_focus(6.5, 2.1 / SLICES, 5, 2);
  const int64_t counts[SLICES] = {1, 1};
  zg_search s = {.low = zg_key_of(1), .high = zg_key_of(2)}, before = s;
  CU_ASSERT(!zg_search_focus(&s, -0.5, 0.5, SLICES, counts));
  CU_ASSERT(!zg_search_focus(&s, 2, 0.5, SLICES, counts));
  CU_ASSERT(s.low == before.low && s.high == before.high);
}

const zg_test zg_tests[] = {
    {"keys_have_the_order_of_numbers", keys_have_the_order_of_numbers},
    {"values_are_those_of_a_sort", values_are_those_of_a_sort},
    {"a_bracket_may_miss_the_value", a_bracket_may_miss_the_value},
    {"a_bracket_is_narrowed_about_a_place", a_bracket_is_narrowed_about_a_place},
    {NULL, NULL}};
