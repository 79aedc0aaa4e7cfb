/** \file
 * Largest singular values on one rank.
 *
 * Everything goes through the largest eigenvalue of A'A (or AA', whichever is smaller),
 * which costs the largest singular value no digits: an error of eps relative to the
 * largest eigenvalue is one of eps / 2 relative to its root. Small singular values,
 * which squaring does destroy, are not asked for. Not collective. */
#ifndef ZG_LINALG_SPECTRAL_H
#define ZG_LINALG_SPECTRAL_H

#include "linalg/operator.h"

#include <stdbool.h>

typedef struct zg_norm {
  double value;    /**< largest singular value; NaN when the input is not finite */
  double residual; /**< certificate |A'A v - s^2 v| / s^2 of the vector found: some
                        singular value lies within half of that of `value`,
                        relatively; 0 from a direct method */
  bool converged;  /**< the residual is as small as the function promises */
} zg_norm;

/** Largest singular value of an operator by block Lanczos iterations with A'A or AA'
 * (Golub & Underwood 1977; Paige 1980), from the operator's guess and a fixed
 * pseudo-random vector: the same bits on every run. They end when the residual is at
 * most 3e-9, so that the value is within 1.5e-9 of that of a singular value even where
 * others lie closer than that; where they do not, its error is of the order of the
 * residual's square over the gap, 1e-12 and less. Or after 1000 products with A and A'
 * each, and then converged is false and `value` a lower bound. A start whose space is
 * exhausted before (few different singular values, low rank) is followed by a second
 * one. Memory: zg_operator_norm_memory bytes. */
zg_norm zg_operator_norm(const zg_operator *op);
/** Bytes that zg_operator_norm allocates for an operator of that size.
 * \param [in] vectors  1 or 2, as the operator has it. */
int64_t zg_operator_norm_memory(int64_t rows, int64_t columns, int vectors);

/** Largest singular value of a matrix. With n the smaller of its sides: up to 4096 the
 * smaller Gram matrix is formed, n^2 doubles; its largest eigenvalue comes from LAPACK
 * up to 256, from Lanczos iterations above (residual at most 1e-10), from LAPACK when
 * these do not converge. Above 4096 Lanczos iterations with the matrix itself, so that
 * `converged` may be false. A zero or empty matrix has norm 0; no scale of the entries
 * overflows or underflows.
 * \param [in] A  [rows, columns], row-major. */
zg_norm zg_dense_norm(int64_t rows, int64_t columns, const double *A);
/** Bytes that zg_dense_norm allocates at most, but for a copy of an extreme A
 * (zg_is_extreme). */
int64_t zg_dense_norm_memory(int64_t rows, int64_t columns);

/** A symmetric positive semidefinite operator, y := G x for `count` vectors behind each
 * other. */
typedef void zg_symmetric_apply(const void *context, int64_t count, const double *x,
                                double *y);

/** Largest eigenvalue, by the iterations of zg_operator_norm with single vectors;
 * `residual` is |G v - value v| / value, at most 1e-10. */
zg_norm zg_largest_eigenvalue(int64_t n, zg_symmetric_apply *apply,
                              const void *context);

/** The factor 2^k, 2^-1022 <= 2^k <= 2^1022, that brings the largest of `count`
 * absolute values into [1/2, 1); 1 when all are zero, NaN when one is not finite. */
double zg_unit_scale(int64_t count, const double *values);
/** Whether numbers are so large or small that their norm is found from a copy that is
 * multiplied by this factor. */
static inline bool zg_is_extreme(double unit) {
  return !(unit > 0x1p-300 && unit < 0x1p300);
}

#endif
