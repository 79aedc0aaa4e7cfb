#include "linalg/resample.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* The part of new cell `cell` of `cells` that lies in old cell k of `old`: lengths are
 * counted in parts of 1/(old cells), so that they are whole numbers. */
static double overlap(int64_t old, int64_t k, int64_t cells, int64_t cell) {
  int64_t start = zg_max(cell * old, k * cells);
  int64_t end = zg_min((cell + 1) * old, (k + 1) * cells);
  return (double)(end - start) / (double)old;
}

/* sum[.] += weight row[.] */
static void add_row(int64_t count, double weight, const double *row, double *sum) {
  for (int64_t k = 0; k < count; k++)
    sum[k] += weight * row[k];
}

/* Averages along the first axis: [old, count] to [cells, count]. */
static void average_rows(int64_t old, int64_t count, const double *in, int64_t cells,
                         double *out) {
  memset(out, 0, (size_t)(cells * count) * sizeof *out);
  for (int64_t cell = 0; cell < cells; cell++)
    for (int64_t k = cell * old / cells; k * cells < (cell + 1) * old; k++)
      add_row(count, overlap(old, k, cells, cell), in + k * count, out + cell * count);
}

/* The same along the second axis: [count, old] to [count, cells]. */
static void average_columns(int64_t count, int64_t old, const double *in, int64_t cells,
                            double *out) {
  memset(out, 0, (size_t)(cells * count) * sizeof *out);
  for (int64_t cell = 0; cell < cells; cell++)
    for (int64_t k = cell * old / cells; k * cells < (cell + 1) * old; k++) {
      double weight = overlap(old, k, cells, cell);
      for (int64_t r = 0; r < count; r++)
        out[r * cells + cell] += weight * in[r * old + k];
    }
}

void zg_area_average(int64_t h, int64_t w, const double *map, const int64_t grid[2],
                     double *mean) {
  double *rows = ZG_NEW(double, grid[0] * w);
  average_rows(h, w, map, grid[0], rows);
  average_columns(grid[0], w, rows, grid[1], mean);
  free(rows);
}
