/** \file
 * All singular values of a tall matrix, on many ranks. */
#ifndef ZG_GRID_SINGULAR_H
#define ZG_GRID_SINGULAR_H

#include "grid/spectrum.h"

/** Singular values of a [rows, columns] matrix, rows >= columns, that never exists as a
 * whole: runs of rows are folded into a triangle on all ranks (p?geqrf), which is made
 * bidiagonal (p?gebrd); the rest is rank 0's. The matrix is never multiplied with
 * itself.
 * \param [in] fill  gives rows, as the rank that calls it needs them; entries should be
 * of the order of 1.
 * \param [out] values  [columns], descending, the same on every rank.
 * \return what `fill` returns; ZG_ERR_DATA when a number is not finite; ZG_ERR_USAGE
 * when there are too many columns for so few ranks; ZG_ERR_INTERNAL when LAPACK fails
 * or the squares of the values do not add up to those of the numbers; all ranks agree,
 * and then `values` is undefined. Collective, the same sizes on all ranks. Cost: about
 * 4 rows columns^2 / ranks flop. */
zg_status zg_distributed_singular_values(MPI_Comm comm, int64_t rows, int64_t columns,
                                         zg_fill_fn *fill, void *context,
                                         double *values);
/** Bytes that this takes of one of so many ranks, about. Not collective. */
int64_t zg_distributed_singular_memory(int64_t columns, int ranks);

#endif
