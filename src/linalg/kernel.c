#include "linalg/kernel.h"

#include "base/memory.h"
#include "linalg/column.h"
#include "linalg/vector.h"

#include <float.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The larger of two numbers <= 0, as in linalg/column.c, whose method this is with more
 * terms. */
static inline double at_least_double(double x, double least) {
  uint64_t a, b;
  memcpy(&a, &x, sizeof a);
  memcpy(&b, &least, sizeof b);
  a = a < b ? a : b;
  memcpy(&x, &a, sizeof x);
  return x;
}

static inline double kernel_double(double x, double base, double shift) {
  x = at_least_double(x, -700.0);
  double k = (double)(int32_t)(x * 1.4426950408889634 - 0.5);
  double r = (x - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33;
  double p = 1.0 / 1307674368000.0;
  p = p * r + 1.0 / 87178291200.0;
  p = p * r + 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 1.0 / 2.0;
  p = p * r * r + r;
  int64_t bits = ((int64_t)k + 1023) * ((int64_t)1 << 52);
  double power;
  memcpy(&power, &bits, sizeof power);
  return power * p + ((power - base) - shift);
}

float zg_expm1_single(float x) {
  return zg_column_expm1(x);
}

double zg_expm1_double(double x) {
  return kernel_double(x, 1, 0);
}

/* Distances below this multiple of a + b are rounding: the products of a pair of equal
 * rows and the norms of those rows do not agree to the last bit. */
static inline double distance(double a, double b, double product) {
  double squared = a + b - 2 * product;
  return squared > 8 * DBL_EPSILON * (a + b) ? squared : 0;
}

/* Partial sums, so that a sum is vector code; always the same ones, so that its bits
 * are. */
enum { LANES = 8 };

/* ---- columns in double; linalg/column.h has those in single precision ---- */

#define DEFINE_SHIFT(suffix, real)                                                     \
  ZG_VECTOR static void shift_##suffix(                                                \
      real *restrict v, int64_t rows, const int64_t *restrict row_of,                  \
      const double *restrict u_row, double u_column) {                                 \
    for (int64_t r = 0; r < rows; r++)                                                 \
      v[r] = (real)((double)v[r] - (u_row[row_of[r]] + u_column));                     \
  }
DEFINE_SHIFT(single, float)
DEFINE_SHIFT(double, double)

ZG_VECTOR static void exponents(double *restrict v, int64_t rows,
                                const double *restrict norm_row, double norm,
                                double gamma) {
  for (int64_t r = 0; r < rows; r++)
    v[r] = -gamma * distance(norm_row[r], norm, v[r]);
}

ZG_VECTOR static void exponentials(double *restrict v, int64_t rows, double base,
                                   double shift, double factor) {
  for (int64_t r = 0; r < rows; r++)
    v[r] = kernel_double(v[r], base, shift) * factor;
}

ZG_VECTOR static double sums(const double *restrict v, int64_t rows,
                             double *restrict sum_row) {
  double lanes[LANES] = {0};
  int64_t r = 0;
  for (; r + LANES <= rows; r += LANES)
    for (int lane = 0; lane < LANES; lane++) {
      sum_row[r + lane] += v[r + lane];
      lanes[lane] += v[r + lane];
    }
  for (; r < rows; r++) {
    sum_row[r] += v[r];
    lanes[0] += v[r];
  }
  double sum = 0;
  for (int lane = 0; lane < LANES; lane++)
    sum += lanes[lane];
  return sum;
}

ZG_VECTOR static void distances_of(int64_t rows, const double *restrict v,
                                   const double *restrict norm_row, double norm,
                                   double *restrict out) {
  for (int64_t r = 0; r < rows; r++)
    out[r] = distance(norm_row[r], norm, v[r]);
}

/* ---- blocks ---- */

static void *column_of_block(const zg_block *block, int64_t c) {
  return zg_real_at(block->precision, block->values, c * block->leading);
}

/* First row of column c that counts. Positions of rows ascend within a block. */
static int64_t first_row(const zg_block *block, int64_t c) {
  if (!block->diagonal) return 0;
  int64_t low = 0, high = block->rows;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (block->row_of[middle] > block->column_of[c])
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* Make everything on and above the diagonal zero, and say where the rest of the column
 * is. */
static void *open_column(const zg_block *block, int64_t c, int64_t *skipped) {
  *skipped = first_row(block, c);
  void *column = column_of_block(block, c);
  memset(column, 0, (size_t)*skipped * zg_real_size(block->precision));
  return zg_real_at(block->precision, column, *skipped);
}

int64_t zg_block_entries(const zg_block *block) {
  int64_t entries = 0;
  for (int64_t c = 0; c < block->columns; c++)
    entries += block->rows - first_row(block, c);
  return entries;
}

void zg_block_clear(const zg_block *block) {
  int64_t skipped;
  for (int64_t c = 0; block->diagonal && c < block->columns; c++)
    open_column(block, c, &skipped);
}

void zg_block_shift(zg_block *block, const double *u_row, const double *u_column) {
  for (int64_t c = 0; c < block->columns; c++) {
    int64_t skipped;
    void *v = open_column(block, c, &skipped);
    int64_t rows = block->rows - skipped;
    double u = u_column[block->column_of[c]];
    if (block->precision == ZG_SINGLE)
      shift_single(v, rows, block->row_of + skipped, u_row, u);
    else
      shift_double(v, rows, block->row_of + skipped, u_row, u);
  }
}

/* Gather by position in the tile what the inner loops want contiguous, in the block's
 * precision. The caller frees. */
static void *gather(const zg_block *block, const double *by_position) {
  void *by_row = zg_alloc(block->rows, zg_real_size(block->precision));
  for (int64_t r = 0; r < block->rows; r++)
    if (block->precision == ZG_SINGLE)
      ((float *)by_row)[r] = (float)by_position[block->row_of[r]];
    else
      ((double *)by_row)[r] = by_position[block->row_of[r]];
  return by_row;
}

static void rbf_double(zg_block *block, const double *norm_column, const zg_rbf *rbf,
                       const double *norms, double *sum_row, double *sum_column) {
  for (int64_t c = 0; c < block->columns; c++) {
    int64_t skipped, column = block->column_of[c];
    double *v = open_column(block, c, &skipped);
    int64_t rows = block->rows - skipped;
    exponents(v, rows, norms + skipped, norm_column[column], rbf->gamma);
    exponentials(v, rows, rbf->base, rbf->shift, 1 / rbf->scale);
    sum_column[column] += sums(v, rows, sum_row + skipped);
  }
}

/* Row sums are in single precision over so many columns. */
enum { SINGLE_COLUMNS = 192 };

static void rbf_single(zg_block *block, const double *norm_column, const zg_rbf *rbf,
                       const float *norms, double *sum_row, double *sum_column) {
  zg_column_rbf kernel = {.gamma = (float)rbf->gamma,
                          .base = (float)rbf->base,
                          .shift = (float)rbf->shift,
                          .factor = (float)(1 / rbf->scale)};
  float *row = ZG_NEW0(float, block->rows);
  for (int64_t c = 0; c < block->columns; c++) {
    int64_t skipped, column = block->column_of[c];
    float *v = open_column(block, c, &skipped);
    sum_column[column] +=
        zg_column_kernel(block->rows - skipped, v, norms + skipped,
                         (float)norm_column[column], &kernel, row + skipped);
    bool last = (c + 1) % SINGLE_COLUMNS == 0 || c + 1 == block->columns;
    for (int64_t r = 0; last && r < block->rows; r++) {
      sum_row[r] += (double)row[r];
      row[r] = 0;
    }
  }
  free(row);
}

void zg_block_rbf(zg_block *block, const double *norm_row, const double *norm_column,
                  const zg_rbf *rbf, double *sum_row, double *sum_column) {
  void *norms = gather(block, norm_row);
  double *by_row = ZG_NEW0(double, block->rows);
  if (block->precision == ZG_SINGLE)
    rbf_single(block, norm_column, rbf, norms, by_row, sum_column);
  else
    rbf_double(block, norm_column, rbf, norms, by_row, sum_column);
  for (int64_t r = 0; r < block->rows; r++)
    sum_row[block->row_of[r]] += by_row[r];
  free(by_row);
  free(norms);
}

void zg_block_distances(const zg_block *block, const double *norm_row,
                        const double *norm_column, void *distances) {
  void *norms = gather(block, norm_row);
  int64_t done = 0;
  for (int64_t c = 0; c < block->columns; c++) {
    int64_t skipped = first_row(block, c), rows = block->rows - skipped;
    const void *v = zg_real_at(block->precision, column_of_block(block, c), skipped);
    const void *norm = zg_real_at(block->precision, norms, skipped);
    void *to = zg_real_at(block->precision, distances, done);
    double other = norm_column[block->column_of[c]];
    if (block->precision == ZG_SINGLE)
      zg_column_distances(rows, v, norm, (float)other, to);
    else
      distances_of(rows, v, norm, other, to);
    done += rows;
  }
  free(norms);
}

void zg_block_narrow(const zg_block *block, float *values) {
  const double *wide = block->values;
  for (int64_t k = 0; k < block->rows * block->columns; k++)
    values[k] = (float)wide[k];
}

void zg_ucentring_shift(int64_t count, const double *norms, double trace, int64_t n,
                        double *u) {
  double m = (double)n;
  double constant = trace / (2 * (m - 1) * (m - 2));
  for (int64_t a = 0; a < count; a++)
    u[a] = constant - norms[a] / (m - 2);
}

ZG_VECTOR
static double all_exponentials(int64_t count, double base, double *x) {
  double lanes[LANES] = {0}, sum = 0;
  int64_t k = 0;
  for (; k + LANES <= count; k += LANES)
    for (int lane = 0; lane < LANES; lane++) {
      x[k + lane] = kernel_double(x[k + lane], base, 0);
      lanes[lane] += x[k + lane];
    }
  for (; k < count; k++) {
    x[k] = kernel_double(x[k], base, 0);
    sum += x[k];
  }
  for (int lane = 0; lane < LANES; lane++)
    sum += lanes[lane];
  return sum;
}

double zg_exponentials(int64_t count, double base, double *x) {
  return all_exponentials(count, base, x);
}
