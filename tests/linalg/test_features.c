/** \file
 * Statistics and centring of rows, against two passes in long double. */
#include "linalg/features.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows in both precisions; the numbers are the single ones, so that both are exact. */
typedef struct rows {
  int64_t count, d;
  float *single;
  double *full;
} rows;

static rows make_rows(int64_t count, int64_t d, double mean, double spread) {
  rows x = {.count = count,
            .d = d,
            .single = malloc((size_t)(count * d) * sizeof(float)),
            .full = malloc((size_t)(count * d) * sizeof(double))};
  for (int64_t k = 0; k < count * d; k++) {
    double value =
        mean * (1 + (double)(k % d)) + spread * zg_test_random(3, (unsigned long)k);
    x.single[k] = (float)value;
    x.full[k] = (double)x.single[k];
  }
  return x;
}

static void free_rows(rows *x) {
  free(x->single);
  free(x->full);
}

static const void *data_of(const rows *x, zg_precision precision, int64_t row) {
  return precision == ZG_SINGLE ? (const void *)(x->single + row * x->d)
                                : (const void *)(x->full + row * x->d);
}

/* Moments of the rows, added in slabs of `step`. */
static zg_moments moments_of(const rows *x, zg_precision precision, int64_t step) {
  zg_moments m = {.mean = calloc((size_t)x->d, sizeof(double)), .finite = true};
  double *scratch = malloc(2 * (size_t)x->d * sizeof *scratch);
  for (int64_t row = 0; row < x->count; row += step) {
    zg_slab slab = {.precision = precision,
                    .data = data_of(x, precision, row),
                    .rows = row + step < x->count ? step : x->count - row,
                    .d = x->d};
    zg_moments_add(&m, &slab, scratch);
  }
  free(scratch);
  return m;
}

static long double *reference_means(const rows *x) {
  long double *mean = calloc((size_t)x->d, sizeof *mean);
  for (int64_t k = 0; k < x->count * x->d; k++)
    mean[k % x->d] += x->full[k];
  for (int64_t k = 0; k < x->d; k++)
    mean[k] /= (long double)x->count;
  return mean;
}

static void check_moments(const rows *x, zg_precision precision, int64_t step) {
  zg_moments m = moments_of(x, precision, step);
  long double *mean = reference_means(x), squares = 0, largest = 0;
  for (int64_t k = 0; k < x->count * x->d; k++) {
    long double deviation = x->full[k] - mean[k % x->d];
    squares += deviation * deviation;
    largest = fmaxl(largest, fabsl((long double)x->full[k]));
  }
  double n = (double)x->count;
  CU_ASSERT_EQUAL(m.rows, x->count);
  CU_ASSERT(m.finite);
  CU_ASSERT_EQUAL(m.largest, (double)largest);
  for (int64_t k = 0; k < x->d; k++) /* a sum of n numbers, divided */
    zg_test_close(m.mean[k], (double)mean[k], 2 * n * DBL_EPSILON * (double)largest,
                  "mean");
  /* Deviations carry an error of eps times the numbers themselves, not times their
   * squares: that is what two passes are for. */
  double tolerance =
      2 * n * DBL_EPSILON * (double)squares +
      8 * DBL_EPSILON * (double)largest * sqrt(n * (double)x->d * (double)squares);
  zg_test_close(m.squares, (double)squares, tolerance, "squares");
  free(mean);
  free(m.mean);
}

static void check_all_slabs(double mean, double spread) {
  static const int64_t widths[] = {1, 3, 8, 37};
  static const int64_t steps[] = {1, 2, 7, 64, 100, 1000};
  for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
    rows x = make_rows(100, widths[w], mean, spread);
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
      check_moments(&x, ZG_SINGLE, steps[s]);
      check_moments(&x, ZG_DOUBLE, steps[s]);
    }
    free_rows(&x);
  }
}

static void slabs_of_any_size_give_the_moments_of_all_rows(void) {
  check_all_slabs(0.1, 1);
}

static void a_mean_far_from_zero_costs_no_digits(void) {
  check_all_slabs(1e4, 1);
}

static void numbers_that_are_not_finite_are_noticed(void) {
  static const double bad[] = {NAN, INFINITY, -INFINITY};
  for (int k = 0; k < 3; k++)
    for (int64_t at = 0; at < 200; at += 66)
      for (zg_precision p = ZG_SINGLE; p <= ZG_DOUBLE; p++) {
        rows x = make_rows(20, 10, 0, 1);
        x.single[at] = (float)bad[k];
        x.full[at] = bad[k];
        zg_moments m = moments_of(&x, p, 6);
        CU_ASSERT_FALSE(m.finite);
        free(m.mean);
        free_rows(&x);
      }
}

static void numbers_whose_squares_overflow_are_noticed(void) {
  rows x = make_rows(20, 10, 0, 1);
  x.full[77] = 1e200;
  zg_moments m = moments_of(&x, ZG_DOUBLE, 6);
  CU_ASSERT_FALSE(m.finite);
  free(m.mean);
  x.single[77] = 1e30f; /* of single precision none can */
  m = moments_of(&x, ZG_SINGLE, 6);
  CU_ASSERT(m.finite);
  free(m.mean);
  free_rows(&x);
}

static bool constant(const rows *x, zg_precision precision) {
  zg_moments m = moments_of(x, precision, 1000);
  double epsilon = precision == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON;
  bool is = zg_is_constant(m.squares, x->count, x->d, epsilon, m.largest);
  free(m.mean);
  return is;
}

/* However many rows there are: rounding of their mean must not count as variance. */
static void equal_rows_are_constant_and_others_are_not(void) {
  static const double means[] = {0, 1e-20, 0.1, 3, 1e20};
  for (int k = 0; k < 5; k++)
    for (int64_t count = 4; count <= 40000; count *= 10) {
      rows x = make_rows(count, 4, means[k], 0);
      CU_ASSERT(constant(&x, ZG_SINGLE));
      for (int64_t i = 0; i < 4 * count; i++) /* not a single-precision number */
        x.full[i] = means[k] * (double)(1 + i % 4);
      CU_ASSERT(constant(&x, ZG_DOUBLE));
      free_rows(&x);
    }
  rows x = make_rows(30, 4, 1, 1e-3);
  CU_ASSERT_FALSE(constant(&x, ZG_SINGLE));
  CU_ASSERT_FALSE(constant(&x, ZG_DOUBLE));
  free_rows(&x);
}

static void rounding_of_the_file_counts_as_constant(void) {
  rows x = make_rows(30, 4, 1, 0);
  for (int64_t k = 0; k < 120; k++)
    x.single[k] = nextafterf(
        x.single[k], zg_test_random(5, (unsigned long)k) > 0 ? INFINITY : -INFINITY);
  CU_ASSERT(constant(&x, ZG_SINGLE));
  free_rows(&x);
  /* The limit itself: n d (4 eps max)^2 = 6 (4 * 2^-10 * 2)^2. */
  double limit = 6 * 0x1p-14;
  CU_ASSERT(zg_is_constant(limit, 3, 2, 0x1p-10, 2));
  CU_ASSERT_FALSE(zg_is_constant(limit * (1 + 1e-9), 3, 2, 0x1p-10, 2));
}

static void the_heaviest_row_is_found(void) {
  rows x = make_rows(50, 6, 0, 1);
  for (int k = 0; k < 6; k++)
    x.full[23 * 6 + k] *= 100;
  long double *mean = reference_means(&x), heaviest = 0;
  for (int64_t a = 0; a < 50; a++) {
    long double share = 0;
    for (int64_t k = 0; k < 6; k++)
      share += powl(x.full[a * 6 + k] - mean[k], 2);
    heaviest = fmaxl(heaviest, share);
  }
  zg_moments m = moments_of(&x, ZG_DOUBLE, 50);
  zg_test_close(m.heaviest, (double)heaviest, 50 * DBL_EPSILON * (double)heaviest,
                "squares of the heaviest row");
  free(m.mean);
  free(mean);
  free_rows(&x);
}

static double real_at(zg_precision precision, const void *base, int64_t k) {
  return precision == ZG_SINGLE ? (double)((const float *)base)[k]
                                : ((const double *)base)[k];
}

static void check_centring(const rows *x, zg_precision in, zg_precision out) {
  const double scale = 0.37;
  zg_moments m = moments_of(x, in, 100);
  void *y = malloc((size_t)(x->count * x->d) * sizeof(double));
  double *norms = malloc((size_t)x->count * sizeof *norms);
  zg_slab slab = {
      .precision = in, .data = data_of(x, in, 0), .rows = x->count, .d = x->d};
  zg_centre_rows(&slab, m.mean, scale, out, y, norms);
  double epsilon = out == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON;
  for (int64_t a = 0; a < x->count; a++) {
    long double norm = 0;
    for (int64_t k = 0; k < x->d; k++) {
      double expected = (x->full[a * x->d + k] - m.mean[k]) * scale;
      double found = real_at(out, y, a * x->d + k);
      zg_test_close(found, expected, epsilon * fabs(expected), "centred number");
      norm += (long double)found * found;
    }
    zg_test_close(norms[a], (double)norm, (double)x->d * DBL_EPSILON * (double)norm,
                  "norm"); /* of the rounded numbers, in double */
  }
  free(norms);
  free(y);
  free(m.mean);
}

static void rows_are_centred_scaled_and_measured(void) {
  static const int64_t widths[] = {1, 7, 8, 9, 40};
  for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
    rows x = make_rows(25, widths[w], 1e4, 1);
    for (zg_precision in = ZG_SINGLE; in <= ZG_DOUBLE; in++)
      for (zg_precision out = ZG_SINGLE; out <= ZG_DOUBLE; out++)
        check_centring(&x, in, out);
    free_rows(&x);
  }
}

/* Rows that are kept as they are become the same numbers as those that are centred at
 * once, whole or a few columns at a time, and have the same norms. */
static void kept_rows_are_centred_later(void) {
  enum { ROWS = 9, D = 21, FIRST = 4, COLUMNS = 10 };
  float x[ROWS * D], kept[ROWS * D];
  double mean[D], expected[ROWS * D], later[ROWS * D], norms[2][ROWS];
  for (int k = 0; k < ROWS * D; k++)
    x[k] = (float)(1000 + zg_test_random(5, (unsigned long)k));
  for (int k = 0; k < D; k++)
    mean[k] = 1000 + 0.01 * k;
  zg_slab slab = {.precision = ZG_SINGLE, .data = x, .rows = ROWS, .d = D};
  zg_centre_rows(&slab, mean, 0.3, ZG_DOUBLE, expected, norms[0]);
  zg_keep_rows(&slab, mean, 0.3, kept, norms[1]);
  CU_ASSERT(!memcmp(kept, x, sizeof x) && !memcmp(norms[0], norms[1], sizeof norms[0]));
  zg_centre_kept(kept, D, ROWS, D, mean, 0.3, later);
  CU_ASSERT(!memcmp(later, expected, sizeof later));
  zg_centre_kept(kept + FIRST, D, ROWS, COLUMNS, mean + FIRST, 0.3, later);
  for (int r = 0; r < ROWS; r++)
    CU_ASSERT(!memcmp(later + r * COLUMNS, expected + r * D + FIRST,
                      COLUMNS * sizeof *later));
}

const zg_test zg_tests[] = {
    {"kept_rows_are_centred_later", kept_rows_are_centred_later},
    {"slabs_of_any_size_give_the_moments_of_all_rows",
     slabs_of_any_size_give_the_moments_of_all_rows},
    {"a_mean_far_from_zero_costs_no_digits", a_mean_far_from_zero_costs_no_digits},
    {"numbers_that_are_not_finite_are_noticed",
     numbers_that_are_not_finite_are_noticed},
    {"numbers_whose_squares_overflow_are_noticed",
     numbers_whose_squares_overflow_are_noticed},
    {"equal_rows_are_constant_and_others_are_not",
     equal_rows_are_constant_and_others_are_not},
    {"rounding_of_the_file_counts_as_constant",
     rounding_of_the_file_counts_as_constant},
    {"the_heaviest_row_is_found", the_heaviest_row_is_found},
    {"rows_are_centred_scaled_and_measured", rows_are_centred_scaled_and_measured},
    {NULL, NULL}};
