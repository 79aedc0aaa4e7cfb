/** \file
 * Clouds of points, and the squared distances of all points of one from all of another.
 *
 * A cloud keeps its mean apart from its centred points, so that
 *
 *     |x - y|^2 = |x'|^2 + |y'|^2 + |D|^2 + 2 D.(x' - y') - 2 x'.y',
 *
 * D the difference of the means, comes from a product without losing digits to a mean
 * far from zero. Not collective.
 */
#ifndef ZG_LINALG_CLOUD_H
#define ZG_LINALG_CLOUD_H

#include "linalg/blas.h"

typedef struct zg_cloud {
  int64_t n, d;
  double *mean;   /**< [d] */
  double *points; /**< [n, d], centred */
  double *norms;  /**< [n] their squared lengths */
  double squares; /**< sum of these */
} zg_cloud;

/** Doubles that a cloud takes. */
int64_t zg_cloud_numbers(int64_t n, int64_t d);
/** A cloud that lies in `memory`, [zg_cloud_numbers], whatever is in there. */
zg_cloud zg_cloud_at(double *memory, int64_t n, int64_t d);
/** Make a cloud of points [n, d] in such memory. Their numbers can be squared
 * (linalg/numbers.h), or there are no distances. */
zg_cloud zg_cloud_make(double *memory, int64_t n, int64_t d, const double *points);

/** |D|^2: squared distance of the means. */
double zg_cloud_apart(const zg_cloud *a, const zg_cloud *b);

/** Two clouds whose distances are wanted, block by block. */
typedef struct zg_cloud_pair {
  const zg_cloud *a, *b;
  double *left, *right; /**< [n of a], [n of b]: what belongs to a point alone */
} zg_cloud_pair;

/** \param [in] room  [n of a + n of b] doubles, used until the end. */
zg_cloud_pair zg_cloud_pair_of(const zg_cloud *a, const zg_cloud *b, double *room);

/** Squared distances, never negative, of points [first, first + count) of a from all of
 * b. A distance that rounding cannot tell from zero is 0.
 * \param [out] distances  [count, n of b], row-major. */
void zg_cloud_distances(const zg_cloud_pair *pair, int64_t first, int64_t count,
                        double *distances);

#endif
