/** \file
 * Eigenvalues and norms over all ranks, against prescribed spectra and LAPACK's
 * singular values; sizes below and above the one from which a matrix is spread. */
#include "grid/spectrum.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

void dgesdd_(const char *, const int *, const int *, double *, const int *, double *,
             double *, const int *, double *, const int *, double *, const int *, int *,
             int *);

typedef double spectrum_fn(int64_t k, int64_t n);
static double ramp(int64_t k, int64_t n) {
  return (double)(2 * k - n) / (double)n;
}
static double repeated(int64_t k, int64_t n) {
  return k < n / 2 ? -1 : 3;
}
static double graded(int64_t k, int64_t n) {
  return pow(2, -(double)(n - 1 - k) / 8);
}
static double null(int64_t k, int64_t n) {
  return k < n ? 0 : 1;
}
static spectrum_fn *const spectra[] = {ramp, repeated, graded, null};

static const int64_t sizes[] = {1, 2, 7, 64, 200, 1025, 1100, 1300};
enum { SIZES = sizeof sizes / sizeof *sizes, SPREAD = 5 };

/* Entry of (I - 2 uu'/u'u) diag(values) (I - 2 uu'/u'u), whose eigenvalues are known.
 * `along` = u'u, `middle` = sum u_k^2 values_k. */
typedef struct reflected {
  int64_t n;
  double *u, *values, along, middle, unit;
} reflected;

static reflected reflect(int64_t n, spectrum_fn *of, double unit) {
  reflected m = {
      n,   malloc(sizeof(double) * (size_t)n), malloc(sizeof(double) * (size_t)n), 0, 0,
      unit};
  for (int64_t k = 0; k < n; k++) {
    m.u[k] = zg_test_random(1, (unsigned long)k);
    m.values[k] = of(k, n);
    m.along += m.u[k] * m.u[k];
    m.middle += m.u[k] * m.u[k] * m.values[k];
  }
  return m;
}

static void release(reflected *m) {
  free(m->u);
  free(m->values);
}

static double entry(const reflected *m, int64_t r, int64_t c) {
  double outer = m->u[r] * m->u[c] / m->along;
  return m->unit *
         ((r == c ? m->values[r] : 0) - 2 * outer * (m->values[r] + m->values[c]) +
          4 * outer * m->middle / m->along);
}

/* Set the lower triangle in blocks of an odd size that straddle everything. */
static zg_symmetric *make(const reflected *m) {
  enum { EDGE = 97 };
  double block[EDGE * (EDGE + 3)];
  zg_symmetric *matrix;
  CU_ASSERT_EQUAL(zg_symmetric_create(MPI_COMM_WORLD, m->n, &matrix), ZG_OK);
  for (int64_t r0 = 0; r0 < m->n; r0 += EDGE)
    for (int64_t c0 = 0; c0 <= r0; c0 += EDGE) {
      int64_t rows = r0 + EDGE < m->n ? EDGE : m->n - r0;
      int64_t columns = c0 + EDGE < m->n ? EDGE : m->n - c0;
      for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
          block[r * (EDGE + 3) + c] = entry(m, r0 + r, c0 + c);
      zg_symmetric_set(matrix, r0, rows, c0, columns, block, EDGE + 3);
    }
  return matrix;
}

static int64_t sized(int64_t n) {
  return (int64_t)sizeof(double) * n;
}

static void check_spectrum(int64_t n, spectrum_fn *of, double unit) {
  reflected m = reflect(n, of, unit);
  double *values = malloc((size_t)sized(n)), worst = 0;
  zg_symmetric *matrix = make(&m);
  CU_ASSERT_EQUAL(zg_symmetric_eigenvalues(matrix, values), ZG_OK);
  for (int64_t k = 0; k < n; k++)
    worst = fmax(worst, fabs(values[k] / unit - m.values[k]));
  /* Weyl: the reflections and Householder's are good to some n eps of the largest. */
  zg_test_close(worst, 0, 10 * (double)n * DBL_EPSILON * 3, "error of an eigenvalue");
  double *others = malloc((size_t)sized(n));
  for (int64_t k = 0; k < n; k++)
    others[k] = values[k];
  zg_broadcast(MPI_COMM_WORLD, others, sized(n));
  for (int64_t k = 0; k < n; k++)
    CU_ASSERT(others[k] == values[k]);
  zg_symmetric_destroy(&matrix);
  CU_ASSERT_PTR_NULL(matrix);
  free(values);
  free(others);
  release(&m);
}

static void prescribed_eigenvalues_are_found(void) {
  for (int k = 0; k < SIZES; k++)
    for (int f = 0; f < (k < SPREAD ? 4 : 2); f++)
      check_spectrum(sizes[k], spectra[f], 1);
}

static void spread_matrices_may_be_graded_or_zero(void) {
  check_spectrum(1100, graded, 1);
  check_spectrum(1025, null, 1);
}

static void no_scale_overflows(void) {
  check_spectrum(50, ramp, 1e-290);
  check_spectrum(50, ramp, 1e290);
  check_spectrum(1030, ramp, 1e290);
}

static void matrices_that_are_not_finite_are_refused(void) {
  const int64_t n[] = {5, 1040};
  for (int k = 0; k < 2; k++) {
    double bad = k ? NAN : INFINITY, values[1040];
    reflected m = reflect(n[k], ramp, 1);
    zg_symmetric *matrix = make(&m);
    zg_symmetric_set(matrix, n[k] - 1, 1, 2, 1, &bad, 1);
    CU_ASSERT_EQUAL(zg_symmetric_eigenvalues(matrix, values), ZG_ERR_DATA);
    zg_symmetric_destroy(&matrix);
    release(&m);
  }
}

static void nothing_has_no_eigenvalues(void) {
  zg_symmetric *matrix;
  CU_ASSERT_EQUAL(zg_symmetric_create(MPI_COMM_WORLD, 0, &matrix), ZG_OK);
  CU_ASSERT_EQUAL(zg_symmetric_eigenvalues(matrix, NULL), ZG_OK);
  zg_symmetric_destroy(&matrix);
  zg_symmetric_destroy(&matrix);
}

static void what_no_rank_can_hold_is_refused(void) {
  zg_symmetric *matrix;
  CU_ASSERT_EQUAL(zg_symmetric_create(MPI_COMM_WORLD, 10000000, &matrix), ZG_ERR_USAGE);
  CU_ASSERT_PTR_NULL(matrix);
}

typedef struct source {
  int64_t columns, fails_at; /* a row that cannot be read; -1: none */
  double unit;
} source;

static double number(const source *s, int64_t r, int64_t c) {
  return s->unit * zg_test_random(7, (unsigned long)(r * s->columns + c));
}

static zg_status fill(void *context, int64_t row, int64_t rows, double *values) {
  const source *s = context;
  for (int64_t r = 0; r < rows; r++) {
    if (row + r == s->fails_at) return zg_fail(ZG_ERR_INPUT, "row is missing");
    for (int64_t c = 0; c < s->columns; c++)
      values[r * s->columns + c] = number(s, row + r, c);
  }
  return ZG_OK;
}

static double by_svd(int rows, const source *s) {
  int columns = (int)s->columns, least = rows < columns ? rows : columns, info, one = 1;
  int lwork = 200 * (rows + columns),
      *iwork = malloc(sizeof *iwork * 8 * (size_t)least);
  double *A = malloc(sizeof *A * (size_t)(rows * columns)), unused = 0;
  double *values = malloc((size_t)sized(least)), *work = malloc((size_t)sized(lwork));
  for (int64_t k = 0; k < rows * columns; k++)
    A[k] = number(s, k / columns, k % columns) / s->unit;
  dgesdd_("N", &columns, &rows, A, &columns, values, &unused, &one, &unused, &one, work,
          &lwork, iwork, &info);
  CU_ASSERT_EQUAL(info, 0);
  double largest = values[0] * s->unit;
  free(A);
  free(values);
  free(work);
  free(iwork);
  return largest;
}

static void norms_are_lapacks(void) {
  const int shapes[][2] = {{1, 1}, {1, 30}, {30, 1}, {2, 3}, {90, 200}, {400, 130}};
  const double units[] = {1, 1e-300, 1e300};
  for (int k = 0; k < 6; k++)
    for (int u = 0; u < 3; u++) {
      source s = {shapes[k][1], -1, units[u]};
      double norm, expected = by_svd(shapes[k][0], &s);
      CU_ASSERT_EQUAL(zg_distributed_norm(MPI_COMM_WORLD, shapes[k][0], shapes[k][1],
                                          fill, &s, &norm),
                      ZG_OK);
      zg_test_close(norm, expected, 1e-12 * expected, "norm");
    }
}

/* A permutation of scaled unit vectors: the norm is the largest scale. */
static zg_status fill_permutation(void *context, int64_t row, int64_t rows,
                                  double *values) {
  int64_t columns = *(const int64_t *)context;
  for (int64_t k = 0; k < rows * columns; k++)
    values[k] = 0;
  for (int64_t r = 0; r < rows; r++)
    values[r * columns + (row + r) * 7 % columns] = row + r == 600 ? -4 : 1;
  return ZG_OK;
}

static void large_matrices_have_their_norm(void) {
  /* 7 does not divide them */
  const int64_t shapes[][2] = {{1100, 1100}, {1100, 1200}};
  for (int k = 0; k < 2; k++) {
    int64_t columns = shapes[k][1];
    double norm;
    CU_ASSERT_EQUAL(zg_distributed_norm(MPI_COMM_WORLD, shapes[k][0], columns,
                                        fill_permutation, &columns, &norm),
                    ZG_OK);
    zg_test_close(norm, 4, 1e-12, "norm of a permutation");
  }
}

static void rows_that_cannot_be_read_fail_on_all_ranks(void) {
  for (int64_t row = 0; row < 40; row += 13) {
    source s = {20, row, 1};
    double norm;
    CU_ASSERT_EQUAL(zg_distributed_norm(MPI_COMM_WORLD, 40, 20, fill, &s, &norm),
                    ZG_ERR_INPUT);
  }
}

static void norms_of_nothing_and_of_no_numbers(void) {
  source s = {20, -1, 0}, bad = {20, -1, INFINITY};
  double norm = 1;
  CU_ASSERT_EQUAL(zg_distributed_norm(MPI_COMM_WORLD, 0, 20, fill, &s, &norm), ZG_OK);
  CU_ASSERT_EQUAL(norm, 0);
  CU_ASSERT_EQUAL(zg_distributed_norm(MPI_COMM_WORLD, 30, 20, fill, &s, &norm), ZG_OK);
  CU_ASSERT_EQUAL(norm, 0);
  CU_ASSERT_EQUAL(zg_distributed_norm(MPI_COMM_WORLD, 30, 20, fill, &bad, &norm),
                  ZG_ERR_DATA);
}

const zg_test zg_tests[] = {
    {"prescribed_eigenvalues_are_found", prescribed_eigenvalues_are_found},
    {"spread_matrices_may_be_graded_or_zero", spread_matrices_may_be_graded_or_zero},
    {"no_scale_overflows", no_scale_overflows},
    {"matrices_that_are_not_finite_are_refused",
     matrices_that_are_not_finite_are_refused},
    {"nothing_has_no_eigenvalues", nothing_has_no_eigenvalues},
    {"what_no_rank_can_hold_is_refused", what_no_rank_can_hold_is_refused},
    {"norms_are_lapacks", norms_are_lapacks},
    {"large_matrices_have_their_norm", large_matrices_have_their_norm},
    {"rows_that_cannot_be_read_fail_on_all_ranks",
     rows_that_cannot_be_read_fail_on_all_ranks},
    {"norms_of_nothing_and_of_no_numbers", norms_of_nothing_and_of_no_numbers},
    {NULL, NULL}};
