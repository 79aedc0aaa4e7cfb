#include "linalg/kernel.h"

#include "base/memory.h"
#include "linalg/vector.h"

#include <float.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The larger of two numbers <= 0, by their bits: compilers turn a comparison of the
 * numbers themselves into a branch here, and the loop is no longer vector code. */
#define DEFINE_AT_LEAST(suffix, real, bits)                                            \
  static inline real at_least_##suffix(real x, real least) {                           \
    bits a, b;                                                                         \
    memcpy(&a, &x, sizeof a);                                                          \
    memcpy(&b, &least, sizeof b);                                                      \
    a = a < b ? a : b;                                                                 \
    memcpy(&x, &a, sizeof x);                                                          \
    return x;                                                                          \
  }
DEFINE_AT_LEAST(single, float, uint32_t)
DEFINE_AT_LEAST(double, double, uint64_t)

/* exp(x) - base - shift = 2^k (exp(r) - 1) + (2^k - base) - shift with x = k ln 2 + r,
 * |r| <= ln(2)/2, and Taylor's series for exp(r) - 1, which at this length is as good
 * as a minimax polynomial. Without branches, so that loops over it become vector code.
 * The last bits of 1/ln 2 do not matter for k; ln 2 itself is used in two parts. */
static inline float kernel_single(float x, float base, float shift) {
  x = at_least_single(x, -87.0f);
  float k =
      (float)(int32_t)(x * 1.44269504f - 0.5f); /* truncates to nearest for x <= 0 */
  float r = (x - k * 0.693145752f) - k * 1.42860677e-6f;
  float p = 1.0f / 40320;
  p = p * r + 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 1.0f / 2;
  p = p * r * r + r;
  int32_t bits = ((int32_t)k + 127) * (1 << 23);
  float power;
  memcpy(&power, &bits, sizeof power);
  return power * p + ((power - base) - shift);
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
  return kernel_single(x, 1, 0);
}

double zg_expm1_double(double x) {
  return kernel_double(x, 1, 0);
}

/* Distances below this multiple of a + b are rounding: the products of a pair of equal
 * rows and the norms of those rows do not agree to the last bit. */
#define ROUNDING(real_epsilon) (8 * (double)(real_epsilon))

static inline double distance(double a, double b, double product, double rounding) {
  double squared = a + b - 2 * product;
  return squared > rounding * (a + b) ? squared : 0;
}

/* Partial sums, so that a sum is vector code; always the same ones, so that its bits
 * are. */
enum { LANES = 8 };

/* A loop each for what does not depend on the rest: each becomes vector code. */
#define DEFINE_BLOCK_LOOPS(suffix, real, epsilon)                                      \
  ZG_VECTOR static void shift_##suffix(                                                \
      real *restrict v, int64_t rows, const int64_t *restrict row_of,                  \
      const double *restrict u_row, double u_column) {                                 \
    for (int64_t r = 0; r < rows; r++)                                                 \
      v[r] = (real)((double)v[r] - (u_row[row_of[r]] + u_column));                     \
  }                                                                                    \
  ZG_VECTOR static void exponents_##suffix(real *restrict v, int64_t rows,             \
                                           const double *restrict norm_row,            \
                                           double norm, double gamma) {                \
    for (int64_t r = 0; r < rows; r++)                                                 \
      v[r] = (real)(-gamma *                                                           \
                    distance(norm_row[r], norm, (double)v[r], ROUNDING(epsilon)));     \
  }                                                                                    \
  ZG_VECTOR static void exponentials_##suffix(real *restrict v, int64_t rows,          \
                                              real base, real shift, real factor) {    \
    for (int64_t r = 0; r < rows; r++)                                                 \
      v[r] = kernel_##suffix(v[r], base, shift) * factor;                              \
  }                                                                                    \
  ZG_VECTOR static double sums_##suffix(const real *restrict v, int64_t rows,          \
                                        double *restrict sum_row) {                    \
    double lanes[LANES] = {0};                                                         \
    int64_t r = 0;                                                                     \
    for (; r + LANES <= rows; r += LANES)                                              \
      for (int lane = 0; lane < LANES; lane++) {                                       \
        sum_row[r + lane] += (double)v[r + lane];                                      \
        lanes[lane] += (double)v[r + lane];                                            \
      }                                                                                \
    for (; r < rows; r++) {                                                            \
      sum_row[r] += (double)v[r];                                                      \
      lanes[0] += (double)v[r];                                                        \
    }                                                                                  \
    double sum = 0;                                                                    \
    for (int lane = 0; lane < LANES; lane++)                                           \
      sum += lanes[lane];                                                              \
    return sum;                                                                        \
  }                                                                                    \
  static double rbf_##suffix(real *restrict v, int64_t rows,                           \
                             const double *restrict norm_row, double norm,             \
                             const zg_rbf *rbf, double *restrict sum_row) {            \
    exponents_##suffix(v, rows, norm_row, norm, rbf->gamma);                           \
    exponentials_##suffix(v, rows, (real)rbf->base, (real)rbf->shift,                  \
                          (real)(1 / rbf->scale));                                     \
    return sums_##suffix(v, rows, sum_row);                                            \
  }                                                                                    \
  ZG_VECTOR static void distances_##suffix(const real *restrict v, int64_t rows,       \
                                           const double *restrict norm_row,            \
                                           double norm, double *restrict out) {        \
    for (int64_t r = 0; r < rows; r++)                                                 \
      out[r] = distance(norm_row[r], norm, (double)v[r], ROUNDING(epsilon));           \
  }

DEFINE_BLOCK_LOOPS(single, float, FLT_EPSILON)
DEFINE_BLOCK_LOOPS(double, double, DBL_EPSILON)

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

/* Gather by position in the tile what the inner loops want contiguous. */
static void gather(const zg_block *block, const double *by_position, double *by_row) {
  for (int64_t r = 0; r < block->rows; r++)
    by_row[r] = by_position[block->row_of[r]];
}

void zg_block_rbf(zg_block *block, const double *norm_row, const double *norm_column,
                  const zg_rbf *rbf, double *sum_row, double *sum_column) {
  double *norms = ZG_NEW(double, 2 * block->rows), *sums = norms + block->rows;
  gather(block, norm_row, norms);
  memset(sums, 0, (size_t)block->rows * sizeof *sums);
  for (int64_t c = 0; c < block->columns; c++) {
    int64_t skipped;
    void *v = open_column(block, c, &skipped);
    int64_t rows = block->rows - skipped, column = block->column_of[c];
    if (block->precision == ZG_SINGLE)
      sum_column[column] += rbf_single(v, rows, norms + skipped, norm_column[column],
                                       rbf, sums + skipped);
    else
      sum_column[column] += rbf_double(v, rows, norms + skipped, norm_column[column],
                                       rbf, sums + skipped);
  }
  for (int64_t r = 0; r < block->rows; r++)
    sum_row[block->row_of[r]] += sums[r];
  free(norms);
}

void zg_block_distances(const zg_block *block, const double *norm_row,
                        const double *norm_column, double *distances) {
  double *norms = ZG_NEW(double, block->rows);
  gather(block, norm_row, norms);
  for (int64_t c = 0; c < block->columns; c++) {
    int64_t skipped = first_row(block, c), rows = block->rows - skipped;
    const void *v = zg_real_at(block->precision, column_of_block(block, c), skipped);
    double norm = norm_column[block->column_of[c]];
    if (block->precision == ZG_SINGLE)
      distances_single(v, rows, norms + skipped, norm, distances);
    else
      distances_double(v, rows, norms + skipped, norm, distances);
    distances += rows;
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
static double exponentials(int64_t count, double base, double *x) {
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
  return exponentials(count, base, x);
}
