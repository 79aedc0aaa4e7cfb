/* Numbers centred by what distributions have in common, against the definitions in long
 * double. */
#include "linalg/logs.h"
#include "linalg/reference.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MEMBERS = 5, COUNT = ZG_REFERENCE_NUMBERS };

/* A number of a distribution; `zeros` of the first ones are 0 in odd ones. */
static double number(int member, int k, int zeros) {
  if (member % 2 == 1 && k < zeros) return 0;
  return fabs(zg_test_random(1, (unsigned long)(member * COUNT + k))) + 0.01;
}

static double total(const double *lanes) {
  double sum = 0;
  for (int j = 0; j < ZG_REFERENCE_LANES; j++)
    sum += lanes[j];
  return sum;
}

static void check_member(const zg_reference *r, zg_precision precision, int count,
                         const double *a, const double *log_a) {
  double epsilon = precision == ZG_SINGLE ? FLT_EPSILON : 8 * DBL_EPSILON;
  double centred[COUNT + 1], logs[COUNT + 1];
  zg_centred_sums sums = {.spread = {0}};
  long double reference = 0, spread = 0, log_spread = 0;
  memset(centred, 77, sizeof centred);
  memset(logs, 77, sizeof logs);
  zg_reference_subtract(r, precision, count, a, log_a, centred, logs, &sums);
  for (int k = 0; k < count; k++) {
    long double m = r->a[k], v = a[k] - m, w = a[k] > 0 ? log_a[k] - r->log_a[k] : 0;
    const void *x = zg_real_at(precision, centred, k);
    const void *y = zg_real_at(precision, logs, k);
    double found = precision == ZG_SINGLE ? *(const float *)x : *(const double *)x;
    double found_log = precision == ZG_SINGLE ? *(const float *)y : *(const double *)y;
    CU_ASSERT_DOUBLE_EQUAL(found, (double)v, epsilon * (1 + fabs((double)v)));
    CU_ASSERT_DOUBLE_EQUAL(found_log, (double)w, epsilon * (1 + fabs((double)w)));
    reference += m * w;
    spread += v * v / m;
    log_spread += m * w * w;
  }
  CU_ASSERT_DOUBLE_EQUAL(total(sums.reference), (double)reference, 1e-12);
  CU_ASSERT_DOUBLE_EQUAL(total(sums.spread), (double)spread, 1e-12);
  CU_ASSERT_DOUBLE_EQUAL(total(sums.log_spread), (double)log_spread, 1e-12);
  size_t end = (size_t)count * zg_real_size(precision); /* nothing is written behind */
  CU_ASSERT(((char *)centred)[end] == 77 && ((char *)logs)[end] == 77);
}

static void check(int count, int zeros) {
  double a[MEMBERS][COUNT], log_a[MEMBERS][COUNT];
  zg_reference r = {.a = {0}};
  for (int i = 0; i < MEMBERS; i++) {
    for (int k = 0; k < count; k++)
      a[i][k] = number(i, k, zeros);
    zg_logs(count, a[i], log_a[i]);
    zg_reference_add(&r, count, a[i], log_a[i]);
  }
  CU_ASSERT(zg_reference_finish(&r, count, MEMBERS) == (zeros > 0));
  for (int k = 0; k < count; k++) {
    long double m = 0, c = 0;
    int positive = 0;
    for (int i = 0; i < MEMBERS; i++) {
      m += (long double)a[i][k] / MEMBERS;
      c += a[i][k] > 0 ? logl((long double)a[i][k]) : 0;
      positive += a[i][k] > 0;
    }
    CU_ASSERT_DOUBLE_EQUAL(r.a[k], (double)m, 1e-15);
    CU_ASSERT_DOUBLE_EQUAL(r.log_a[k], (double)(c / positive), 1e-14);
  }
  for (int i = 0; i < MEMBERS; i++) {
    check_member(&r, ZG_SINGLE, count, a[i], log_a[i]);
    check_member(&r, ZG_DOUBLE, count, a[i], log_a[i]);
  }
}

static void definitions(void) {
  check(1, 0);
  check(7, 0);
  check(COUNT, 0);
  check(COUNT - 3, 20);
}

/* A number that is 0 in all of them is masked, and no reason to look for support. */
static void masked_numbers(void) {
  const double a[2][3] = {{0, 0.5, 0.5}, {0, 0.25, 0.75}}, logs[3] = {0};
  zg_reference r = {.a = {0}};
  zg_reference_add(&r, 3, a[0], logs);
  zg_reference_add(&r, 3, a[1], logs);
  CU_ASSERT(!zg_reference_finish(&r, 3, 2));
  CU_ASSERT(r.a[0] == 0 && r.log_a[0] == 0 && r.inverse[0] == 0);
}

const zg_test zg_tests[] = {
    {"definitions", definitions}, {"masked_numbers", masked_numbers}, {NULL, NULL}};
