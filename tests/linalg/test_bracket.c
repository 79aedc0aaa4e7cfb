/* Brackets around an order statistic: counts against plain loops, whatever the order in
 * which numbers come. */
#include "base/memory.h"
#include "linalg/bracket.h"
#include "mpi_main.h"

#include <math.h>
#include <stdlib.h>

enum { COUNT = 60000, ROOM = 4 * ZG_BRACKET_RUN };

static double random_number(int64_t k) {
  return 0.5 + 0.5 * zg_test_random(41, (unsigned long)k);
}
static double ascending(int64_t k) {
  return (double)k;
}
static double descending(int64_t k) {
  return (double)(COUNT - k);
}
static double two_values(int64_t k) {
  return k % 2 ? 3 : 1;
}
static double few_values(int64_t k) {
  return floor(5 * random_number(k));
}
static double equal(int64_t k) {
  (void)k;
  return 0.25;
}
/* Across many orders of magnitude. */
static double wide(int64_t k) {
  return exp(80 * (random_number(k) - 1));
}
static double zero_or_huge(int64_t k) {
  return k % 3 ? 0x1p100 : 0;
}

typedef struct stream {
  double (*number)(int64_t k);
  bool certain; /* the order is such that the wanted number cannot be lost */
} stream;

static const stream streams[] = {{random_number, true}, {ascending, false},
                                 {descending, false},   {two_values, false},
                                 {few_values, true},    {equal, true},
                                 {wide, true},          {zero_or_huge, true}};

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* What is below, and inside, by looking at all numbers. */
static void check_counts(const zg_bracket *b, const double *numbers) {
  int64_t below = 0, inside = 0;
  double largest = 0;
  for (int64_t k = 0; k < COUNT; k++) {
    below += numbers[k] < b->low;
    inside += numbers[k] >= b->low && numbers[k] < b->high;
    if (numbers[k] < b->low) largest = fmax(largest, numbers[k]);
  }
  CU_ASSERT_EQUAL(b->seen, COUNT);
  CU_ASSERT_EQUAL(b->below, below);
  CU_ASSERT_EQUAL(b->inside, inside);
  CU_ASSERT_EQUAL(b->largest_below, largest);
  for (int64_t k = 0; !b->tied && k < b->inside; k++)
    CU_ASSERT(b->values[k] >= b->low && b->values[k] < b->high);
  CU_ASSERT(b->tied || b->inside <= ROOM);
}

static void check_stream(const stream *s, double share, zg_precision precision) {
  double *numbers = ZG_NEW(double, COUNT), *values = ZG_NEW(double, ROOM);
  float *narrow = ZG_NEW(float, COUNT);
  for (int64_t k = 0; k < COUNT; k++) {
    narrow[k] = (float)s->number(k);
    numbers[k] = precision == ZG_SINGLE ? (double)narrow[k] : s->number(k);
  }
  zg_bracket b;
  zg_bracket_start(&b, 0, INFINITY, values, ROOM);
  for (int64_t at = 0, step = 1; at < COUNT; at += step, step = step * 3 % 5000 + 1) {
    int64_t count = zg_min(step, COUNT - at);
    const void *part = precision == ZG_SINGLE ? (void *)(narrow + at) : numbers + at;
    zg_bracket_add(&b, share, precision, count, part);
  }
  check_counts(&b, numbers);
  qsort(numbers, COUNT, sizeof *numbers, compare);
  double wanted = numbers[(int64_t)(share * COUNT)];
  if (s->certain) CU_ASSERT(wanted >= b.low && wanted < b.high);
  if (b.inside > 2 * ZG_BRACKET_RUN && !b.tied) {
    double low = b.low + (b.high - b.low) / 4, high = b.high - (b.high - b.low) / 4;
    zg_bracket_restrict(&b, low, high);
    check_counts(&b, numbers);
  }
  free(numbers);
  free(narrow);
  free(values);
}

static void counts_are_exact_for_any_stream(void) {
  static const double shares[] = {0.5, 0.1, 0.97};
  for (size_t k = 0; k < sizeof streams / sizeof *streams; k++)
    for (int share = 0; share < 3; share++)
      for (zg_precision p = ZG_SINGLE; p <= ZG_DOUBLE; p++)
        check_stream(&streams[k], shares[share], p);
}

/* The bounds themselves: low is inside, high is not, also between two floats. */
static void bounds_are_compared_exactly(void) {
  double values[2 * ZG_BRACKET_RUN];
  const float numbers[] = {1, nextafterf(1, 2), 2, nextafterf(2, 3)};
  double tiny = 0x1p-40;
  zg_bracket b;
  zg_bracket_start(&b, 1 + tiny, 2 + tiny, values, 2 * ZG_BRACKET_RUN);
  zg_bracket_add(&b, 0.5, ZG_SINGLE, 4, numbers);
  CU_ASSERT_EQUAL(b.below, 1);
  CU_ASSERT_EQUAL(b.inside, 2);
  zg_bracket_start(&b, 1, 2, values, 2 * ZG_BRACKET_RUN);
  zg_bracket_add(&b, 0.5, ZG_SINGLE, 4, numbers);
  CU_ASSERT_EQUAL(b.below, 0);
  CU_ASSERT_EQUAL(b.inside, 2);
}

/* Of numbers that lie in the bracket in groups, alone, or not at all; from any place.
 */
static void check_split(const double *numbers, int64_t count, zg_precision precision,
                        double low, double high) {
  float *narrow = ZG_NEW(float, count);
  double *inside = ZG_NEW(double, count), largest = 0.125, expected_largest = 0.125;
  int64_t below = 3, expected_below = 3, found = 0;
  for (int64_t k = 0; k < count; k++)
    narrow[k] = (float)numbers[k];
  int64_t kept = zg_bracket_split(precision, count,
                                  precision == ZG_SINGLE ? (void *)narrow : numbers,
                                  low, high, &below, &largest, inside);
  for (int64_t k = 0; k < count; k++) {
    double x = precision == ZG_SINGLE ? (double)narrow[k] : numbers[k];
    if (x < low) expected_below++;
    if (x < low) expected_largest = fmax(expected_largest, x);
    if (x >= low && x < high) CU_ASSERT(found < kept && inside[found++] == x);
  }
  CU_ASSERT_EQUAL(kept, found);
  CU_ASSERT_EQUAL(below, expected_below);
  CU_ASSERT_EQUAL(largest, expected_largest);
  free(inside);
  free(narrow);
}

static void numbers_are_split_as_by_a_plain_loop(void) {
  static const double widths[] = {0, 0.001, 0.1, 2};
  double *numbers = ZG_NEW(double, COUNT);
  for (int64_t k = 0; k < COUNT; k++)
    numbers[k] = k % 700 < 50 ? 0.5 : random_number(k);
  for (int w = 0; w < 4; w++)
    for (int64_t count = 0; count < 3000; count += 1 + count / 3)
      for (zg_precision p = ZG_SINGLE; p <= ZG_DOUBLE; p++)
        check_split(numbers + 5 * count, count, p, 0.5, 0.5 + widths[w]);
  free(numbers);
}

const zg_test zg_tests[] = {
    {"counts_are_exact_for_any_stream", counts_are_exact_for_any_stream},
    {"numbers_are_split_as_by_a_plain_loop", numbers_are_split_as_by_a_plain_loop},
    {"bounds_are_compared_exactly", bounds_are_compared_exactly},
    {NULL, NULL}};
