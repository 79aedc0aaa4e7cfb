/** \file
 * Every half-precision number there is, against its definition. */
#include "linalg/half.h"
#include "mpi_main.h"

#include <math.h>

enum { PATTERNS = 65536 };

/* IEEE 754 binary16, literally. */
static double value_of(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double sign = bits >> 15 ? -1 : 1;
  if (exponent == 31) return fraction ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * ldexp(fraction, -24);
  return sign * ldexp(1024 + fraction, exponent - 25);
}

static void convert_all(float *to) {
  static uint16_t from[PATTERNS];
  for (int k = 0; k < PATTERNS; k++)
    from[k] = (uint16_t)k;
  zg_half_to_float(PATTERNS, from, to);
}

static void every_pattern_has_its_value(void) {
  static float to[PATTERNS];
  convert_all(to);
  int wrong = 0;
  for (int k = 0; k < PATTERNS; k++) {
    double expected = value_of((uint16_t)k);
    if (isnan(expected))
      wrong += !isnan(to[k]);
    else
      wrong += !((double)to[k] == expected);
  }
  CU_ASSERT_EQUAL(wrong, 0);
}

static void every_pattern_keeps_its_sign(void) {
  static float to[PATTERNS];
  convert_all(to);
  int wrong = 0;
  for (int k = 0; k < PATTERNS; k++)
    wrong += !signbit(to[k]) != !(k >> 15);
  CU_ASSERT_EQUAL(wrong, 0);
}

static void short_runs_touch_nothing_else(void) {
  uint16_t one[40];
  for (int k = 0; k < 40; k++)
    one[k] = 0x3c00;
  for (int count = 0; count < 40; count++) {
    float to[41];
    for (int k = 0; k < 41; k++)
      to[k] = -7;
    zg_half_to_float(count, one, to);
    for (int k = 0; k < 41; k++)
      CU_ASSERT_EQUAL(to[k], k < count ? 1 : -7);
  }
}

const zg_test zg_tests[] = {
    {"every_pattern_has_its_value", every_pattern_has_its_value},
    {"every_pattern_keeps_its_sign", every_pattern_keeps_its_sign},
    {"short_runs_touch_nothing_else", short_runs_touch_nothing_else},
    {NULL, NULL}};
