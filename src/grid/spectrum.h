/** \file
 * All eigenvalues of a symmetric matrix, and the norm of a matrix, on many ranks. */
#ifndef ZG_GRID_SPECTRUM_H
#define ZG_GRID_SPECTRUM_H

#include "grid/comm.h"

/** An n x n symmetric matrix of doubles: block-cyclic on the ranks, at most n / 64 of
 * them, or whole on rank 0 when n is at most 1024 or there is one rank. */
typedef struct zg_symmetric zg_symmetric;

/** A matrix of zeros on the ranks of `comm`, which is borrowed. Collective, the same n
 * on all ranks; destroy with zg_symmetric_destroy, collectively. \return ZG_ERR_USAGE
 * when a rank would hold 2^31 numbers or more; all ranks agree. Memory: about 8 n^2 /
 * ranks bytes on each. */
zg_status zg_symmetric_create(MPI_Comm comm, int64_t n, zg_symmetric **matrix);
void zg_symmetric_destroy(zg_symmetric **matrix);
/** Bytes that a matrix and its eigenvalues take at most on one of so many ranks. Not
 * collective. */
int64_t zg_symmetric_bytes(int64_t n, int ranks);

/** Set the entries [row, row + rows) x [column, column + columns) and their mirror
 * image from a block that every rank has; entries set twice keep the later value.
 * \param [in] values  [rows, columns], row-major with leading dimension ld.
 * Not collective. */
void zg_symmetric_set(zg_symmetric *matrix, int64_t row, int64_t rows, int64_t column,
                      int64_t columns, const double *values, int64_t ld);

/** All eigenvalues: Householder tridiagonalisation (ScaLAPACK's p?sytrd), then those of
 * the tridiagonal matrix on rank 0. Destroys the entries.
 * \param [out] values  [n], ascending, the same on every rank.
 * \return ZG_ERR_DATA when an entry is not finite, ZG_ERR_INTERNAL when LAPACK fails or
 * trace or squares of the eigenvalues are not those of the matrix; all ranks agree, and
 * then `values` is undefined. Collective. Cost: 4/3 n^3 / ranks flop. */
zg_status zg_symmetric_eigenvalues(zg_symmetric *matrix, double *values);

/** Give rows [row, row + rows) of a matrix, row-major; called on one rank at a time of
 * its own choosing, so it must not be collective. */
typedef zg_status zg_fill_fn(void *context, int64_t row, int64_t rows, double *values);

/** Largest singular value of a rows x columns matrix, as the root of the largest
 * eigenvalue of the smaller Gram matrix, which is added up over the ranks; every rank
 * asks `fill` for its share of the rows when rows >= columns, and for all rows in turn
 * otherwise.
 * \param [out] norm  the same on every rank.
 * \return what `fill` returns, or as zg_symmetric_eigenvalues; all ranks agree.
 * Collective, the same sizes on all ranks. */
zg_status zg_distributed_norm(MPI_Comm comm, int64_t rows, int64_t columns,
                              zg_fill_fn *fill, void *context, double *norm);

#endif
