/** \file
 * Sums of doubles that do not depend on the order of their terms: every term is rounded
 * to a coarse grid, and what is left of it to a fine one, so that all additions are
 * exact. Hence the same bits for every number of ranks, every distribution of the work
 * and every restart. Not collective. */
#ifndef ZG_LINALG_FIXED_H
#define ZG_LINALG_FIXED_H

#include <stdint.h>

/** Add x to a sum kept as *coarse + *fine. Terms and sums must stay below 2^13 in
 * absolute value, with at most 2^20 terms; each is kept to 2^-74. Adding two such sums
 * part by part is exact as well. */
static inline void zg_fixed_add(double *coarse, double *fine, double x) {
  const double coarse_grid = 0x1.8p14; /* a number whose last bit is 2^-38 */
  const double fine_grid = 0x1.8p-21;  /* and 2^-73 */
  double kept = (x + coarse_grid) - coarse_grid;
  *coarse += kept;
  *fine += ((x - kept) + fine_grid) - fine_grid;
}

/** The nearest multiple of 2^-52 `bound`: numbers rounded so add up exactly as long as
 * their sums stay below `bound`, a power of two. */
static inline double zg_fixed_round(double x, double bound) {
  double grid = 1.5 * bound;
  return (x + grid) - grid;
}

#endif
