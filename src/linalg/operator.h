/** \file
 * A real linear operator that is only known by what it does to vectors. Not collective.
 */
#ifndef ZG_LINALG_OPERATOR_H
#define ZG_LINALG_OPERATOR_H

#include <stdint.h>

typedef struct zg_operator {
  int64_t rows, columns;
  /** Vectors that are at best given at once, 1 or 2: as many as the largest singular
   * values that may lie close together. */
  int vectors;
  /** y := A x for `count` vectors behind each other, at most `vectors`; x [count,
   * columns], y [count, rows], which do not overlap. */
  void (*apply)(const void *context, int64_t count, const double *x, double *y);
  /** x := A' y. */
  void (*apply_transposed)(const void *context, int64_t count, const double *y,
                           double *x);
  /** NULL, or: an idea of the vectors x [vectors, columns] of the largest singular
   * values, for iterations to start from; any will do. */
  void (*guess)(const void *context, double *x);
  const void *context; /**< borrowed */
} zg_operator;

#endif
