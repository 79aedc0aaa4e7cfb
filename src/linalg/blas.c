#include "linalg/blas.h"

#include "base/memory.h"
#include "base/threads.h"
#include "linalg/core.h"
#include "linalg/fixed.h"
#include "linalg/inner.h"
#include "linalg/micro.h"
#include "linalg/vector.h"

#include <stdlib.h>

/* The Fortran interface, which every BLAS has. */
void sgemm_(const char *, const char *, const int *, const int *, const int *,
            const float *, const float *, const int *, const float *, const int *,
            const float *, float *, const int *);
void dgemm_(const char *, const char *, const int *, const int *, const int *,
            const double *, const double *, const int *, const double *, const int *,
            const double *, double *, const int *);
void ssyrk_(const char *, const char *, const int *, const int *, const float *,
            const float *, const int *, const float *, float *, const int *);
void dsyrk_(const char *, const char *, const int *, const int *, const double *,
            const double *, const int *, const double *, double *, const int *);

/* A small product is made by one thread: the library's others would wait for the next
 * one for a while, on cores where threads of ours compute. */
static bool begin(int m, int n, int k) {
  const double small = 1e8; /* operations, some milliseconds */
  bool alone = zg_threads() > 1 && !zg_in_threads() && 2.0 * m * n * k < small;
  if (alone) zg_blas_set_threads(1);
  return alone;
}

static void end(bool alone) {
  if (alone) zg_blas_set_threads(zg_threads());
}

void zg_product(zg_precision precision, int64_t m64, int64_t n64, int64_t k64,
                double alpha, const void *A, int64_t lda64, const void *B,
                int64_t ldb64, double beta, void *C, int64_t ldc64) {
  int m = zg_int(m64), n = zg_int(n64), k = zg_int(k64);
  int lda = zg_int(lda64), ldb = zg_int(ldb64), ldc = zg_int(ldc64);
  if (!m || !n) return;
  bool alone = begin(m, n, k);
  if (precision == ZG_SINGLE) {
    float a = (float)alpha, b = (float)beta;
    sgemm_("T", "N", &m, &n, &k, &a, A, &lda, B, &ldb, &b, C, &ldc);
  } else {
    dgemm_("T", "N", &m, &n, &k, &alpha, A, &lda, B, &ldb, &beta, C, &ldc);
  }
  end(alone);
}

void zg_outer_product(zg_precision precision, int64_t m64, int64_t n64, int64_t k64,
                      const void *A, int64_t lda64, const void *B, int64_t ldb64,
                      void *C, int64_t ldc64) {
  int m = zg_int(m64), n = zg_int(n64), k = zg_int(k64);
  int lda = zg_int(lda64), ldb = zg_int(ldb64), ldc = zg_int(ldc64);
  if (!m || !n) return;
  bool alone = begin(m, n, k);
  if (precision == ZG_SINGLE) {
    float a = 1, b = 0;
    sgemm_("N", "T", &m, &n, &k, &a, A, &lda, B, &ldb, &b, C, &ldc);
  } else {
    double a = 1, b = 0;
    dgemm_("N", "T", &m, &n, &k, &a, A, &lda, B, &ldb, &b, C, &ldc);
  }
  end(alone);
}

void zg_self_product(zg_precision precision, int64_t n64, int64_t k64, double alpha,
                     const void *A, int64_t lda64, double beta, void *C,
                     int64_t ldc64) {
  int n = zg_int(n64), k = zg_int(k64), lda = zg_int(lda64), ldc = zg_int(ldc64);
  if (!n) return;
  bool alone = begin(n, n / 2, k);
  if (precision == ZG_SINGLE) {
    float a = (float)alpha, b = (float)beta;
    ssyrk_("L", "T", &n, &k, &a, A, &lda, &b, C, &ldc);
  } else {
    dsyrk_("L", "T", &n, &k, &alpha, A, &lda, &beta, C, &ldc);
  }
  end(alone);
}

ZG_VECTOR
static void add_single(const float *restrict x, int64_t count, double *restrict coarse,
                       double *restrict fine) {
  for (int64_t k = 0; k < count; k++)
    zg_fixed_add(coarse + k, fine + k, (double)x[k]);
}

ZG_VECTOR
static void add_double(const double *restrict x, int64_t count, double *restrict coarse,
                       double *restrict fine) {
  for (int64_t k = 0; k < count; k++)
    zg_fixed_add(coarse + k, fine + k, x[k]);
}

void zg_fixed_add_all(zg_precision precision, const void *x, int64_t count,
                      double *coarse, double *fine) {
  if (precision == ZG_SINGLE)
    add_single(x, count, coarse, fine);
  else
    add_double(x, count, coarse, fine);
}

/* Add the part of a product that lies in columns [j, j + width) on and below the
 * diagonal. C is (n - j) x width. */
static void add_columns(zg_precision precision, int64_t n, int64_t j, int64_t width,
                        const void *C, double *coarse, double *fine) {
  int64_t rows = n - j;
  for (int64_t c = 0; c < width; c++)
    zg_fixed_add_all(precision, zg_real_at(precision, C, c * rows + c), rows - c,
                     coarse + (j + c) * n + j + c, fine + (j + c) * n + j + c);
}

static void accumulate_by_blas(zg_precision precision, int64_t n, int64_t k,
                               double alpha, const void *V, int64_t ldv, double *coarse,
                               double *fine) {
  /* Columns of H are taken in blocks, so that the scratch is small for any n and no
   * more than a block's width above the diagonal is computed in vain. */
  enum { BLOCK = 256 };
  void *scratch = zg_alloc(n * zg_min(BLOCK, n), zg_real_size(precision));
  for (int64_t k0 = 0; k0 < k; k0 += ZG_RUN) {
    int64_t terms = zg_min(ZG_RUN, k - k0);
    for (int64_t j = 0; j < n; j += BLOCK) {
      int64_t width = zg_min(BLOCK, n - j);
      const void *rest = zg_real_at(precision, V, j * ldv + k0);
      if (n <= BLOCK)
        zg_self_product(precision, n, terms, alpha, rest, ldv, 0, scratch, n);
      else
        zg_product(precision, n - j, width, terms, alpha, rest, ldv, rest, ldv, 0,
                   scratch, n - j);
      add_columns(precision, n, j, width, scratch, coarse, fine);
    }
  }
  free(scratch);
}

static void cross_by_blas(zg_precision precision, int64_t m, int64_t n, int64_t k,
                          double alpha, const void *A, int64_t lda, const void *B,
                          int64_t ldb, double *coarse, double *fine) {
  enum { BLOCK = 256 }; /* columns at a time, so that the scratch is small */
  void *scratch = zg_alloc(m * zg_min(BLOCK, n), zg_real_size(precision));
  for (int64_t k0 = 0; k0 < k; k0 += ZG_RUN)
    for (int64_t j = 0; j < n; j += BLOCK) {
      int64_t width = zg_min(BLOCK, n - j), terms = zg_min(ZG_RUN, k - k0);
      zg_product(precision, m, width, terms, alpha, zg_real_at(precision, A, k0), lda,
                 zg_real_at(precision, B, j * ldb + k0), ldb, 0, scratch, m);
      zg_fixed_add_all(precision, scratch, m * width, coarse + j * m, fine + j * m);
    }
  free(scratch);
}

void zg_accumulate_cross(zg_precision precision, int64_t m, int64_t n, int64_t k,
                         double alpha, const void *A, int64_t lda, const void *B,
                         int64_t ldb, double *coarse, double *fine) {
  if (precision == ZG_SINGLE && zg_micro_is_fast() && zg_inner_has_cross(m, n))
    zg_inner_cross(m, n, k, alpha, A, lda, B, ldb, coarse, fine);
  else
    cross_by_blas(precision, m, n, k, alpha, A, lda, B, ldb, coarse, fine);
}

void zg_accumulate_product(zg_precision precision, int64_t n, int64_t k, double alpha,
                           const void *V, int64_t ldv, double *coarse, double *fine) {
  if (precision == ZG_SINGLE && zg_micro_is_fast())
    zg_inner_accumulate(n, k, alpha, V, ldv, coarse, fine);
  else
    accumulate_by_blas(precision, n, k, alpha, V, ldv, coarse, fine);
}
