/** \file
 * From inner products to kernels: what happens to a block of K = X X' before it is
 * reduced.
 *
 * All functions work in place on a block of a tile: `rows` x `columns`, column-major;
 * entry (r, c) belongs to the sample pair (row_of[r],
 * column_of[c]), given as positions in the tile. On a diagonal tile only pairs with row
 * > column count; the others become zero. Not collective. */
#ifndef ZG_LINALG_KERNEL_H
#define ZG_LINALG_KERNEL_H

#include "linalg/blas.h"

#include <stdbool.h>

typedef struct zg_block {
  zg_precision precision;
  void *values;
  int64_t rows, columns;
  int64_t leading; /**< numbers from column to column, at least rows */
  const int64_t *row_of, *column_of; /**< positions in the tile, borrowed */
  bool diagonal;                     /**< the tile lies on the diagonal */
} zg_block;

/** Number of entries that count. */
int64_t zg_block_entries(const zg_block *block);

/** Make what does not count zero: on a diagonal tile, pairs with row <= column. */
void zg_block_clear(const zg_block *block);

/** K - u_a - u_b: for centred linear kernels with u as zg_ucentring_shift has it, this
 * is the U-centred kernel itself, whose rows sum to zero.
 * \param [in] u_row, u_column  by position in the tile. */
void zg_block_shift(zg_block *block, const double *u_row, const double *u_column);

/** An RBF kernel as it enters products: (exp(-gamma d^2) - base - shift) / scale. HSIC
 * is blind to what is subtracted, and without it products of kernels are mostly
 * products of their means. base is 1 where most of the kernel is near 1, so that what
 * is left keeps its digits, else 0; shift is near the rest of the mean; scale is about
 * the size of what is left. */
typedef struct zg_rbf {
  double gamma, base, shift, scale;
} zg_rbf;

/** The kernel of a block. A d^2 = a + b - 2 K that rounding cannot tell from zero
 * counts as zero.
 * \param [in] norm_row, norm_column  squared norms, by position in the tile.
 * \param [in,out] sum_row, sum_column  the block's row and column sums are added, by
 * position in the tile. */
void zg_block_rbf(zg_block *block, const double *norm_row, const double *norm_column,
                  const zg_rbf *rbf, double *sum_row, double *sum_column);

/** Squared distances of the pairs that count, in the order of the block.
 * \param [out] distances  [zg_block_entries] in the block's precision, never negative.
 */
void zg_block_distances(const zg_block *block, const double *norm_row,
                        const double *norm_column, void *distances);

/** Round a block of double precision, whose leading dimension is its rows, to single
 * precision.
 * \param [out] values  [rows, columns] like the block's. */
void zg_block_narrow(const zg_block *block, float *values);

/** The shift u_a = r_a/(n-2) - (1'r)/(2(n-1)(n-2)) of U-centring (Szekely & Rizzo 2014)
 * for a kernel whose full rows sum to zero, so that r_a = -norm_a: u_a = -norm_a/(n-2)
 * + trace/(2(n-1)(n-2)).
 * \param [in] n  samples of the whole matrix, at least 4. */
void zg_ucentring_shift(int64_t count, const double *norms, double trace, int64_t n,
                        double *u);

/** x_k := exp(x_k) - base for numbers <= 0 (below -700 as for -700) and base 0 or 1;
 * relative error below 2^-50. \return their sum. */
double zg_exponentials(int64_t count, double base, double *x);

/** exp(x) - 1 for x <= 0, as the blocks use it; relative error below 2^-22 (single) or
 * 2^-51 (double). For tests. */
float zg_expm1_single(float x);
double zg_expm1_double(double x);

#endif
