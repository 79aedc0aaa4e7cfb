#include "linalg/half.h"

#include "linalg/vector.h"

#include <string.h>

ZG_VECTOR
void zg_half_to_float(int64_t count, const uint16_t *restrict from,
                      float *restrict to) {
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits = (uint32_t)(from[i] & 0x7fff) << 13;
    /* The exponent's bias differs by 112; the product also normalises subnormals. */
    float magnitude;
    memcpy(&magnitude, &bits, sizeof magnitude);
    magnitude *= 0x1p112f;
    uint32_t out;
    memcpy(&out, &magnitude, sizeof out);
    if ((from[i] & 0x7c00) == 0x7c00) out = bits | 0x7f800000u; /* Inf, NaN */
    out |= (uint32_t)(from[i] & 0x8000) << 16;
    memcpy(to + i, &out, sizeof out);
  }
}
