#include "linalg/bracket.h"

#include "base/memory.h"
#include "linalg/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_single_value(double low, double high) {
  return high <= nextafter(low, INFINITY);
}

void zg_bracket_start(zg_bracket *b, double low, double high, double *values,
                      int64_t room) {
  *b = (zg_bracket){.low = low,
                    .high = high,
                    .tied = is_single_value(low, high),
                    .values = values,
                    .room = room};
}

void zg_bracket_restrict(zg_bracket *b, double low, double high) {
  bool was_tied = b->tied;
  b->low = low;
  b->high = high;
  b->tied = is_single_value(low, high);
  if (was_tied) return; /* the same value, or none */
  int64_t kept = 0, inside = b->inside;
  for (int64_t k = 0; k < inside; k++) {
    double value = b->values[k];
    if (value < low) {
      b->below++;
      b->largest_below = value > b->largest_below ? value : b->largest_below;
    }
    b->values[kept] = value;
    kept += (value >= low) & (value < high);
  }
  b->inside = kept;
}

/* ---- narrowing ---- */

enum { SAMPLE = ZG_BRACKET_RUN };

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Position k of a sample of `count` numbers, evenly scattered (multiples of the golden
 * ratio), so that no period in their order matters. */
static int64_t scattered(int64_t k, int64_t count) {
  uint64_t part = ((uint64_t)k * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
  return (int64_t)(part * (uint64_t)count >> 32);
}

/* The value below which about this part of a sorted sample lies. */
static double quantile(const double sample[SAMPLE], double part) {
  return sample[(int64_t)fmin(part * SAMPLE, SAMPLE - 1)];
}

static void restrict_to_value(zg_bracket *b, double value) {
  zg_bracket_restrict(b, value, nextafter(value, INFINITY));
}

/* Keep about half of what is inside: a quarter on either side of the value that has
 * this part of it below, by a sample. When one or two values are so frequent that this
 * leaves everything, only the value itself. */
static void halve(zg_bracket *b, double part) {
  const double quarter = 0.25;
  double sample[SAMPLE];
  int64_t before = b->inside;
  for (int64_t k = 0; k < SAMPLE; k++)
    sample[k] = b->values[scattered(k, before)];
  qsort(sample, SAMPLE, sizeof *sample, compare);
  double low = part > quarter ? quantile(sample, part - quarter) : b->low;
  double high = part < 1 - quarter
                    ? nextafter(quantile(sample, part + quarter), INFINITY)
                    : b->high;
  zg_bracket_restrict(b, low, high);
  if (b->inside == before) restrict_to_value(b, quantile(sample, part));
}

static void make_room(zg_bracket *b, double share) {
  while (!b->tied && b->inside > b->room - ZG_BRACKET_RUN) {
    double wanted = share * (double)b->seen - (double)b->below;
    halve(b, fmin(fmax(wanted / (double)b->inside, 0), 1));
  }
}

/* ---- adding ---- */

enum { FLAGS = 1024 };

/* One source for both precisions: count what is below, and keep what is inside. Numbers
 * >= 0 have the order of their bits, whose largest is found in vector code; flags are
 * made in vector code as well, and where there is none its numbers are passed over. */
#define DEFINE_SPLIT(suffix, real, word)                                               \
  static inline word bits_##suffix(real x) {                                           \
    word bits;                                                                         \
    memcpy(&bits, &x, sizeof bits);                                                    \
    return bits;                                                                       \
  }                                                                                    \
  ZG_VECTOR static int64_t below_##suffix(const real *restrict x, int64_t count,       \
                                          real low, real *largest) {                   \
    const word limit = bits_##suffix(low);                                             \
    word below = 0, most = 0;                                                          \
    for (int64_t k = 0; k < count; k++) {                                              \
      word bits = bits_##suffix(x[k]), smaller = bits < limit ? bits : 0;              \
      below += bits < limit;                                                           \
      most = smaller > most ? smaller : most;                                          \
    }                                                                                  \
    memcpy(largest, &most, sizeof most);                                               \
    return below;                                                                      \
  }                                                                                    \
  ZG_VECTOR static void flag_##suffix(const real *restrict x, int64_t count, real low, \
                                      real high, uint8_t *restrict flags) {            \
    for (int64_t k = 0; k < count; k++)                                                \
      flags[k] = (uint8_t)((x[k] >= low) & (x[k] < high));                             \
  }                                                                                    \
  static int64_t keep_##suffix(const real *restrict x, int64_t count, real low,        \
                               real high, double *restrict kept) {                     \
    uint8_t flags[FLAGS];                                                              \
    int64_t inside = 0;                                                                \
    for (int64_t k0 = 0; k0 < count; k0 += FLAGS, x += FLAGS) {                        \
      int64_t run = zg_min(FLAGS, count - k0), k = 0;                                  \
      flag_##suffix(x, run, low, high, flags);                                         \
      while (k < run) {                                                                \
        uint64_t group = 1;                                                            \
        int64_t end = zg_min(run, k + (int64_t)sizeof group);                          \
        if (end == k + (int64_t)sizeof group) memcpy(&group, flags + k, sizeof group); \
        for (; group && k < end; k++) {                                                \
          kept[inside] = (double)x[k];                                                 \
          inside += flags[k];                                                          \
        }                                                                              \
        k = end;                                                                       \
      }                                                                                \
    }                                                                                  \
    return inside;                                                                     \
  }

DEFINE_SPLIT(single, float, int32_t)
DEFINE_SPLIT(double, double, int64_t)

/* The least number of single precision that is not smaller: comparisons with it come
 * out the same. */
static float rounded_up(double x) {
  float y = (float)x;
  return (double)y < x ? nextafterf(y, INFINITY) : y;
}

int64_t zg_bracket_split(zg_precision precision, int64_t count, const void *numbers,
                         double low, double high, int64_t *below, double *largest,
                         double *inside) {
  double most = 0;
  int64_t kept;
  if (precision == ZG_SINGLE) {
    float from = rounded_up(low), to = rounded_up(high), most_single = 0;
    *below += below_single(numbers, count, from, &most_single);
    kept = keep_single(numbers, count, from, to, inside);
    most = (double)most_single;
  } else {
    *below += below_double(numbers, count, low, &most);
    kept = keep_double(numbers, count, low, high, inside);
  }
  *largest = fmax(*largest, most);
  return kept;
}

static void add_run(zg_bracket *b, zg_precision precision, int64_t count,
                    const void *numbers) {
  double *to =
      b->values + (b->tied ? 0 : b->inside); /* those of ties are not looked at */
  b->inside += zg_bracket_split(precision, count, numbers, b->low, b->high, &b->below,
                                &b->largest_below, to);
  b->seen += count;
}

void zg_bracket_add(zg_bracket *b, double share, zg_precision precision, int64_t count,
                    const void *numbers) {
  for (int64_t at = 0; at < count; at += ZG_BRACKET_RUN) {
    make_room(b, share);
    add_run(b, precision, zg_min(ZG_BRACKET_RUN, count - at),
            zg_real_at(precision, numbers, at));
  }
}
