/** \file
 * Area averages against integrals of the piecewise constant map by brute force. */
#include "linalg/resample.h"
#include "mpi_main.h"

#include <stdlib.h>

enum { MOST = 7 };

/* The mean over one cell, from points on a lattice so fine that both grids divide it.
 */
static double brute_force(int64_t h, int64_t w, const double *map, const int64_t *grid,
                          int64_t row, int64_t column) {
  long double sum = 0;
  for (int64_t y = row * h; y < (row + 1) * h; y++) /* in parts of 1/(h grid[0]) */
    for (int64_t x = column * w; x < (column + 1) * w; x++)
      sum += (long double)map[y / grid[0] * w + x / grid[1]];
  return (double)(sum / (long double)(h * w));
}

static void check(int64_t h, int64_t w, const int64_t *grid) {
  double map[MOST * MOST], mean[MOST * MOST];
  for (int64_t k = 0; k < h * w; k++)
    map[k] = zg_test_random(1, (unsigned long)k);
  zg_area_average(h, w, map, grid, mean);
  for (int64_t y = 0; y < grid[0]; y++)
    for (int64_t x = 0; x < grid[1]; x++)
      CU_ASSERT_DOUBLE_EQUAL(mean[y * grid[1] + x], brute_force(h, w, map, grid, y, x),
                             1e-14);
}

static void cells_count_by_the_area_in_common(void) {
  for (int64_t h = 1; h <= MOST; h++)
    for (int64_t w = 1; w <= MOST; w++)
      for (int64_t rows = 1; rows <= MOST; rows++)
        for (int64_t columns = 1; columns <= MOST; columns++)
          check(h, w, (const int64_t[]){rows, columns});
}

const zg_test zg_tests[] = {
    {"cells_count_by_the_area_in_common", cells_count_by_the_area_in_common},
    {NULL, NULL}};
