/** \file
 * Numbers side by side, for functions that are compiled for several instruction sets
 * (linalg/vector.h): the same operations in the same order, hence the same bits, with
 * all of them. Not collective. */
#ifndef ZG_LINALG_LANES_H
#define ZG_LINALG_LANES_H

#include <float.h>
#include <stdint.h>

enum { ZG_LANES = 8 };

#define ZG_LANES_OF(number)                                                            \
  __attribute__((vector_size(8 * sizeof(number)), aligned(sizeof(number)), may_alias))
typedef double zg_lanes_double ZG_LANES_OF(double);
typedef float zg_lanes_single ZG_LANES_OF(float);
typedef int64_t
    zg_lanes_mask ZG_LANES_OF(int64_t); /**< of comparisons: 0 or all bits */
typedef uint64_t zg_lanes_bits ZG_LANES_OF(uint64_t);

/* Without always_inline a function of vectors has to be told how to pass them. */
#define ZG_LANES_INLINE static inline __attribute__((always_inline))

/** y := log(x 2^-down) to within about one unit in the last place, for finite x > 0
 * that are not subnormal; any number where x is not like that.
 *
 * x = 2^k (1 + f) with 1 + f between the roots of 1/2 and 2. With s = f/(2 + f),
 * log(1 + f) is 2 (s + s^3/3 + s^5/5 + ...) = 2 s + s z R(z), z = s^2; as 2 s = f - s
 * f, the f is exact and all that is added to it is small. R is the polynomial that
 * deviates least from the series for these z, by 2^-58 of the logarithm; its even and
 * odd terms are two chains, so that none is long. */
ZG_LANES_INLINE void zg_lanes_log_scaled(const zg_lanes_double *x,
                                         const zg_lanes_double *down,
                                         zg_lanes_double *y) {
  const uint64_t one = UINT64_C(0x3ff0000000000000);  /* 1.0 */
  const uint64_t root = UINT64_C(0x3fe6a09e667f3bcd); /* the root of 1/2 */
  const uint64_t exponent = UINT64_C(0xfff0000000000000);
  const uint64_t big = UINT64_C(0x4330000000000000); /* 2^52: adds a whole number */
  const double high = 0x1.62e42feep-1, low = 0x1.a39ef35793c76p-33; /* of log 2 */
  zg_lanes_bits bits = (zg_lanes_bits)*x, above = bits - root;
  zg_lanes_double f = (zg_lanes_double)(bits - (above & exponent)) - 1;
  zg_lanes_double k = (zg_lanes_double)((above + one) >> 52 | big);
  k = k - (0x1p52 + 1023) - *down;
  zg_lanes_double s = f / (2 + f), z = s * s, zz = z * z, half = 0.5 * f * f;
  zg_lanes_double even = 0x1.2f05665104f87p-3 * zz + 0x1.74663eeb1e884p-3;
  zg_lanes_double odd = 0x1.39a1ba714da3fp-3 * zz + 0x1.c71c52094ffabp-3;
  even = even * zz + 0x1.24924941f1356p-2;
  odd = odd * zz + 0x1.999999997fdb6p-2;
  even = even * zz + 0x1.5555555555592p-1;
  zg_lanes_double R = even + z * odd;
  *y = k * high - ((half - (s * (half + R * z) + k * low)) - f);
}

/** The same with nothing taken down: what is not subnormal if it is positive. */
ZG_LANES_INLINE void zg_lanes_log_normal(const zg_lanes_double *x, zg_lanes_double *y) {
  const zg_lanes_double none = {0};
  zg_lanes_log_scaled(x, &none, y);
}

/** The same for all finite x >= 0: 0 where x = 0. */
ZG_LANES_INLINE void zg_lanes_log(const zg_lanes_double *x, zg_lanes_double *y) {
  const zg_lanes_double up = (zg_lanes_double){0} + (0x1p54 - 1);
  const zg_lanes_double by = (zg_lanes_double){0} + 54;
  zg_lanes_mask small = *x < DBL_MIN;
  zg_lanes_mask positive = *x > 0;
  zg_lanes_double scaled = *x * (1 + (zg_lanes_double)((zg_lanes_mask)up & small));
  zg_lanes_double down = (zg_lanes_double)((zg_lanes_mask)by & small), value;
  zg_lanes_log_scaled(&scaled, &down, &value);
  *y = (zg_lanes_double)((zg_lanes_mask)value & positive);
}

#endif
