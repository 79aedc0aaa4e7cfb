/** \file
 * Inner products of all pairs of long vectors, by micro-kernels of our own in single
 * precision: the HSIC reduction V V' on one rank.
 *
 * Few vectors (a product of their whole length has to fetch each number from memory
 * anyway) are multiplied as they lie, six by four at a time; many are brought into
 * panels (linalg/micro.h) first. Either way every inner product is made of the same
 * partial sums in the same order whatever the instruction set, so its bits do not
 * depend on it. Not collective. */
#ifndef ZG_LINALG_INNER_H
#define ZG_LINALG_INNER_H

#include <stdbool.h>
#include <stdint.h>

/** Lower triangle (by columns) of H += alpha V' V, H as in linalg/fixed.h. No sum in
 * single precision has more than 4096 terms, where vectors are few 512.
 * \param [in] V  k x n, leading dimension ldv.
 * \param [in,out] coarse, fine  n x n, leading dimension n. */
void zg_inner_accumulate(int64_t n, int64_t k, double alpha, const float *V,
                         int64_t ldv, double *coarse, double *fine);

/** The same of two sets of many vectors, all of it: S += alpha A' B.
 * \param [in]     A, B  k x m and k x n, leading dimensions lda and ldb.
 * \param [in,out] coarse, fine  m x n, leading dimension m. */
void zg_inner_cross(int64_t m, int64_t n, int64_t k, double alpha, const float *A,
                    int64_t lda, const float *B, int64_t ldb, double *coarse,
                    double *fine);
/** Whether so many are enough for that to be fast. */
bool zg_inner_has_cross(int64_t m, int64_t n);

/** Bytes that zg_inner_accumulate takes for n vectors. */
int64_t zg_inner_bytes(int64_t n);

#endif
