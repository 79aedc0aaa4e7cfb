/** \file
 * Logarithms and divergences of many numbers at once. Not collective. */
#ifndef ZG_LINALG_LOGS_H
#define ZG_LINALG_LOGS_H

#include <stdint.h>

/** y_k := log x_k to within about one unit in the last place, subnormal numbers too; 0
 * where x_k = 0. For finite x_k >= 0. */
void zg_logs(int64_t count, const double *x, double *y);

/** What some numbers contribute to the divergence of two distributions, either way. */
typedef struct zg_divergence {
  double forth;  /**< sum a log(a/b) - a + b, each term >= 0 */
  double back;   /**< sum b log(b/a) - b + a */
  double excess; /**< sum a - b */
} zg_divergence;

/** No term loses digits to cancellation, however close a and b. Where a = 0, a log a is
 * 0; terms without support (a > 0, b = 0) count as 0.
 * \param [in] log_a, log_b  their logarithms as zg_logs has them. */
zg_divergence zg_divergence_of(int64_t count, const double *a, const double *log_a,
                               const double *b, const double *log_b);

#endif
