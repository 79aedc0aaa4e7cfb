/** \file
 * A few numbers of many distributions, centred: a - m and w = log a - log m (0 where a
 * = 0), m the mean of all a. Not collective. */
#ifndef ZG_LINALG_REFERENCE_H
#define ZG_LINALG_REFERENCE_H

#include "linalg/blas.h"
#include "linalg/lanes.h"

#include <stdbool.h>

enum { ZG_REFERENCE_NUMBERS = 128 /**< at a time, at most */ };

/** What the numbers have in common; begins with how they are stored, and zeros. */
typedef struct zg_reference {
  zg_precision stored;                   /**< of the numbers x, and a is */
  double factor, summand;                /**< factor x + summand */
  double a[ZG_REFERENCE_NUMBERS];        /**< m; before, the sum of x */
  double log_a[ZG_REFERENCE_NUMBERS];    /**< log m; 0 where m = 0 */
  double inverse[ZG_REFERENCE_NUMBERS];  /**< 1/m, 0 where m is next to nothing */
  double positive[ZG_REFERENCE_NUMBERS]; /**< distributions with x > 0 */
} zg_reference;

/** Lane by lane sums over the numbers of one distribution; begin as zeros. */
typedef struct zg_centred_sums {
  double reference[ZG_LANES];  /**< m w */
  double spread[ZG_LANES];     /**< (a - m)^2 / m */
  double log_spread[ZG_LANES]; /**< m w^2 */
} zg_centred_sums;

/** Another distribution's numbers. */
void zg_reference_add(zg_reference *reference, int64_t count, const void *x);
/** All of them have been added. \return whether some a is positive in some of them and
 * 0 in others. */
bool zg_reference_finish(zg_reference *reference, int64_t count, int64_t distributions);
/** The numbers of one of them, centred.
 * \param [in] precision  of `centred` and `logs`.
 * \param [out] centred  a - m.
 * \param [out] logs  w. */
void zg_reference_centre(const zg_reference *reference, zg_precision precision,
                         int64_t count, const void *x, void *centred, void *logs,
                         zg_centred_sums *sums);

#endif
