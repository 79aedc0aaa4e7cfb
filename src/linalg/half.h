/** \file
 * IEEE half precision. Not collective. */
#ifndef ZG_LINALG_HALF_H
#define ZG_LINALG_HALF_H

#include <stdint.h>

/** Convert `count` half-precision numbers, given by their bits, to single precision;
 * exact, subnormals, infinities and NaN included. `to` may not overlap `from`. */
void zg_half_to_float(int64_t count, const uint16_t *restrict from, float *restrict to);

#endif
