/** \file
 * The linear assignment problem. Not collective. */
#ifndef ZG_LINALG_ASSIGNMENT_H
#define ZG_LINALG_ASSIGNMENT_H

#include <stdint.h>

/** Bytes of room that zg_assign needs beside the costs. */
int64_t zg_assign_room(int64_t n);

/** Give every row a column of its own so that the sum of cost[i, column_of[i]] is the
 * least there is: shortest augmenting paths after column reduction, reduction transfer
 * and augmenting row reduction (Jonker & Volgenant 1987). The optimum is exact up to
 * the rounding of sums of costs. O(n^3) in the worst case.
 * \param [in]  cost       [n, n], row-major, finite.
 * \param [out] column_of  [n]. */
void zg_assign(int64_t n, const double *cost, void *room, int64_t *column_of);

#endif
