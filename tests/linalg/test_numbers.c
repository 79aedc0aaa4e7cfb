/** \file
 * Runs of numbers: which of them can be squared, how far two runs are apart, as vectors
 * and as step functions. */
#include "base/memory.h"
#include "linalg/numbers.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>

enum { COUNT = 37 };

/* The sum of squares, times 2^40, against the largest double: about 1.8e308. */
static void squares_need_room_for_sums(void) {
  static const struct {
    double value;
    bool fits;
  } cases[] = {{0, true},        {1, true},          {-1e147, true},
               {1.2e148, true},  {1.4e148, false},   {-1e154, false},
               {1.7e308, false}, {-INFINITY, false}, {NAN, false}};
  double x[COUNT];
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
    for (int at = 0; at < COUNT; at++) {
      for (int j = 0; j < COUNT; j++)
        x[j] = j == at ? cases[k].value : 3;
      CU_ASSERT_EQUAL(zg_can_be_squared(COUNT, x), cases[k].fits);
    }
  for (int j = 0; j < COUNT; j++)
    x[j] = 1e148;
  CU_ASSERT_FALSE(zg_can_be_squared(COUNT, x)); /* one by one they could */
  CU_ASSERT(zg_can_be_squared(1, x) && zg_can_be_squared(0, x));
}

/* Sides 3 and 4 in places of their own, of any size; what both have does not matter. */
static void distances_of_any_size(void) {
  static const double units[] = {1, -7e-300, 1e-200, 3e-160, 2e160, -1e200, 3e307};
  for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
    double x[COUNT] = {0}, y[COUNT] = {0}, unit = units[k];
    CU_ASSERT_EQUAL(zg_distance(COUNT, x, y), 0);
    x[5] = y[5] = 8e307;
    x[2] = 3 * unit / 2, y[2] = -3 * unit / 2;
    y[COUNT - 1] = 4 * unit;
    zg_test_close(zg_distance(COUNT, x, y) / fabs(unit), 5, 8 * DBL_EPSILON,
                  "distance");
    CU_ASSERT_EQUAL(zg_distance(COUNT, y, x), zg_distance(COUNT, x, y));
    CU_ASSERT_EQUAL(zg_distance(COUNT, x, x), 0);
  }
}

static void lengths_of_any_size(void) {
  static const double units[] = {1, -7e-300, 1e-200, 3e-160, 2e160, -1e200, 3e307};
  for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
    double x[COUNT] = {[2] = 3 * units[k], [COUNT - 1] = 4 * units[k]};
    zg_test_close(zg_length(COUNT, x) / fabs(units[k]), 5, 8 * DBL_EPSILON, "length");
  }
  const double zeros[COUNT] = {0}, infinite[2] = {1, -INFINITY}, none[2] = {NAN, 1};
  CU_ASSERT(zg_length(COUNT, zeros) == 0 && zg_length(0, zeros) == 0);
  CU_ASSERT(!isfinite(zg_length(2, infinite)) && isnan(zg_length(2, none)));
}

/* Both functions on the n m pieces that their steps have in common. */
static double by_pieces(int64_t n, const double *x, int64_t m, const double *y) {
  long double sum = 0;
  for (int64_t piece = 0; piece < n * m; piece++) {
    long double difference = (long double)x[piece / m] - y[piece / n];
    sum += difference * difference;
  }
  return (double)(sum / (long double)(n * m));
}

static void steps_are_integrated(void) {
  const double two[] = {1, 5}, three[] = {0, 3, 6};
  double x[COUNT], y[COUNT];
  for (int k = 0; k < COUNT; k++) {
    x[k] = zg_test_random(1, (unsigned long)k);
    y[k] = 3 + zg_test_random(2, (unsigned long)k);
  }
  /* cut at 1/3, 1/2 and 2/3 */
  zg_test_close(zg_step_integral(2, two, 3, three), (2 * 1 + 4 + 4 + 2 * 1) / 6., 1e-15,
                "two and three steps");
  for (int64_t n = 1; n <= COUNT; n++)
    for (int64_t m = 1; m <= COUNT; m += 5) {
      double expected = by_pieces(n, x, m, y);
      zg_test_close(zg_step_integral(n, x, m, y), expected, 1e-14 * expected, "steps");
    }
}

const zg_test zg_tests[] = {{"squares_need_room_for_sums", squares_need_room_for_sums},
                            {"lengths_of_any_size", lengths_of_any_size},
                            {"distances_of_any_size", distances_of_any_size},
                            {"steps_are_integrated", steps_are_integrated},
                            {NULL, NULL}};
