/** \file
 * Order statistics and sorting. Not collective. */
#ifndef ZG_LINALG_SELECT_H
#define ZG_LINALG_SELECT_H

#include <stdint.h>

/** The value of rank `k` (0-based) of `count` numbers, none of them NaN; the array is
 * partially sorted: [0, k) holds nothing larger, (k, count) nothing smaller. */
double zg_order_statistic(double *values, int64_t count, int64_t k);

/** Sort numbers, none of them NaN, ascending. O(count): by their bits, eleven at a
 * time.
 * \param [in] scratch  [2 count] */
void zg_sort(double *values, int64_t count, uint64_t *scratch);

/** Split numbers >= 0 by a bracket [low, high).
 * \param [in,out] values  [count]; those in the bracket are moved to the front, in
 * order.
 * \param [out] below  how many are smaller than low.
 * \param [out] largest  the largest of these; 0 when there are none.
 * \return how many are in the bracket. */
int64_t zg_split(double *values, int64_t count, double low, double high, int64_t *below,
                 double *largest);

/** The median of so many zeros and of `count` numbers >= 0, each of which counts twice.
 * An even number of values has the mean of its two middle ones; 0 without any. The
 * array is partially sorted. */
double zg_median(int64_t zeros, double *values, int64_t count);

/** The median of all n^2 squared distances of n samples, the n zeros of the diagonal
 * and both triangles included, from those of the n(n-1)/2 pairs (Kornblith 2019).
 * `pairs` is partially sorted. */
double zg_distance_median(double *pairs, int64_t n);

/** Where the two middle ones of so many zeros and of `pairs` numbers >= 0, each of
 * which counts twice, lie among the sorted pairs: 0-based ranks; -1 for a zero. Equal
 * where zeros are odd. */
void zg_median_ranks(int64_t zeros, int64_t pairs, int64_t rank[2]);

#endif
