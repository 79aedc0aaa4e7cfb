/** \file
 * Dense products on one rank, in either precision. Column-major, as BLAS has it: a
 * row-major [n, d] array is a d x n matrix here. Not collective. */
#ifndef ZG_LINALG_BLAS_H
#define ZG_LINALG_BLAS_H

#include <stddef.h>
#include <stdint.h>

typedef enum zg_precision { ZG_SINGLE, ZG_DOUBLE } zg_precision;

/** Bytes of one number. */
static inline size_t zg_real_size(zg_precision precision) {
  return precision == ZG_SINGLE ? sizeof(float) : sizeof(double);
}
/** The address `count` numbers behind `base`. */
static inline void *zg_real_at(zg_precision precision, const void *base,
                               int64_t count) {
  return (char *)base + count * (int64_t)zg_real_size(precision);
}
/** Number k of these. */
static inline double zg_real_value(zg_precision precision, const void *base,
                                   int64_t k) {
  return precision == ZG_SINGLE ? (double)((const float *)base)[k]
                                : ((const double *)base)[k];
}

/** C := alpha A' B + beta C; A is k x m, B is k x n, C is m x n. */
void zg_product(zg_precision precision, int64_t m, int64_t n, int64_t k, double alpha,
                const void *A, int64_t lda, const void *B, int64_t ldb, double beta,
                void *C, int64_t ldc);

/** C := A B'; A is m x k, B is n x k, C is m x n. */
void zg_outer_product(zg_precision precision, int64_t m, int64_t n, int64_t k,
                      const void *A, int64_t lda, const void *B, int64_t ldb, void *C,
                      int64_t ldc);

/** Lower triangle of C := alpha A' A + beta C; A is k x n. */
void zg_self_product(zg_precision precision, int64_t n, int64_t k, double alpha,
                     const void *A, int64_t lda, double beta, void *C, int64_t ldc);

/** Lower triangle (by columns) of H += alpha V' V for V in either precision: runs of at
 * most 4096 terms are summed in V's precision, the runs as in linalg/fixed.h. Single
 * precision by kernels of our own where they are faster (linalg/inner.h).
 * \param [in]     V  k x n, leading dimension ldv.
 * \param [in,out] coarse, fine  H, n x n, leading dimension n. */
void zg_accumulate_product(zg_precision precision, int64_t n, int64_t k, double alpha,
                           const void *V, int64_t ldv, double *coarse, double *fine);

/** The same of two sets of vectors, all of it: S += alpha A' B.
 * \param [in] A  k x m, leading dimension lda; B is k x n.
 * \param [in,out] coarse, fine  S, m x n, leading dimension m. */
void zg_accumulate_cross(zg_precision precision, int64_t m, int64_t n, int64_t k,
                         double alpha, const void *A, int64_t lda, const void *B,
                         int64_t ldb, double *coarse, double *fine);

/** Add `count` numbers to as many sums as in linalg/fixed.h. */
void zg_fixed_add_all(zg_precision precision, const void *x, int64_t count,
                      double *coarse, double *fine);

/** Terms that zg_accumulate_product and its distributed sister add in V's precision. */
enum { ZG_RUN = 4096 };

#endif
