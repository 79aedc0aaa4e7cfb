/** \file
 * Gaussian neighbours: the perplexity that was asked for, closed forms, ties. The
 * normaliser of a map: directly and on a grid against plain loops in long double. */
#include "base/memory.h"
#include "linalg/perplexity.h"
#include "linalg/student.h"
#include "mpi_main.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 400 };

static double noise(unsigned long seed, int64_t k) {
  return zg_test_random(seed, (unsigned long)k);
}

static long double entropy_of(int64_t count, const double *p) {
  long double sum = 0, total = 0;
  for (int64_t k = 0; k < count; k++) {
    total += p[k];
    if (p[k] > 0) sum -= p[k] * logl(p[k]);
  }
  zg_test_close((double)total, 1, 1e-14, "total");
  return sum;
}

/* log p is linear in the distances, with the slope that the nearest has to the farthest
 * that weighs something. */
static void check_exponential(int64_t count, const double *d, const double *p) {
  int64_t near = 0, far = 0;
  for (int64_t j = 0; j < count; j++)
    if (d[j] < d[near]) near = j;
  far = near;
  for (int64_t j = 0; j < count; j++)
    if (p[j] > 1e-6 * p[near] && d[j] > d[far]) far = j;
  double beta = log(p[near] / p[far]) / (d[far] - d[near]);
  for (int64_t j = 0; j < count; j++) {
    double x = beta * (d[j] - d[near]);
    if (x < 500) zg_test_close(log(p[near] / p[j]), x, 1e-11 * (1 + x), "weight");
  }
}

static void the_perplexity_is_what_was_asked_for(void) {
  static const double perplexities[] = {1.01, 2, 5, 30, 200, 398.9};
  static const double scales[] = {1e-200, 1e-9, 1, 1e9, 1e200};
  double d[MOST], p[MOST];
  for (int s = 0; s < 5; s++)
    for (int k = 0; k < 6; k++) {
      for (int j = 0; j < MOST; j++) /* distances over many orders of magnitude */
        d[j] = scales[s] * pow(10, 3 * noise(3, j));
      CU_ASSERT(zg_perplexity_weights(MOST, d, perplexities[k], p));
      zg_test_close((double)entropy_of(MOST, p), log(perplexities[k]), 1e-10,
                    "log of the perplexity");
      check_exponential(MOST, d, p);
    }
}

static void equal_distances_weigh_the_same(void) {
  double d[MOST], p[MOST];
  for (int j = 0; j < MOST; j++)
    d[j] = 3 + (j % 3 - 1) * 1e-15;
  CU_ASSERT(zg_perplexity_weights(MOST, d, 7, p));
  for (int j = 0; j < MOST; j++)
    CU_ASSERT_EQUAL(p[j], 1. / MOST);
}

static void more_nearest_neighbours_than_the_perplexity_are_refused(void) {
  double d[MOST], p[MOST];
  for (int j = 0; j < MOST; j++)
    d[j] = j < 30 ? 1e-17 * j : 1 + j;
  CU_ASSERT_FALSE(zg_perplexity_weights(MOST, d, 29, p));
  CU_ASSERT(zg_perplexity_weights(MOST, d, 31, p));
}

/* ---- normalisers ---- */

enum { POINTS = 1500 };

static long double plain(const zg_map_points *map) {
  long double sum = 0;
  for (int64_t i = 0; i < map->n; i++)
    for (int64_t j = 0; j < map->n; j++) {
      long double squares = 1;
      for (int k = 0; k < map->axes; k++)
        squares += powl((long double)map->y[k][i] - map->y[k][j], 2);
      if (i != j) sum += 1 / squares;
    }
  return sum;
}

/* Clusters of this size, so far apart. */
static void check_map(int axes, double size, double apart) {
  static double y[ZG_STUDENT_AXES][POINTS];
  zg_map_points map = {.n = POINTS, .axes = axes, .y = {y[0], y[1], y[2]}};
  for (int k = 0; k < ZG_STUDENT_AXES; k++)
    for (int i = 0; i < POINTS; i++)
      y[k][i] = k < axes ? 100 + size * noise(20 + (unsigned long)k, i) +
                               apart * noise(30 + (unsigned long)k, i % 7)
                         : 0;
  double expected = (double)plain(&map), sum = 0;
  zg_test_close(zg_student_direct(&map) / expected, 1, 1e-13, "direct sum");
  CU_ASSERT(zg_student_grid(&map, &sum));
  zg_test_close(sum / expected, 1, 1e-4, "sum on a grid");
}

static void sums_on_a_grid_are_close_to_direct_ones(void) {
  check_map(2, 1e-6, 0);
  check_map(2, 0.3, 0);
  check_map(2, 3, 20);
  check_map(2, 0.01, 60);
  check_map(2, 100, 0);
  check_map(2, 200, 30);
  check_map(3, 0.5, 0);
  check_map(3, 2, 5);
  check_map(3, 1, 12);
}

/* Three points from `low` on, alike along all axes. */
static void check_corner(int axes, double low) {
  static const double zero[3];
  const double y[3] = {low, low + 0.3, low + 0.9};
  zg_map_points map = {.n = 3, .axes = axes, .y = {y, axes > 1 ? y : zero, zero}};
  double expected = (double)plain(&map), sum = 0;
  CU_ASSERT(zg_student_grid(&map, &sum));
  zg_test_close(sum / expected, 1, 1e-4, "corner of a grid");
}

/* Where the grid begins beyond a power of two, rounding may leave the first point an
 * ulp before its node. */
static void no_corner_is_left_of_the_grid(void) {
  static const double lows[] = {-127.9, -0.1, -0.9, -3.95, -1023.8, 0.1, 127.9};
  for (size_t k = 0; k < sizeof lows / sizeof *lows; k++)
    for (int step = 0; step < 40; step++)
      for (int axes = 1; axes <= 2; axes++)
        check_corner(axes, lows[k] * (1 + 1e-5 * step / 3));
}

static void maps_that_are_too_wide_have_no_grid(void) {
  static double x[2] = {0, 1e9}, zero[2];
  zg_map_points map = {.n = 2, .axes = 2, .y = {x, zero, zero}};
  double sum;
  CU_ASSERT_FALSE(zg_student_grid(&map, &sum));
  zg_test_close(zg_student_normaliser(&map), 2e-18, 1e-30, "two points");
  x[1] = 3e5; /* of which no axis is too wide */
  zg_map_points cube = {.n = 2, .axes = 3, .y = {x, x, x}};
  CU_ASSERT_FALSE(zg_student_grid(&cube, &sum));
}

const zg_test zg_tests[] = {
    {"the_perplexity_is_what_was_asked_for", the_perplexity_is_what_was_asked_for},
    {"equal_distances_weigh_the_same", equal_distances_weigh_the_same},
    {"more_nearest_neighbours_than_the_perplexity_are_refused",
     more_nearest_neighbours_than_the_perplexity_are_refused},
    {"sums_on_a_grid_are_close_to_direct_ones",
     sums_on_a_grid_are_close_to_direct_ones},
    {"no_corner_is_left_of_the_grid", no_corner_is_left_of_the_grid},
    {"maps_that_are_too_wide_have_no_grid", maps_that_are_too_wide_have_no_grid},
    {NULL, NULL}};
