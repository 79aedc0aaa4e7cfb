/** \file
 * The median of squared distances between the rows of all items. */
#ifndef ZG_MEASURES_POOLED_H
#define ZG_MEASURES_POOLED_H

#include "measures/pair.h"

/** The exact median of the squared distances of all ordered pairs of rows, each row
 * with itself included, among the first `rows` rows of every array of a kind; an even
 * count has the mean of its two middle values. Arrays of different width have no
 * distances from each other; those of fewer than 4 rows, or with numbers among these
 * rows that are not finite or cannot be squared (linalg/numbers.h), have no part in it.
 * 0 without any rows. Sweeps over all pairs, at most three or four of them, narrow a
 * bracket until what is left fits into memory. Collective; the same status and median
 * on all ranks; ZG_STOPPED when asked to stop. */
zg_status zg_pooled_median(const zg_sharing *sharing, zg_data data, int64_t rows,
                           double *median);

/** Bytes that this takes on a rank. */
int64_t zg_pooled_bytes(const zg_zoo *zoo, zg_data data, int64_t rows);

#endif
