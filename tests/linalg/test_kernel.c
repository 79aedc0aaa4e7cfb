/** \file
 * From inner products to kernels, against plain loops in long double, on every kind of
 * block that a tile is made of. */
#include "linalg/kernel.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 23, COLUMNS = 17, WIDTH = 5 };

static double epsilon_of(zg_precision precision) {
  return precision == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON;
}

/* ---- expm1 ---- */

static void check_expm1(long double found, long double x, double bound, double *worst) {
  long double expected = expm1l(x);
  double error = (double)fabsl((found - expected) / (x == 0 ? 1 : expected));
  *worst = fmax(*worst, error);
  if (error > bound) zg_test_close((double)found, (double)expected, bound, "expm1");
}

static void expm1_in_single_is_within_its_error_everywhere(void) {
  double worst = 0;
  /* Every 997th negative float from the smallest subnormal to -87. */
  for (uint32_t bits = 0x80000001u; bits < 0xc2ae0000u; bits += 997) {
    float x;
    memcpy(&x, &bits, sizeof x);
    check_expm1(zg_expm1_single(x), x, 0x1p-22, &worst);
  }
  CU_ASSERT(worst <= 0x1p-22);
}

static void expm1_in_double_is_within_its_error_everywhere(void) {
  double worst = 0;
  const uint64_t first = 0x8000000000000001u, last = 0xc085e00000000000u; /* -700 */
  const uint64_t step = (last - first) / 1000003;
  for (uint64_t bits = first; bits < last; bits += step) {
    double x;
    memcpy(&x, &bits, sizeof x);
    check_expm1(zg_expm1_double(x), x, 0x1p-51, &worst);
  }
  for (int k = 0; k <= 200000; k++) { /* and evenly where kernels have their values */
    double x = -20.0 * k / 200000;
    check_expm1(zg_expm1_double(x), x, 0x1p-51, &worst);
  }
  CU_ASSERT(worst <= 0x1p-51);
}

static void expm1_of_zero_is_zero_and_far_out_it_is_minus_one(void) {
  CU_ASSERT_EQUAL(zg_expm1_single(0), 0);
  CU_ASSERT_EQUAL(zg_expm1_double(0), 0);
  CU_ASSERT_EQUAL(zg_expm1_single(-0.0f), 0);
  CU_ASSERT_EQUAL(zg_expm1_single(-1e30f), -1);
  CU_ASSERT_EQUAL(zg_expm1_double(-1e300), -1);
  CU_ASSERT_EQUAL(zg_expm1_single(-INFINITY), -1);
  CU_ASSERT_EQUAL(zg_expm1_double(-INFINITY), -1);
}

/* ---- blocks ---- */

/* Samples, some of them equal; a side's positions in the tile are those of samples
 * `start`, start + 1, ... */
static double feature(int64_t sample, int64_t k) {
  int64_t source = sample % 7 == 3 ? 2 : sample; /* 3, 10, 17, ... are copies of 2 */
  return zg_test_random(11, (unsigned long)(source * WIDTH + k));
}

static double product_of(int64_t a, int64_t b) {
  double sum = 0;
  for (int64_t k = 0; k < WIDTH; k++)
    sum += feature(a, k) * feature(b, k);
  return sum;
}

static double *norms_of(int64_t start, int64_t count) {
  double *norms = malloc((size_t)count * sizeof *norms);
  for (int64_t a = 0; a < count; a++)
    norms[a] = product_of(start + a, start + a);
  return norms;
}

/* A part of a tile: which positions it has along each axis. */
typedef struct part {
  const char *name;
  bool diagonal;
  int row_block, row_me, row_processes;
  int column_block, column_me, column_processes;
} part;

static const part parts[] = {
    {"a whole tile", false, 64, 0, 1, 64, 0, 1},
    {"a whole diagonal tile", true, 64, 0, 1, 64, 0, 1},
    {"part (0, 1) of 2 x 3", false, 4, 0, 2, 4, 1, 3},
    {"part (0, 0) of 2 x 2 on the diagonal", true, 3, 0, 2, 3, 0, 2},
    {"part (1, 0) of 2 x 2 on the diagonal", true, 3, 1, 2, 3, 0, 2},
    {"part (0, 1) of 2 x 2 on the diagonal", true, 3, 0, 2, 3, 1, 2},
    {"part (0, 4) of 1 x 5 with blocks of one", true, 1, 0, 1, 1, 4, 5},
    {"a part without columns", false, 32, 0, 1, 32, 3, 4}};

static int64_t positions(int64_t count, int block, int me, int processes, int64_t *of) {
  int64_t local = 0;
  for (int64_t k = 0; k < count; k++)
    if (k / block % processes == me) of[local++] = k;
  return local;
}

/* A block of inner products with what a test needs beside it. */
typedef struct fixture {
  zg_block block;
  int64_t tile_rows, tile_columns, column_start;
  int64_t row_of[ROWS], column_of[ROWS];
  double *norm_row, *norm_column;
} fixture;

static double entry(const zg_block *block, int64_t r, int64_t c) {
  int64_t at = c * block->leading + r;
  return block->precision == ZG_SINGLE ? (double)((const float *)block->values)[at]
                                       : ((const double *)block->values)[at];
}

static void set_entry(const zg_block *block, int64_t r, int64_t c, double value) {
  int64_t at = c * block->leading + r;
  if (block->precision == ZG_SINGLE)
    ((float *)block->values)[at] = (float)value;
  else
    ((double *)block->values)[at] = value;
}

static bool counts(const zg_block *block, int64_t r, int64_t c) {
  return !block->diagonal || block->row_of[r] > block->column_of[c];
}

/* What does not count is NaN, as nobody may read it. */
static void set_up(fixture *f, const part *p, zg_precision precision) {
  *f = (fixture){.tile_rows = ROWS,
                 .tile_columns = p->diagonal ? ROWS : COLUMNS,
                 .column_start = p->diagonal ? 0 : ROWS};
  zg_block *b = &f->block;
  *b = (zg_block){.precision = precision,
                  .row_of = f->row_of,
                  .column_of = f->column_of,
                  .diagonal = p->diagonal};
  b->rows = positions(ROWS, p->row_block, p->row_me, p->row_processes, f->row_of);
  b->leading = b->rows;
  b->columns = positions(f->tile_columns, p->column_block, p->column_me,
                         p->column_processes, f->column_of);
  b->values = calloc((size_t)(b->rows * b->columns) + 1, sizeof(double));
  for (int64_t c = 0; c < b->columns; c++)
    for (int64_t r = 0; r < b->rows; r++)
      set_entry(b, r, c,
                counts(b, r, c)
                    ? product_of(f->row_of[r], f->column_start + f->column_of[c])
                    : NAN);
  f->norm_row = norms_of(0, f->tile_rows);
  f->norm_column = norms_of(f->column_start, f->tile_columns);
}

static void tear_down(fixture *f) {
  free(f->block.values);
  free(f->norm_row);
  free(f->norm_column);
}

static void for_every_part(void (*check)(fixture *f)) {
  for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
    for (zg_precision precision = ZG_SINGLE; precision <= ZG_DOUBLE; precision++) {
      fixture f;
      set_up(&f, &parts[k], precision);
      check(&f);
      tear_down(&f);
    }
}

static void check_entries(fixture *f) {
  const zg_block *b = &f->block;
  int64_t expected = 0;
  for (int64_t c = 0; c < b->columns; c++)
    for (int64_t r = 0; r < b->rows; r++)
      expected += counts(b, r, c);
  CU_ASSERT_EQUAL(zg_block_entries(b), expected);
}

static void entries_that_count_are_counted(void) {
  for_every_part(check_entries);
}

static void check_shift(fixture *f) {
  zg_block *b = &f->block;
  double u_row[ROWS], u_column[ROWS], before[ROWS * ROWS];
  for (int64_t k = 0; k < ROWS; k++) {
    u_row[k] = zg_test_random(21, (unsigned long)k);
    u_column[k] = zg_test_random(22, (unsigned long)k);
  }
  for (int64_t c = 0; c < b->columns; c++)
    for (int64_t r = 0; r < b->rows; r++)
      before[c * b->rows + r] = entry(b, r, c);
  zg_block_shift(b, u_row, u_column);
  double tolerance = 4 * epsilon_of(b->precision); /* one rounding of numbers below 8 */
  for (int64_t c = 0; c < b->columns; c++)
    for (int64_t r = 0; r < b->rows; r++) {
      double expected =
          before[c * b->rows + r] - u_row[f->row_of[r]] - u_column[f->column_of[c]];
      if (counts(b, r, c))
        zg_test_close(entry(b, r, c), expected, tolerance, "shifted entry");
      else
        CU_ASSERT_EQUAL(entry(b, r, c), 0);
    }
}

static void blocks_are_shifted_by_rows_and_columns(void) {
  for_every_part(check_shift);
}

/* Squared distance by its definition. A block has it from rounded products, with an
 * error of a few eps (a + b). */
static long double distance_of(const fixture *f, int64_t r, int64_t c) {
  long double sum = 0;
  for (int64_t k = 0; k < WIDTH; k++) {
    long double difference = (long double)feature(f->row_of[r], k) -
                             feature(f->column_start + f->column_of[c], k);
    sum += difference * difference;
  }
  return sum;
}

static double norms_sum(const fixture *f, int64_t r, int64_t c) {
  return f->norm_row[f->row_of[r]] + f->norm_column[f->column_of[c]];
}

static double number(zg_precision precision, const void *numbers, int64_t at) {
  return precision == ZG_SINGLE ? (double)((const float *)numbers)[at]
                                : ((const double *)numbers)[at];
}

static int64_t equal_pairs; /* seen in all parts */

static void check_distances(fixture *f) {
  const zg_block *b = &f->block;
  double distances[ROWS * ROWS + 1]; /* or floats */
  zg_block_distances(b, f->norm_row, f->norm_column, distances);
  int64_t at = 0;
  for (int64_t c = 0; c < b->columns; c++)
    for (int64_t r = 0; r < b->rows; r++) {
      if (!counts(b, r, c)) continue;
      double expected = (double)distance_of(f, r, c),
             found = number(b->precision, distances, at++);
      zg_test_close(found, expected, 4 * epsilon_of(b->precision) * norms_sum(f, r, c),
                    "squared distance");
      CU_ASSERT(found >= 0);
      if (expected == 0) {
        CU_ASSERT_EQUAL(found, 0); /* of equal rows, whatever rounding does */
        equal_pairs++;
      }
    }
  CU_ASSERT_EQUAL(at, zg_block_entries(b));
}

static void distances_are_those_of_the_rows(void) {
  equal_pairs = 0;
  for_every_part(check_distances);
  CU_ASSERT(equal_pairs > 0);
}

static void check_rbf(fixture *f) {
  enum { START = 5 };
  const double gamma = 0.7, offset = -0.4;
  zg_block *b = &f->block;
  double sum_row[ROWS], sum_column[ROWS];
  long double rows[ROWS] = {0}, columns[ROWS] = {0};
  for (int64_t k = 0; k < ROWS; k++)
    sum_row[k] = sum_column[k] = START;
  zg_rbf rbf = {.gamma = gamma, .base = 1, .shift = offset, .scale = 1};
  zg_block_rbf(b, f->norm_row, f->norm_column, &rbf, sum_row, sum_column);
  double epsilon = epsilon_of(b->precision);
  for (int64_t c = 0; c < b->columns; c++)
    for (int64_t r = 0; r < b->rows; r++) {
      if (!counts(b, r, c)) {
        CU_ASSERT_EQUAL(entry(b, r, c), 0);
        continue;
      }
      /* 4 eps for expm1, the argument and the offset; the distance's own error. */
      double tolerance = 4 * epsilon + gamma * 4 * epsilon * norms_sum(f, r, c);
      double expected = (double)(expm1l(-gamma * distance_of(f, r, c)) - offset);
      zg_test_close(entry(b, r, c), expected, tolerance, "RBF entry");
      rows[f->row_of[r]] += entry(b, r, c);
      columns[f->column_of[c]] += entry(b, r, c);
    }
  /* ROWS terms below 1, added up in the block's precision, then to START in double */
  double rounding = ROWS * (8 * DBL_EPSILON + epsilon);
  for (int64_t k = 0; k < ROWS; k++) {
    zg_test_close(sum_row[k], START + (double)rows[k], rounding, "row");
    zg_test_close(sum_column[k], START + (double)columns[k], rounding, "column");
  }
}

static void rbf_kernels_and_their_sums_are_those_of_plain_loops(void) {
  for_every_part(check_rbf);
}

static void check_narrowing(fixture *f) {
  const zg_block *b = &f->block;
  if (b->precision != ZG_DOUBLE) return;
  float narrow[ROWS * ROWS + 1];
  zg_block_narrow(b, narrow);
  for (int64_t c = 0; c < b->columns; c++)
    for (int64_t r = 0; r < b->rows; r++)
      if (counts(b, r, c))
        CU_ASSERT_EQUAL(narrow[c * b->rows + r], (float)entry(b, r, c));
}

static void blocks_of_double_are_rounded_to_single(void) {
  for_every_part(check_narrowing);
}

/* ---- U-centring ---- */

enum { SAMPLES = 19 };

/* Inner products of centred rows, [SAMPLES, SAMPLES]. */
static void centred_products(long double *K) {
  long double mean[WIDTH] = {0};
  for (int64_t a = 0; a < SAMPLES; a++)
    for (int64_t k = 0; k < WIDTH; k++)
      mean[k] += (long double)feature(a, k) / SAMPLES;
  for (int64_t a = 0; a < SAMPLES; a++)
    for (int64_t b = 0; b < SAMPLES; b++) {
      K[a * SAMPLES + b] = 0;
      for (int64_t k = 0; k < WIDTH; k++)
        K[a * SAMPLES + b] += (feature(a, k) - mean[k]) * (feature(b, k) - mean[k]);
    }
}

static void shift_whole(const long double *K, double *shifted) {
  double norms[SAMPLES], u[SAMPLES], trace = 0;
  int64_t position[SAMPLES];
  for (int64_t a = 0; a < SAMPLES; a++) {
    position[a] = a;
    norms[a] = (double)K[a * SAMPLES + a];
    trace += norms[a];
  }
  for (int64_t k = 0; k < SAMPLES * SAMPLES; k++)
    shifted[k] = (double)K[k];
  zg_ucentring_shift(SAMPLES, norms, trace, SAMPLES, u);
  zg_block block = {.precision = ZG_DOUBLE,
                    .values = shifted,
                    .rows = SAMPLES,
                    .columns = SAMPLES,
                    .leading = SAMPLES,
                    .row_of = position,
                    .column_of = position};
  zg_block_shift(&block, u, u);
}

/* Szekely & Rizzo 2014: a~_ij = a_ij - r_i/(n-2) - r_j/(n-2) + s/((n-1)(n-2)) off the
 * diagonal, r and s the sums without the diagonal. */
static long double ucentred(const long double *K, int64_t i, int64_t j) {
  long double r[2] = {0}, s = 0;
  for (int64_t a = 0; a < SAMPLES; a++)
    for (int64_t b = 0; b < SAMPLES; b++) {
      if (a == b) continue;
      s += K[a * SAMPLES + b];
      if (a == i) r[0] += K[a * SAMPLES + b];
      if (a == j) r[1] += K[a * SAMPLES + b];
    }
  return K[i * SAMPLES + j] - (r[0] + r[1]) / (SAMPLES - 2) +
         s / ((SAMPLES - 1) * (SAMPLES - 2));
}

static void a_shifted_linear_kernel_is_the_u_centred_one(void) {
  long double K[SAMPLES * SAMPLES];
  double shifted[SAMPLES * SAMPLES];
  centred_products(K);
  shift_whole(K, shifted);
  for (int64_t i = 0; i < SAMPLES; i++)
    for (int64_t j = 0; j < SAMPLES; j++)
      if (i != j)
        zg_test_close(shifted[i * SAMPLES + j], (double)ucentred(K, i, j),
                      8 * DBL_EPSILON * WIDTH, "U-centred entry");
}

static void rows_of_a_shifted_linear_kernel_sum_to_zero(void) {
  long double K[SAMPLES * SAMPLES];
  double shifted[SAMPLES * SAMPLES];
  centred_products(K);
  shift_whole(K, shifted);
  for (int64_t i = 0; i < SAMPLES; i++) {
    double sum = 0;
    for (int64_t j = 0; j < SAMPLES; j++)
      if (i != j) sum += shifted[i * SAMPLES + j];
    zg_test_close(sum, 0, SAMPLES * 4 * DBL_EPSILON * WIDTH, "sum of a row");
  }
}

const zg_test zg_tests[] = {
    {"expm1_in_single_is_within_its_error_everywhere",
     expm1_in_single_is_within_its_error_everywhere},
    {"expm1_in_double_is_within_its_error_everywhere",
     expm1_in_double_is_within_its_error_everywhere},
    {"expm1_of_zero_is_zero_and_far_out_it_is_minus_one",
     expm1_of_zero_is_zero_and_far_out_it_is_minus_one},
    {"entries_that_count_are_counted", entries_that_count_are_counted},
    {"blocks_are_shifted_by_rows_and_columns", blocks_are_shifted_by_rows_and_columns},
    {"distances_are_those_of_the_rows", distances_are_those_of_the_rows},
    {"rbf_kernels_and_their_sums_are_those_of_plain_loops",
     rbf_kernels_and_their_sums_are_those_of_plain_loops},
    {"blocks_of_double_are_rounded_to_single", blocks_of_double_are_rounded_to_single},
    {"a_shifted_linear_kernel_is_the_u_centred_one",
     a_shifted_linear_kernel_is_the_u_centred_one},
    {"rows_of_a_shifted_linear_kernel_sum_to_zero",
     rows_of_a_shifted_linear_kernel_sum_to_zero},
    {NULL, NULL}};
