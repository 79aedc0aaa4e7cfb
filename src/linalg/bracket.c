#include "linalg/bracket.h"

#include "base/memory.h"
#include "linalg/vector.h"

#include <math.h>
#include <stdlib.h>

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

/* One source for both precisions: count what is below, and keep what is inside. Groups
 * without anything inside are passed over. */
#define DEFINE_SPLIT(suffix, real)                                                     \
  ZG_VECTOR static int64_t below_##suffix(const real *restrict x, int64_t count,       \
                                          real low, real *largest) {                   \
    enum { LANES = 16 };                                                               \
    int32_t counts[LANES] = {0};                                                       \
    real most[LANES] = {0};                                                            \
    int64_t k = 0;                                                                     \
    for (; k + LANES <= count; k += LANES)                                             \
      for (int l = 0; l < LANES; l++) {                                                \
        real below = x[k + l] < low ? x[k + l] : 0;                                    \
        counts[l] += x[k + l] < low;                                                   \
        most[l] = below > most[l] ? below : most[l];                                   \
      }                                                                                \
    int64_t total = 0;                                                                 \
    for (; k < count; k++)                                                             \
      if (x[k] < low) {                                                                \
        total++;                                                                       \
        most[0] = x[k] > most[0] ? x[k] : most[0];                                     \
      }                                                                                \
    for (int l = 0; l < LANES; l++) {                                                  \
      total += counts[l];                                                              \
      *largest = most[l] > *largest ? most[l] : *largest;                              \
    }                                                                                  \
    return total;                                                                      \
  }                                                                                    \
  ZG_VECTOR static int64_t keep_##suffix(const real *restrict x, int64_t count,        \
                                         real low, real high, double *restrict kept) { \
    enum { GROUP = 16 };                                                               \
    int64_t inside = 0, k = 0;                                                         \
    for (; k + GROUP <= count; k += GROUP) {                                           \
      int32_t any = 0;                                                                 \
      for (int l = 0; l < GROUP; l++)                                                  \
        any |= (x[k + l] >= low) & (x[k + l] < high);                                  \
      for (int l = 0; any && l < GROUP; l++) {                                         \
        kept[inside] = (double)x[k + l];                                               \
        inside += (x[k + l] >= low) & (x[k + l] < high);                               \
      }                                                                                \
    }                                                                                  \
    for (; k < count; k++) {                                                           \
      kept[inside] = (double)x[k];                                                     \
      inside += (x[k] >= low) & (x[k] < high);                                         \
    }                                                                                  \
    return inside;                                                                     \
  }

DEFINE_SPLIT(single, float)
DEFINE_SPLIT(double, double)

/* The least number of single precision that is not smaller: comparisons with it come
 * out the same. */
static float rounded_up(double x) {
  float y = (float)x;
  return (double)y < x ? nextafterf(y, INFINITY) : y;
}

int64_t zg_bracket_split(zg_precision precision, int64_t count, const void *numbers,
                         double low, double high, int64_t *below, double *largest,
                         double *inside) {
  if (precision == ZG_DOUBLE) {
    *below += below_double(numbers, count, low, largest);
    return keep_double(numbers, count, low, high, inside);
  }
  float from = rounded_up(low), to = rounded_up(high), most = 0;
  *below += below_single(numbers, count, from, &most);
  *largest = fmax(*largest, (double)most);
  return keep_single(numbers, count, from, to, inside);
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
