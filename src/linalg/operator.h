/** \file
 * A real linear operator that is only known by what it does to vectors. Not collective.
 */
#ifndef ZG_LINALG_OPERATOR_H
#define ZG_LINALG_OPERATOR_H

#include <stdint.h>

typedef struct zg_operator {
  int64_t rows, columns;
  /** y := A x; x [columns], y [rows], which do not overlap. */
  void (*apply)(const void *context, const double *x, double *y);
  /** x := A' y. */
  void (*apply_transposed)(const void *context, const double *y, double *x);
  const void *context; /**< borrowed */
} zg_operator;

#endif
