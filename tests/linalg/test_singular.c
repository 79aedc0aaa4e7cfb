/** \file
 * Singular values of matrices folded into a triangle block by block, against spectra
 * that the matrices are made of. */
#include "base/memory.h"
#include "linalg/singular.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* A := (I - 2 u u'/|u|^2) A for row-major A [rows, columns] or, with `right`, the same
 * from the other side: orthogonal, so singular values stay. */
static void reflect(int64_t rows, int64_t columns, bool right, unsigned long seed,
                    double *A) {
  int64_t n = right ? columns : rows, other = right ? rows : columns;
  int64_t step = right ? 1 : columns, next = right ? columns : 1;
  double *u = ZG_NEW(double, n), squares = 0;
  for (int64_t k = 0; k < n; k++) {
    u[k] = zg_test_random(seed, (unsigned long)k);
    squares += u[k] * u[k];
  }
  for (int64_t j = 0; j < other; j++) {
    double product = 0;
    for (int64_t k = 0; k < n; k++)
      product += u[k] * A[j * next + k * step];
    for (int64_t k = 0; k < n; k++)
      A[j * next + k * step] -= 2 * product / squares * u[k];
  }
  free(u);
}

/* A dense matrix [rows, columns] with singular values s [columns]. The caller frees. */
static double *dense(int64_t rows, int64_t columns, const double *s) {
  double *A = ZG_NEW0(double, rows *columns);
  for (int64_t k = 0; k < columns && k < rows; k++)
    A[k * columns + k] = s[k];
  for (unsigned long r = 0; r < 3; r++) {
    reflect(rows, columns, false, 10 + r, A);
    reflect(rows, columns, true, 20 + r, A);
  }
  return A;
}

/* Fold in so many rows at a time and compare with s, descending. */
static void check(int64_t rows, int64_t columns, int64_t at_a_time, const double *s) {
  double *A = dense(rows, columns, s), *found = ZG_NEW(double, columns);
  zg_tsqr *triangle = zg_tsqr_create(columns);
  for (int64_t r = 0; r < rows; r += at_a_time)
    zg_tsqr_add(triangle, zg_min(at_a_time, rows - r), A + r * columns);
  CU_ASSERT(zg_tsqr_values(triangle, found));
  for (int64_t k = 0; k < columns; k++)
    zg_test_close(found[k], s[k], 64 * DBL_EPSILON * s[0], "singular value");
  zg_tsqr_destroy(&triangle);
  free(found);
  free(A);
}

static void blocks_of_any_size_keep_a_spectrum(void) {
  static const int64_t shapes[][2] = {{1, 1}, {7, 3}, {40, 40}, {129, 33}, {300, 70}};
  static const int64_t sizes[] = {1, 5, 64, 1000};
  for (int k = 0; k < 5; k++) {
    int64_t rows = shapes[k][0], columns = shapes[k][1];
    double *s = ZG_NEW(double, columns);
    for (int64_t c = 0; c < columns; c++) /* from 1 down to 1e-12 */
      s[c] = pow(10, -12 * (double)c / (double)columns);
    for (int j = 0; j < 4; j++)
      check(rows, columns, sizes[j], s);
    free(s);
  }
}

static void ranks_show(void) {
  double s[24] = {5, 4, 3};
  check(90, 24, 17, s);
  check(24, 24, 24, s);
}

static void a_triangle_is_empty_after_its_values_are_known(void) {
  double A[6] = {3, 0, 0, 4, 0, 0}, values[2];
  zg_tsqr *triangle = zg_tsqr_create(2);
  zg_tsqr_add(triangle, 3, A);
  CU_ASSERT(zg_tsqr_values(triangle, values));
  zg_test_close(values[0], 4, 8 * DBL_EPSILON, "larger");
  zg_test_close(values[1], 3, 8 * DBL_EPSILON, "smaller");
  CU_ASSERT(zg_tsqr_values(triangle, values));
  CU_ASSERT(values[0] == 0 && values[1] == 0);
  zg_tsqr_destroy(&triangle);
}

static void numbers_that_are_not_finite_are_noticed(void) {
  double A[4] = {1, 2, NAN, 4}, values[2];
  zg_tsqr *triangle = zg_tsqr_create(2);
  zg_tsqr_add(triangle, 2, A);
  CU_ASSERT_FALSE(zg_tsqr_values(triangle, values));
  zg_tsqr_destroy(&triangle);
  zg_tsqr_destroy(&triangle);
}

const zg_test zg_tests[] = {
    {"blocks_of_any_size_keep_a_spectrum", blocks_of_any_size_keep_a_spectrum},
    {"ranks_show", ranks_show},
    {"a_triangle_is_empty_after_its_values_are_known",
     a_triangle_is_empty_after_its_values_are_known},
    {"numbers_that_are_not_finite_are_noticed",
     numbers_that_are_not_finite_are_noticed},
    {NULL, NULL}};
