/** \file
 * Products on one rank against plain loops in long double. */
#include "linalg/blas.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static double epsilon_of(zg_precision precision) {
  return precision == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON;
}

/* Numbers in the precision of a test. */
static void *make_numbers(zg_precision precision, int64_t count, unsigned long seed) {
  void *numbers = malloc((size_t)count * zg_real_size(precision));
  for (int64_t k = 0; k < count; k++) {
    double value = zg_test_random(seed, (unsigned long)k);
    if (precision == ZG_SINGLE)
      ((float *)numbers)[k] = (float)value;
    else
      ((double *)numbers)[k] = value;
  }
  return numbers;
}

static double at(zg_precision precision, const void *numbers, int64_t k) {
  return precision == ZG_SINGLE ? (double)((const float *)numbers)[k]
                                : ((const double *)numbers)[k];
}

/* a'b of two columns. */
static double dot(zg_precision precision, int64_t k, const void *A, int64_t a,
                  const void *B, int64_t b) {
  long double sum = 0;
  for (int64_t i = 0; i < k; i++)
    sum += (long double)at(precision, A, a + i) * at(precision, B, b + i);
  return (double)sum;
}

static void products_are_those_of_plain_loops(void) {
  enum { M = 13, N = 7, K = 29, LDA = 31, LDB = 30, LDC = 15 };
  const double alpha = 1.5, beta = -0.5;
  for (zg_precision p = ZG_SINGLE; p <= ZG_DOUBLE; p++) {
    void *A = make_numbers(p, M * LDA, 1), *B = make_numbers(p, N * LDB, 2);
    void *C = make_numbers(p, N * LDC, 3), *before = make_numbers(p, N * LDC, 3);
    zg_product(p, M, N, K, alpha, A, LDA, B, LDB, beta, C, LDC);
    for (int64_t j = 0; j < N; j++)
      for (int64_t i = 0; i < LDC; i++) {
        double old = at(p, before, j * LDC + i);
        double expected =
            i < M ? alpha * dot(p, K, A, i * LDA, B, j * LDB) + beta * old : old;
        zg_test_close(at(p, C, j * LDC + i), expected, 2 * K * epsilon_of(p), "A'B");
      }
    free(A), free(B), free(C), free(before);
  }
}

static void self_products_fill_the_lower_triangle_only(void) {
  enum { N = 11, K = 29, LDA = 33, LDC = 12 };
  for (zg_precision p = ZG_SINGLE; p <= ZG_DOUBLE; p++) {
    void *A = make_numbers(p, N * LDA, 1);
    void *C = make_numbers(p, N * LDC, 3), *before = make_numbers(p, N * LDC, 3);
    zg_self_product(p, N, K, 2, A, LDA, 1, C, LDC);
    for (int64_t j = 0; j < N; j++)
      for (int64_t i = 0; i < LDC; i++) {
        double old = at(p, before, j * LDC + i);
        bool lower = i >= j && i < N;
        double expected = lower ? old + 2 * dot(p, K, A, i * LDA, A, j * LDA) : old;
        zg_test_close(at(p, C, j * LDC + i), expected, 3 * K * epsilon_of(p), "A'A");
      }
    free(A), free(C), free(before);
  }
}

/* Every partial sum of k products of numbers below 1 is below k and is rounded; within
 * a run the errors add up like the square root of their number. */
static void check_accumulation(zg_precision p, int64_t n, int64_t k) {
  const double alpha = 2;
  int64_t stride = k + 3;
  void *V = make_numbers(p, n * stride, 4);
  double *H = make_numbers(ZG_DOUBLE, n * n, 5),
         *before = make_numbers(ZG_DOUBLE, n * n, 5);
  double *fine = calloc((size_t)(n * n), sizeof *fine);
  zg_accumulate_product(p, n, k, alpha, V, stride, H, fine);
  double run = (double)(k < ZG_RUN ? k : ZG_RUN);
  double tolerance = alpha * epsilon_of(p) * sqrt(run) * (double)k;
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < n; i++) {
      double old = before[j * n + i];
      double expected =
          i >= j ? old + alpha * dot(p, k, V, i * stride, V, j * stride) : old;
      zg_test_close(H[j * n + i] + fine[j * n + i], expected, i >= j ? tolerance : 0,
                    "V'V");
    }
  free(V), free(H), free(fine), free(before);
}

static void products_are_accumulated_below_and_above_the_block_width(void) {
  static const int64_t sizes[] = {1, 2, 17, 255, 256, 257, 300};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (zg_precision p = ZG_SINGLE; p <= ZG_DOUBLE; p++)
      check_accumulation(p, sizes[s], 40);
}

/* The same of two sets of vectors. */
static void check_cross(zg_precision p, int64_t m, int64_t n, int64_t k) {
  const double alpha = 2;
  int64_t lda = k + 3, ldb = k + 1;
  void *A = make_numbers(p, m * lda, 4), *B = make_numbers(p, n * ldb, 6);
  double *S = make_numbers(ZG_DOUBLE, m * n, 5),
         *before = make_numbers(ZG_DOUBLE, m * n, 5);
  double *fine = calloc((size_t)(m * n), sizeof *fine);
  zg_accumulate_cross(p, m, n, k, alpha, A, lda, B, ldb, S, fine);
  double run = (double)(k < ZG_RUN ? k : ZG_RUN);
  double tolerance = alpha * epsilon_of(p) * sqrt(run) * (double)k;
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < m; i++) {
      double expected = before[j * m + i] + alpha * dot(p, k, A, i * lda, B, j * ldb);
      zg_test_close(S[j * m + i] + fine[j * m + i], expected, tolerance, "A'B");
    }
  free(A), free(B), free(S), free(fine), free(before);
}

static void cross_products_are_accumulated(void) {
  for (zg_precision p = ZG_SINGLE; p <= ZG_DOUBLE; p++) {
    check_cross(p, 1, 1, 1);
    check_cross(p, 3, 5, 40);
    check_cross(p, 17, 300, 9);
    check_cross(p, 300, 257, 9);
    check_cross(p, 4, 2, 2 * ZG_RUN + 5);
  }
}

static void products_longer_than_a_run_are_accumulated(void) {
  static const int64_t lengths[] = {0,      1,          ZG_RUN - 1,
                                    ZG_RUN, ZG_RUN + 1, 3 * ZG_RUN + 5};
  for (size_t s = 0; s < sizeof lengths / sizeof *lengths; s++)
    for (zg_precision p = ZG_SINGLE; p <= ZG_DOUBLE; p++)
      check_accumulation(p, 6, lengths[s]);
}

static void runs_keep_single_precision_sums_from_losing_digits(void) {
  /* 2^26 times 1 * 1: a single-precision sum stops growing at 2^24. */
  const int64_t k = (int64_t)1 << 26;
  float *ones = malloc((size_t)k * sizeof *ones);
  for (int64_t i = 0; i < k; i++)
    ones[i] = 1;
  double H = 0, fine = 0;
  zg_accumulate_product(ZG_SINGLE, 1, k, 0x1p-20, ones, k, &H, &fine);
  CU_ASSERT_EQUAL(H + fine, 64);
  free(ones);
}

const zg_test zg_tests[] = {
    {"products_are_those_of_plain_loops", products_are_those_of_plain_loops},
    {"self_products_fill_the_lower_triangle_only",
     self_products_fill_the_lower_triangle_only},
    {"products_are_accumulated_below_and_above_the_block_width",
     products_are_accumulated_below_and_above_the_block_width},
    {"cross_products_are_accumulated", cross_products_are_accumulated},
    {"products_longer_than_a_run_are_accumulated",
     products_longer_than_a_run_are_accumulated},
    {"runs_keep_single_precision_sums_from_losing_digits",
     runs_keep_single_precision_sums_from_losing_digits},
    {NULL, NULL}};
