/** \file
 * A few numbers of many distributions, centred: a - m and w = log a - c (0 where a = 0)
 * by references that they share, m the mean of all a and c that of all log a where a >
 * 0. Not collective. */
#ifndef ZG_LINALG_REFERENCE_H
#define ZG_LINALG_REFERENCE_H

#include "linalg/blas.h"

#include <stdbool.h>

enum {
  ZG_REFERENCE_NUMBERS = 128, /**< at a time, at most */
  ZG_REFERENCE_LANES = 8      /**< partial sums that a sum is made of */
};

/** What the numbers have in common; begins as zeros. */
typedef struct zg_reference {
  double a[ZG_REFERENCE_NUMBERS];        /**< m, and before the sum */
  double log_a[ZG_REFERENCE_NUMBERS];    /**< c, and before the sum */
  double positive[ZG_REFERENCE_NUMBERS]; /**< distributions with a > 0 */
  double inverse[ZG_REFERENCE_NUMBERS];  /**< 1/m, 0 where m is next to nothing */
} zg_reference;

/** Lane by lane sums over the numbers of one distribution; begin as zeros. */
typedef struct zg_centred_sums {
  double reference[ZG_REFERENCE_LANES];  /**< m w */
  double spread[ZG_REFERENCE_LANES];     /**< (a - m)^2 / m */
  double log_spread[ZG_REFERENCE_LANES]; /**< m w^2 */
} zg_centred_sums;

/** Another distribution's numbers.
 * \param [in] log_a  as zg_logs has them. */
void zg_reference_add(zg_reference *reference, int64_t count, const double *a,
                      const double *log_a);
/** All of them have been added. \return whether some number is positive in some of them
 * and 0 in others. */
bool zg_reference_finish(zg_reference *reference, int64_t count, int64_t distributions);
/** \param [out] centred  a - m in this precision.
 * \param [out] logs  w. */
void zg_reference_subtract(const zg_reference *reference, zg_precision precision,
                           int64_t count, const double *a, const double *log_a,
                           void *centred, void *logs, zg_centred_sums *sums);

#endif
