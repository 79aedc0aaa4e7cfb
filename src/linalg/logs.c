#include "linalg/logs.h"

#include "linalg/lanes.h"
#include "linalg/vector.h"

#include <string.h>

ZG_VECTOR
void zg_logs(int64_t count, const double *x, double *y) {
  int64_t whole = count - count % ZG_LANES;
  size_t rest = (size_t)(count - whole) * sizeof *x;
  zg_lanes_double last = {0};
  for (int64_t k = 0; k < whole; k += ZG_LANES)
    zg_lanes_log((const zg_lanes_double *)(x + k), (zg_lanes_double *)(y + k));
  memcpy(&last, x + whole, rest);
  zg_lanes_log(&last, &last);
  memcpy(y + whole, &last, rest);
}

/* g(u) = (1 + u) log(1 + u) - u for |u| <= 1/32, sum over n >= 2 of (-u)^n / (n (n-1)).
 */
static inline double near_zero(double u) {
  double sum = 1.0 / 132;
  sum = 1.0 / 110 - sum * u;
  sum = 1.0 / 90 - sum * u;
  sum = 1.0 / 72 - sum * u;
  sum = 1.0 / 56 - sum * u;
  sum = 1.0 / 42 - sum * u;
  sum = 1.0 / 30 - sum * u;
  sum = 1.0 / 20 - sum * u;
  sum = 1.0 / 12 - sum * u;
  sum = 1.0 / 6 - sum * u;
  sum = 1.0 / 2 - sum * u;
  return sum * u * u;
}

/* a log(a/b) - a + b = b g(a/b - 1), a and b positive. */
static inline double term(double a, double log_a, double b, double log_b) {
  double d = a - b, u = d / b;
  double near = b * near_zero(u), far = a * (log_a - log_b) - d;
  return u < 1.0 / 32 && u > -1.0 / 32 ? near : far;
}

/* The same with zeros. */
static inline double term_of(double a, double log_a, double b, double log_b) {
  double value = term(a > 0 ? a : 1, log_a, b > 0 ? b : 1, log_b);
  value = a > 0 ? value : b;
  return a > 0 && !(b > 0) ? 0 : value;
}

ZG_VECTOR
zg_divergence zg_divergence_of(int64_t count, const double *a, const double *log_a,
                               const double *b, const double *log_b) {
  enum { LANES = 8 };
  double forth[LANES] = {0}, back[LANES] = {0}, excess[LANES] = {0};
  zg_divergence sum = {0};
  int64_t whole = count - count % LANES;
  for (int64_t k = 0; k < whole; k += LANES)
    for (int64_t j = 0; j < LANES; j++) {
      int64_t at = k + j;
      forth[j] += term_of(a[at], log_a[at], b[at], log_b[at]);
      back[j] += term_of(b[at], log_b[at], a[at], log_a[at]);
      excess[j] += a[at] - b[at];
    }
  for (int64_t at = whole; at < count; at++) {
    sum.forth += term_of(a[at], log_a[at], b[at], log_b[at]);
    sum.back += term_of(b[at], log_b[at], a[at], log_a[at]);
    sum.excess += a[at] - b[at];
  }
  for (int j = 0; j < LANES; j++) {
    sum.forth += forth[j];
    sum.back += back[j];
    sum.excess += excess[j];
  }
  return sum;
}
