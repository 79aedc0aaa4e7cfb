#include "linalg/logs.h"

#include "linalg/vector.h"

#include <float.h>
#include <string.h>

/* A double's bits and back. */
static inline uint64_t bits_of(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
static inline double double_of(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* log(1 + f) for 1 + f between the roots of 1/2 and 2, plus k log 2. With s = f/(2 + f)
 * it is 2 (s + s^3/3 + s^5/5 + ...) = 2 s + s z R(z), z = s^2; as 2 s = f - s f, the f
 * is exact and all that is added to it is small. R is the polynomial that deviates
 * least from the series for these z, by 2^-58 of the logarithm; its even and odd terms
 * are two chains, so that none is long. */
static inline double log_near_one(double f, double k) {
  const double high = 0x1.62e42feep-1, low = 0x1.a39ef35793c76p-33; /* of log 2 */
  double s = f / (2 + f), z = s * s, zz = z * z, half = 0.5 * f * f;
  double even = 0x1.2f05665104f87p-3;
  double odd = 0x1.39a1ba714da3fp-3;
  even = even * zz + 0x1.74663eeb1e884p-3;
  odd = odd * zz + 0x1.c71c52094ffabp-3;
  even = even * zz + 0x1.24924941f1356p-2;
  odd = odd * zz + 0x1.999999997fdb6p-2;
  even = even * zz + 0x1.5555555555592p-1;
  double R = even + z * odd;
  return k * high - ((half - (s * (half + R * z) + k * low)) - f);
}

ZG_VECTOR
void zg_logs(int64_t count, const double *x, double *y) {
  const uint64_t one = UINT64_C(0x3ff0000000000000);  /* 1.0 */
  const uint64_t root = UINT64_C(0x3fe6a09e667f3bcd); /* the root of 1/2 */
  const uint64_t exponent = UINT64_C(0xfff0000000000000);
  const uint64_t big = UINT64_C(0x4330000000000000); /* 2^52: adds a whole number */
  for (int64_t j = 0; j < count; j++) {
    double small = x[j] < DBL_MIN ? 1 : 0; /* subnormal */
    uint64_t bits = bits_of(x[j] * (1 + small * (0x1p54 - 1)));
    uint64_t shifted = bits - root + one;
    double f = double_of(bits - (shifted & exponent) + one) - 1;
    double k = double_of(shifted >> 52 | big) - (0x1p52 + 1023) - 54 * small;
    double value = log_near_one(f, k);
    y[j] = x[j] > 0 ? value : 0;
  }
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
