/** \file
 * Rectangles of inner products of vectors in panels (linalg/micro.h): sums in single
 * precision, in which every inner product is one chain over the numbers in their order,
 * and from time to time in double. Not collective. */
#ifndef ZG_LINALG_SQUARE_H
#define ZG_LINALG_SQUARE_H

#include "linalg/micro.h"

#include <stdbool.h>
#include <stdint.h>

enum {
  /** Numbers of every vector that are in panels at a time. */
  ZG_SQUARE_DEPTH = 512,
  /** Terms that are summed in single precision at most. */
  ZG_SQUARE_TERMS = 8 * ZG_SQUARE_DEPTH
};

/** The inner products of some vectors with others, or of some with one another. */
typedef struct zg_square {
  int64_t rows, columns;             /**< vectors */
  float *row_panels, *column_panels; /**< the same where diagonal; borrowed */
  float *blocks; /**< zg_square_size numbers, by panel of rows: [strips of columns]
                    [ZG_MICRO_BLOCK]; borrowed */
  bool diagonal; /**< only the lower triangle is made */
  /** Where the numbers of the first vector lie that will be packed after those in the
   * panels, ZG_SQUARE_DEPTH of them, and how far it is from vector to vector: they are
   * brought into the cache while products are made. From NULL: nothing is. */
  zg_ahead next_rows, next_columns;
} zg_square;

/** Numbers of a square's blocks. */
int64_t zg_square_size(int64_t rows, int64_t columns);
/** All sums in single precision := 0. */
void zg_square_clear(const zg_square *square);
/** Add to them what the `terms` numbers of every vector that are in the panels yield.
 */
void zg_square_multiply(const zg_square *square, int64_t terms);
/** Add them, times alpha, to sums as in linalg/fixed.h: row i and column j at
 * [j * leading + i]. */
void zg_square_add(const zg_square *square, double alpha, int64_t leading,
                   double *coarse, double *fine);

#endif
