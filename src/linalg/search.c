#include "linalg/search.h"

#include "linalg/select.h"

#include <math.h>
#include <string.h>

uint64_t zg_key_of(double value) {
  uint64_t key;
  memcpy(&key, &value, sizeof key);
  return key;
}

double zg_value_of(uint64_t key) {
  double value;
  memcpy(&value, &key, sizeof value);
  return value;
}

bool zg_search_is_narrow(const zg_search *s, int64_t few) {
  return s->inside >= 0 && (s->inside <= few || s->high - s->low == 1);
}

/* Bits to drop so that the bracket has at most so many slices. */
static int slice_shift(const zg_search *s, int64_t slices) {
  int shift = 0;
  while ((s->high - s->low - 1) >> shift >= (uint64_t)slices)
    shift++;
  return shift;
}

void zg_search_count(const zg_search *s, int64_t count, const double *numbers,
                     int64_t slices, int64_t *counts) {
  int shift = slice_shift(s, slices);
  for (int64_t k = 0; k < count; k++)
    counts[(zg_key_of(numbers[k]) - s->low) >> shift]++;
}

void zg_search_narrow(zg_search *s, int64_t wanted, int64_t below, int64_t slices,
                      const int64_t *counts) {
  int shift = slice_shift(s, slices);
  if (wanted < below) {
    *s = (zg_search){.low = 0, .high = s->low, .inside = -1};
    return;
  }
  for (int64_t k = 0; k < slices; below += counts[k], k++)
    if (wanted < below + counts[k]) {
      uint64_t low = s->low + ((uint64_t)k << shift);
      uint64_t high = low + ((uint64_t)1 << shift);
      *s = (zg_search){.low = low,
                       .high = high < s->high ? high : s->high,
                       .below = below,
                       .inside = counts[k]};
      return;
    }
  *s = (zg_search){.low = s->high, .high = zg_key_of(INFINITY), .inside = -1};
}

static int64_t sum_of(int64_t count, const int64_t *numbers) {
  int64_t sum = 0;
  for (int64_t k = 0; k < count; k++)
    sum += numbers[k];
  return sum;
}

bool zg_search_focus(zg_search *s, double wanted, double share, int64_t slices,
                     const int64_t *counts) {
  double target = share * (double)sum_of(slices, counts);
  int64_t first = 0, before = 0;
  while (first < slices && (double)(before + counts[first]) <= wanted)
    before += counts[first++];
  if (wanted < 0 || first == slices) return false;
  int64_t end = first + 1, after = before + counts[first];
  while (first > 0 || end < slices) { /* the side that has less is next */
    bool lower = first > 0 &&
                 (end == slices || wanted - (double)before < (double)after - wanted);
    int64_t more = counts[lower ? first - 1 : end];
    if ((double)(after - before + more) > target) break;
    if (lower)
      before -= counts[--first];
    else
      after += counts[end++];
  }
  int shift = slice_shift(s, slices);
  uint64_t high = s->low + ((uint64_t)end << shift);
  s->high = high < s->high ? high : s->high;
  s->low += (uint64_t)first << shift;
  return true;
}

double zg_search_middle(const zg_search *s, const int64_t rank[2], int64_t few,
                        double *values, double largest_below) {
  int64_t lower_at = rank[0] - s->below, upper_at = rank[1] - s->below;
  bool tied = s->inside > few;
  double upper =
      tied ? zg_value_of(s->low) : zg_order_statistic(values, s->inside, upper_at);
  double lower = upper;
  if (lower_at < 0)
    lower = rank[0] < 0 ? 0 : largest_below;
  else if (lower_at < upper_at && !tied)
    lower = zg_order_statistic(values, upper_at, lower_at);
  return 0.5 * (lower + upper);
}
