/** \file
 * What is done with columns of blocks in single precision: the inner loops of
 * linalg/kernel.h for kernels that are formed in that precision. Explicit fused
 * multiply-adds and a fixed order of partial sums give the same bits whatever the
 * instruction set. Not collective. */
#ifndef ZG_LINALG_COLUMN_H
#define ZG_LINALG_COLUMN_H

#include <stdint.h>

/** A kernel as zg_rbf has it, ready for single precision. */
typedef struct zg_column_rbf {
  float gamma, base, shift, factor; /**< factor: 1 / scale */
} zg_column_rbf;

/** v[r] := (exp(-gamma d^2) - base - shift) factor with d^2 = norms[r] + norm - 2 v[r];
 * a d^2 that rounding cannot tell from zero counts as zero.
 * \param [in,out] v     [rows]
 * \param [in,out] sums  [rows]: the results are added.
 * \return the sum of the results. */
double zg_column_kernel(int64_t rows, float *v, const float *norms, float norm,
                        const zg_column_rbf *rbf, float *sums);

/** out[r] := d^2, never negative. */
void zg_column_distances(int64_t rows, const float *v, const float *norms, float norm,
                         float *out);

/** exp(x) - 1 for x <= 0 as zg_column_kernel has it. For tests. */
float zg_column_expm1(float x);

#endif
