#include "linalg/select.h"

#include "linalg/vector.h"

#include <string.h>

static void swap(double *a, double *b) {
  double t = *a;
  *a = *b;
  *b = t;
}

/* Hoare's selection with the median of three as pivot. */
double zg_order_statistic(double *v, int64_t count, int64_t k) {
  int64_t low = 0, high = count - 1;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (v[middle] < v[low]) swap(v + middle, v + low);
    if (v[high] < v[low]) swap(v + high, v + low);
    if (v[high] < v[middle]) swap(v + high, v + middle);
    double pivot = v[middle];
    int64_t i = low, j = high;
    while (i <= j) {
      while (v[i] < pivot)
        i++;
      while (pivot < v[j])
        j--;
      if (i <= j) swap(v + i++, v + j--);
    }
    if (k <= j)
      high = j;
    else if (k >= i)
      low = i;
    else
      break;
  }
  return v[k];
}

/* ---- sorting ---- */

enum { DIGIT = 11, DIGITS = 6, BUCKETS = 1 << DIGIT };

/* Numbers in the order of unsigned integers, and back. */
static uint64_t key_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static double value_of(uint64_t key) {
  uint64_t bits = key >> 63 ? key & ~(UINT64_C(1) << 63) : ~key;
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static int64_t digit_of(uint64_t key, int digit) {
  return (int64_t)(key >> (digit * DIGIT) & (BUCKETS - 1));
}

/* How often each digit has each value; then where the keys with that value begin. */
static void count_digits(const uint64_t *keys, int64_t count,
                         int64_t starts[DIGITS][BUCKETS]) {
  memset(starts, 0, DIGITS * sizeof *starts);
  for (int64_t k = 0; k < count; k++)
    for (int d = 0; d < DIGITS; d++)
      starts[d][digit_of(keys[k], d)]++;
  for (int d = 0; d < DIGITS; d++) {
    int64_t before = 0;
    for (int b = 0; b < BUCKETS; b++) {
      int64_t here = starts[d][b];
      starts[d][b] = before;
      before += here;
    }
  }
}

void zg_sort(double *values, int64_t count, uint64_t *scratch) {
  uint64_t *keys = scratch, *sorted = scratch + count;
  int64_t starts[DIGITS][BUCKETS];
  for (int64_t k = 0; k < count; k++)
    keys[k] = key_of(values[k]);
  count_digits(keys, count, starts);
  for (int d = 0; d < DIGITS; d++) {
    for (int64_t k = 0; k < count; k++)
      sorted[starts[d][digit_of(keys[k], d)]++] = keys[k];
    uint64_t *swapped = keys;
    keys = sorted;
    sorted = swapped;
  }
  for (int64_t k = 0; k < count; k++)
    values[k] = value_of(keys[k]);
}

/* ---- brackets ---- */

ZG_VECTOR
static int64_t count_below(const double *values, int64_t count, double low,
                           double *largest) {
  enum { LANES = 8 };
  int64_t counts[LANES] = {0}, k = 0;
  double most[LANES] = {0};
  for (; k + LANES <= count; k += LANES)
    for (int lane = 0; lane < LANES; lane++) {
      double below = values[k + lane] < low ? values[k + lane] : 0;
      counts[lane] += values[k + lane] < low;
      most[lane] = below > most[lane] ? below : most[lane];
    }
  for (; k < count; k++)
    if (values[k] < low) {
      counts[0]++;
      most[0] = values[k] > most[0] ? values[k] : most[0];
    }
  int64_t total = 0;
  for (int lane = 0; lane < LANES; lane++) {
    total += counts[lane];
    *largest = most[lane] > *largest ? most[lane] : *largest;
  }
  return total;
}

int64_t zg_split(double *values, int64_t count, double low, double high, int64_t *below,
                 double *largest) {
  int64_t inside = 0;
  *largest = 0;
  *below = count_below(values, count, low, largest);
  for (int64_t k = 0; k < count; k++) { /* no branch: which way it goes is a toss-up */
    double value = values[k];
    values[inside] = value;
    inside += (value >= low) & (value < high);
  }
  return inside;
}

void zg_median_ranks(int64_t zeros, int64_t pairs, int64_t rank[2]) {
  /* Sorted, the zeros come first; then every pair's number stands twice. */
  int64_t all = zeros + 2 * pairs, middle[2] = {(all - 1) / 2, all / 2};
  for (int k = 0; k < 2; k++)
    rank[k] = middle[k] < zeros ? -1 : (middle[k] - zeros) / 2;
}

double zg_median(int64_t zeros, double *values, int64_t count) {
  int64_t rank[2];
  zg_median_ranks(zeros, count, rank);
  if (rank[1] < 0 || count == 0) return 0;
  double upper = zg_order_statistic(values, count, rank[1]);
  if (rank[0] == rank[1]) return upper;
  double lower = rank[0] < 0 ? 0 : zg_order_statistic(values, rank[1], rank[0]);
  return 0.5 * (lower + upper);
}

double zg_distance_median(double *pairs, int64_t n) {
  return zg_median(n, pairs, n * (n - 1) / 2);
}
