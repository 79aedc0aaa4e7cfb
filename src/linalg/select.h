/** \file
 * Order statistics and sorting. Not collective. */
#ifndef ZG_LINALG_SELECT_H
#define ZG_LINALG_SELECT_H

#include <stdint.h>

/** The value of rank `k` (0-based) of `count` numbers, none of them NaN; the array is
 * partially sorted: [0, k) holds nothing larger, (k, count) nothing smaller. */
double zg_order_statistic(double *values, int64_t count, int64_t k);

/** Sort numbers, none of them NaN, ascending. O(count): by their bits, eleven at a
 * time. \param [in] scratch  [2 count] */
void zg_sort(double *values, int64_t count, uint64_t *scratch);

/** Split numbers >= 0 by a bracket [low, high).
 * \param [in,out] values  [count]; those in the bracket are moved to the front, in
 * order. \param [out] below      how many are smaller than low. \param [out] largest
 * the largest of these; 0 when there are none. \return how many are in the bracket. */
int64_t zg_split(double *values, int64_t count, double low, double high, int64_t *below,
                 double *largest);

/** The median of all n^2 squared distances of n samples, the n zeros of the diagonal
 * and both triangles included, from those of the n(n-1)/2 pairs (Kornblith 2019). An
 * even count has the mean of its two middle values. `pairs` is partially sorted. */
double zg_distance_median(double *pairs, int64_t n);

/** Where the two middle values of the n^2 distances lie among the sorted n(n-1)/2 of
 * the pairs: 0-based ranks; -1 for a zero of the diagonal. Equal for odd n. */
void zg_median_ranks(int64_t n, int64_t rank[2]);

#endif
