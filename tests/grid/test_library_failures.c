/** \file
 * What is said when LAPACK or ScaLAPACK fails or returns something wrong, and when a
 * matrix is larger than they can take: here their functions are replaced by some that
 * do as they are told. */
#include "base/memory.h"
#include "grid/singular.h"
#include "grid/spectrum.h"
#include "linalg/singular.h"
#include "mpi_main.h"

#include <stdlib.h>
#include <string.h>

/* What the functions return as their `info`; they compute nothing. */
static int answer;

void dsyevd_(const char *, const char *, const int *, double *, const int *, double *,
             double *, const int *, int *, const int *, int *);
void dsyevd_(const char *job, const char *triangle, const int *n, double *A,
             const int *ld, double *values, double *work, const int *work_size,
             int *integers, const int *integer_count, int *info) {
  (void)job, (void)triangle, (void)A, (void)ld, (void)integers, (void)integer_count;
  if (*work_size < 0) *work = 1;
  for (int k = 0; *work_size >= 0 && k < *n; k++)
    values[k] = 3;
  *info = *work_size < 0 ? 0 : answer;
}

static int reduction;
void pdsytrd_(const char *, const int *, double *, const int *, const int *,
              const int *, double *, double *, double *, double *, const int *, int *);
void pdsytrd_(const char *triangle, const int *n, double *A, const int *row,
              const int *column, const int *descriptor, double *d, double *e,
              double *tau, double *work, const int *work_size, int *info) {
  (void)triangle, (void)n, (void)A, (void)row, (void)column, (void)descriptor;
  (void)d, (void)e, (void)tau, (void)work, (void)work_size;
  *info = reduction;
}

void dsterf_(const int *, double *, double *, int *);
void dsterf_(const int *n, double *d, double *e, int *info) {
  (void)n, (void)d, (void)e;
  *info = answer;
}

void dbdsqr_(const char *, const int *, const int *, const int *, const int *, double *,
             double *, double *, const int *, double *, const int *, double *,
             const int *, double *, int *);
void dbdsqr_(const char *triangle, const int *n, const int *vt, const int *u,
             const int *c, double *d, double *e, double *VT, const int *ld_vt,
             double *U, const int *ld_u, double *C, const int *ld_c, double *work,
             int *info) {
  (void)triangle, (void)n, (void)vt, (void)u, (void)c, (void)d, (void)e, (void)VT;
  (void)ld_vt, (void)U, (void)ld_u, (void)C, (void)ld_c, (void)work;
  *info = answer;
}

static bool alone(void) {
  int ranks;
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  return ranks == 1;
}

/* The eigenvalues of twice the identity. Rank 0 knows what went wrong. */
static void check_eigenvalues(int64_t n, const char *words) {
  double two = 2, *values = ZG_NEW(double, n);
  zg_symmetric *matrix;
  CU_ASSERT_EQUAL_FATAL(zg_symmetric_create(MPI_COMM_WORLD, n, &matrix), ZG_OK);
  for (int64_t k = 0; k < n; k++)
    zg_symmetric_set(matrix, k, 1, k, 1, &two, 1);
  CU_ASSERT_EQUAL(zg_symmetric_eigenvalues(matrix, values), ZG_ERR_INTERNAL);
  if (zg_test_rank() == 0) CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), words));
  zg_symmetric_destroy(&matrix);
  free(values);
}

static void eigenvalues_that_are_not_found(void) {
  answer = 7;
  check_eigenvalues(5, "dsyevd failed with 7 on a matrix of side 5");
  if (alone()) return;
  check_eigenvalues(1040, "dsterf failed with 7 on a matrix of side 1040");
  reduction = 3;
  answer = 0;
  check_eigenvalues(1040, "failed with 3 on a matrix of side 1040");
  reduction = 0;
}

static void eigenvalues_that_are_wrong(void) {
  answer = 0;
  check_eigenvalues(5, "eigenvalues of a matrix of side 5 add up to 15 instead of");
  if (!alone()) check_eigenvalues(1040, "of side 1040 add up to 0 instead of");
}

static zg_status fill(void *context, int64_t row, int64_t rows, double *values) {
  int64_t columns = *(int64_t *)context;
  for (int64_t k = 0; k < rows * columns; k++)
    values[k] = zg_test_random(3, (unsigned long)(row * columns + k));
  return ZG_OK;
}

static void singular_values_that_are_not_found(void) {
  int64_t columns = 256;
  double *values = ZG_NEW(double, columns);
  answer = 9;
  if (!alone()) {
    CU_ASSERT_EQUAL(zg_distributed_singular_values(MPI_COMM_WORLD, 300, columns, fill,
                                                   &columns, values),
                    ZG_ERR_INTERNAL);
    if (zg_test_rank() == 0)
      CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "256 columns: dbdsqr gave 9"));
  }
  free(values);
}

/* Refused before anything is allocated. */
static void matrices_that_are_too_large(void) {
  int64_t columns = alone() ? ZG_TSQR_MOST + 1 : 120000;
  CU_ASSERT_EQUAL(zg_distributed_singular_values(MPI_COMM_WORLD, 200000, columns, fill,
                                                 &columns, NULL),
                  ZG_ERR_USAGE);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "columns is too large for"));
}

const zg_test zg_tests[] = {
    {"eigenvalues_that_are_not_found", eigenvalues_that_are_not_found},
    {"eigenvalues_that_are_wrong", eigenvalues_that_are_wrong},
    {"singular_values_that_are_not_found", singular_values_that_are_not_found},
    {"matrices_that_are_too_large", matrices_that_are_too_large},
    {NULL, NULL}};
