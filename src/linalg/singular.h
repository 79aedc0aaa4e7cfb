/** \file
 * Singular values of a tall matrix that comes in blocks of rows, on one rank.
 *
 * Every block is folded into a triangle by Householder reflections (TSQR; Demmel et al.
 * 2012), whose singular values are the matrix's. The matrix is never multiplied with
 * itself, so that singular values down to eps times the largest are known. Not
 * collective. */
#ifndef ZG_LINALG_SINGULAR_H
#define ZG_LINALG_SINGULAR_H

#include <stdbool.h>
#include <stdint.h>

typedef struct zg_tsqr zg_tsqr;

/** Longest rows that LAPACK's 32-bit integers allow. */
enum { ZG_TSQR_MOST = 32766 };

/** The triangle of a matrix without rows, whose rows will have d numbers, at most
 * ZG_TSQR_MOST. Destroy with zg_tsqr_destroy. */
zg_tsqr *zg_tsqr_create(int64_t d);
void zg_tsqr_destroy(zg_tsqr **triangle);
/** Fold in [rows, d] numbers, row-major; they are overwritten. At least about 64 rows
 * at a time make good use of BLAS. Cost: 2 rows d^2 flop. */
void zg_tsqr_add(zg_tsqr *triangle, int64_t rows, double *block);
/** The singular values; the triangle is zero afterwards.
 * \param [out] values  [d], descending. \return false when a number is not finite or
 * LAPACK fails. Cost: 8/3 d^3 flop. */
bool zg_tsqr_values(zg_tsqr *triangle, double *values);
/** Bytes that a triangle takes, its singular values included. */
int64_t zg_tsqr_memory(int64_t d);

#endif
