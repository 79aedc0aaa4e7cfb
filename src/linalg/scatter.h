/** \file
 * The scatter matrix Z'Z of many features: what rows add up to, run by run. In single
 * precision by the kernel of linalg/micro.h where that is fast, else by BLAS. Not
 * collective. */
#ifndef ZG_LINALG_SCATTER_H
#define ZG_LINALG_SCATTER_H

#include "linalg/blas.h"

#include <stdbool.h>

/** Terms of single precision that are summed in that precision. */
enum { ZG_SCATTER_RUN = 512 };

/** Only the lower triangle is made. Sums are rounded to a grid (linalg/fixed.h), so
 * that they are the same in any order as long as no |product of columns| exceeds 4. */
typedef struct zg_scatter {
  zg_precision precision; /**< of rows and runs; sums are in double */
  int64_t D;              /**< features */
  int64_t capacity;       /**< rows that there is room for at a time */
  int64_t count;          /**< numbers of sums */
  double *sums;  /**< [count], in an order of their own; those of some rows plus those
                      of others are those of all; owned */
  bool packed;   /**< by the kernel of linalg/micro.h */
  void *Z;       /**< the rows: [capacity, D], or packed; owned */
  void *product; /**< of a run; owned */
} zg_scatter;

/** With sums of zero, and rows of zeros; clear with zg_scatter_clear. */
void zg_scatter_create(zg_precision precision, int64_t D, int64_t capacity,
                       zg_scatter *s);
void zg_scatter_clear(zg_scatter *s);
/** Bytes that it takes, at most: on some CPUs less. */
int64_t zg_scatter_bytes(zg_precision precision, int64_t D, int64_t capacity);

/** Set features [column, column + d) of rows [row, row + rows).
 * \param [in] values  [rows, d] in the scatter's precision. */
void zg_scatter_put(zg_scatter *s, int64_t row, int64_t rows, int64_t column, int64_t d,
                    const void *values);
/** Add the first `rows` rows to the sums; features that are never set are zero. On all
 * threads. */
void zg_scatter_add(zg_scatter *s, int64_t rows);

/** Add the products of the first `rows` rows with those of another set of rows, both
 * packed: sums[j * z->D + i] += column i of z . column j of w, rounded like the others.
 * On all threads.
 * \param [in,out] sums  [w->D, z->D] */
void zg_scatter_cross(zg_scatter *z, zg_scatter *w, int64_t rows, double *sums);

/** Subtract alpha x x', x of D numbers. */
void zg_scatter_subtract(zg_scatter *s, double alpha, const double *x);

/** The product of columns i and j. */
double zg_scatter_at(const zg_scatter *s, int64_t i, int64_t j);

#endif
