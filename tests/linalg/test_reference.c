/* Numbers centred by what distributions have in common, against the definitions in long
 * double. */
#include "linalg/reference.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MEMBERS = 5, COUNT = ZG_REFERENCE_NUMBERS };

/* Distributions as they are stored, and how they are to be taken. */
typedef struct setting {
  zg_precision stored;
  int count;    /* numbers of each */
  int zeros;    /* the first numbers of odd members are 0 */
  double size;  /* of numbers */
  double floor; /* a = (1 - floor) x + floor / 8 */
} setting;

typedef struct distributions {
  float single[MEMBERS][COUNT];
  double wide[MEMBERS][COUNT];
} distributions;

static void fill(const setting *set, distributions *x) {
  for (int i = 0; i < MEMBERS; i++)
    for (int k = 0; k < COUNT; k++) {
      double number = fabs(zg_test_random(1, (unsigned long)(i * COUNT + k))) + 0.01;
      if (i % 2 == 1 && k < set->zeros) number = 0;
      x->single[i][k] = (float)(number * set->size);
      x->wide[i][k] =
          set->stored == ZG_SINGLE ? (double)x->single[i][k] : number * set->size;
    }
}

static const void *stored(const setting *set, const distributions *x, int member) {
  return set->stored == ZG_SINGLE ? (const void *)x->single[member] : x->wide[member];
}

static long double taken(const setting *set, double x) {
  return (1 - (long double)set->floor) * (long double)x + (long double)set->floor / 8;
}

static double total(const double *lanes) {
  double sum = 0;
  for (int j = 0; j < ZG_LANES; j++)
    sum += lanes[j];
  return sum;
}

/* One member in one precision of products. */
static void check_member(const setting *set, const zg_reference *r,
                         zg_precision precision, const distributions *x, int member) {
  double epsilon = precision == ZG_SINGLE ? FLT_EPSILON : 8 * DBL_EPSILON;
  double centred[COUNT + 1], logs[COUNT + 1];
  zg_centred_sums sums = {.spread = {0}};
  long double reference = 0, spread = 0, log_spread = 0, size = 0;
  memset(centred, 77, sizeof centred);
  memset(logs, 77, sizeof logs);
  zg_reference_centre(r, precision, set->count, stored(set, x, member), centred, logs,
                      &sums);
  for (int k = 0; k < set->count; k++) {
    long double a = taken(set, x->wide[member][k]), m = r->a[k], v = a - m;
    long double w = a > 0 ? logl(a) - logl(m) : 0, log_size = fabsl(logl(m));
    double least = precision == ZG_SINGLE ? 0x1p-149 : 0; /* of numbers */
    CU_ASSERT_DOUBLE_EQUAL(zg_real_value(precision, centred, k), (double)v,
                           epsilon * (double)(fabsl(v) + m) + least);
    CU_ASSERT_DOUBLE_EQUAL(zg_real_value(precision, logs, k), (double)w,
                           epsilon * (1 + fabs((double)w)) +
                               2 * DBL_EPSILON * (double)log_size);
    reference += m * w;
    spread += v * v / m;
    log_spread += m * w * w;
    size += m * (1 + log_size);
  }
  double noise = 1e-14 * (double)size;
  CU_ASSERT_DOUBLE_EQUAL(total(sums.reference), (double)reference, noise);
  CU_ASSERT_DOUBLE_EQUAL(total(sums.spread), (double)spread, noise);
  CU_ASSERT_DOUBLE_EQUAL(total(sums.log_spread), (double)log_spread, noise);
  size_t end = (size_t)set->count * zg_real_size(precision); /* nothing behind it */
  CU_ASSERT(((char *)centred)[end] == 77 && ((char *)logs)[end] == 77);
}

static void check(const setting *set) {
  static distributions x;
  zg_reference r = {
      .stored = set->stored, .factor = 1 - set->floor, .summand = set->floor / 8};
  fill(set, &x);
  for (int i = 0; i < MEMBERS; i++)
    zg_reference_add(&r, set->count, stored(set, &x, i));
  bool mixed = zg_reference_finish(&r, set->count, MEMBERS);
  CU_ASSERT(mixed == (set->zeros > 0 && set->floor == 0));
  for (int k = 0; k < set->count; k++) {
    long double m = 0;
    for (int i = 0; i < MEMBERS; i++)
      m += taken(set, x.wide[i][k]) / MEMBERS;
    CU_ASSERT_DOUBLE_EQUAL(r.a[k] / (double)m, 1, 1e-15);
  }
  for (int i = 0; i < MEMBERS; i++) {
    check_member(set, &r, ZG_SINGLE, &x, i);
    check_member(set, &r, ZG_DOUBLE, &x, i);
  }
}

static void definitions(void) {
  static const setting settings[] = {
      {.count = 1, .size = 1},
      {.count = 7, .size = 1},
      {.count = COUNT, .size = 1},
      {.count = COUNT - 3, .size = 1, .zeros = 20},
      {.count = COUNT - 3, .size = 1, .zeros = 20, .floor = 0.125},
      {.count = 21, .size = 1, .floor = 1},
      {.count = 21, .size = 0x1p-140}, /* subnormal as floats */
  };
  for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
    setting set = settings[k];
    set.stored = ZG_SINGLE;
    check(&set);
    set.stored = ZG_DOUBLE;
    check(&set);
  }
}

/* A number that is 0 in all of them is masked, and no reason to look for support. */
static void masked_numbers(void) {
  const double a[2][3] = {{0, 0.5, 0.5}, {0, 0.25, 0.75}};
  zg_reference r = {.stored = ZG_DOUBLE, .factor = 1};
  zg_reference_add(&r, 3, a[0]);
  zg_reference_add(&r, 3, a[1]);
  CU_ASSERT(!zg_reference_finish(&r, 3, 2));
  CU_ASSERT(r.a[0] == 0 && r.log_a[0] == 0 && r.inverse[0] == 0);
}

/* Doubles may be so small that their mean has no inverse, and is even 0. */
static void numbers_next_to_nothing(void) {
  const double a[2][3] = {{0x1p-1074, 0x1p-1060, 1}, {0, 0x1p-1060, 1}};
  double centred[3], logs[3];
  zg_centred_sums sums = {.spread = {0}};
  zg_reference r = {.stored = ZG_DOUBLE, .factor = 1};
  zg_reference_add(&r, 3, a[0]);
  zg_reference_add(&r, 3, a[1]);
  CU_ASSERT(zg_reference_finish(&r, 3, 2));
  CU_ASSERT(r.a[0] == 0 && r.log_a[0] == 0); /* 2^-1075 is half the smallest number */
  zg_reference_centre(&r, ZG_DOUBLE, 3, a[0], centred, logs, &sums);
  CU_ASSERT_DOUBLE_EQUAL(logs[0], -1074 * log(2), 1e-12);
  CU_ASSERT(logs[1] == 0 && logs[2] == 0 && centred[0] == 0x1p-1074 && centred[1] == 0);
  CU_ASSERT(total(sums.spread) == 0 && total(sums.reference) == 0);
  zg_reference_centre(&r, ZG_SINGLE, 3, a[0], centred, logs, &sums);
  CU_ASSERT_DOUBLE_EQUAL(zg_real_value(ZG_SINGLE, logs, 0), -1074 * log(2), 1e-4);
}

const zg_test zg_tests[] = {{"definitions", definitions},
                            {"masked_numbers", masked_numbers},
                            {"numbers_next_to_nothing", numbers_next_to_nothing},
                            {NULL, NULL}};
