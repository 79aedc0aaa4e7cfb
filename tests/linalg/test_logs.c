/** \file
 * Logarithms against those of long double, and divergences against their plain sums. */
#include "linalg/logs.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { COUNT = 4099 };

static double largest(double a, double b) {
  return a > b ? a : b;
}

/* Numbers of all sizes: 2^-1074 ... 2^1000, and such that are close to 1. */
static double sample(unsigned long k) {
  double u = fabs(zg_test_random(1, k));
  if (k % 3 == 0) return 1 + ldexp(u - 0.5, -(int)(k % 53));
  return ldexp(0.5 + u, (int)(fabs(zg_test_random(2, k)) * 2074) - 1074);
}

static void logarithms_are_right_to_the_last_digits(void) {
  static double x[COUNT], y[COUNT];
  double worst = 0;
  for (unsigned long k = 0; k < COUNT; k++)
    x[k] = sample(k);
  x[0] = 0, x[1] = 1, x[2] = 0x1p-1074, x[3] = DBL_MIN, x[4] = DBL_MAX;
  zg_logs(COUNT, x, y);
  for (int k = 1; k < COUNT; k++) {
    if (x[k] == 0) continue;
    long double expected = logl((long double)x[k]);
    double off = (double)fabsl((long double)y[k] - expected);
    worst = largest(worst, off / largest((double)fabsl(expected), DBL_MIN));
  }
  CU_ASSERT(y[0] == 0 && y[1] == 0);
  CU_ASSERT(worst < 2.5e-16);
  if (worst >= 2.5e-16) printf("\nlogarithms off by %g\n", worst);
}

/* Two distributions that differ by about `apart`, relative. */
static void check_apart(double apart) {
  static double a[COUNT], b[COUNT], log_a[COUNT], log_b[COUNT];
  long double forth = 0, back = 0, excess = 0;
  for (unsigned long k = 0; k < COUNT; k++) {
    a[k] = fabs(zg_test_random(3, k)) + 0.01;
    b[k] = a[k] * (1 + apart * sin(7 * zg_test_random(4, k)));
    long double p = (long double)a[k], q = (long double)b[k], d = p - q;
    forth += p * log1pl(d / q) - d;
    back += q * log1pl(-d / p) + d;
    excess += d;
  }
  zg_logs(COUNT, a, log_a);
  zg_logs(COUNT, b, log_b);
  zg_divergence found = zg_divergence_of(COUNT, a, log_a, b, log_b);
  /* the terms of long double cancel as well, to 1e-19 of the numbers */
  double noise = COUNT * 1e-19 + 1e-12 * (double)forth;
  CU_ASSERT_DOUBLE_EQUAL(found.forth, (double)forth, noise);
  CU_ASSERT_DOUBLE_EQUAL(found.back, (double)back, noise);
  CU_ASSERT_DOUBLE_EQUAL(found.excess, (double)excess, 1e-13 * apart * COUNT);
}

static void divergences_of_close_numbers_keep_their_digits(void) {
  check_apart(0.9);
  check_apart(0.1);
  check_apart(0x1p-5);
  check_apart(1e-3);
  check_apart(1e-5);
}

/* Equal steps: u^2/2 - u^3/6 of each number, to better than 1e-13. */
static void tiny_divergences_are_right_relative_to_themselves(void) {
  double a[16], b[16], log_a[16], log_b[16], u = 0x1p-40;
  for (int k = 0; k < 16; k++)
    b[k] = 1, a[k] = 1 + u;
  zg_logs(16, a, log_a);
  zg_logs(16, b, log_b);
  zg_divergence found = zg_divergence_of(16, a, log_a, b, log_b);
  CU_ASSERT_DOUBLE_EQUAL(found.forth / (8 * u * u), 1, 1e-11);
  CU_ASSERT_DOUBLE_EQUAL(found.back / (8 * u * u), 1, 1e-11);
  CU_ASSERT_EQUAL(found.excess, 16 * u);
}

static void zeros_count_for_what_they_are(void) {
  const double a[] = {0, 0.5, 0, 0.5}, b[] = {0, 0, 0.25, 0.75};
  double log_a[4], log_b[4];
  zg_logs(4, a, log_a);
  zg_logs(4, b, log_b);
  zg_divergence found = zg_divergence_of(4, a, log_a, b, log_b);
  CU_ASSERT_DOUBLE_EQUAL(found.forth, 0.25 + 0.5 * log(2.0 / 3) + 0.25, 1e-15);
  CU_ASSERT_DOUBLE_EQUAL(found.back, 0.5 + 0.75 * log(1.5) - 0.25, 1e-15);
  CU_ASSERT_EQUAL(found.excess, 0);
}

const zg_test zg_tests[] = {
    {"logarithms_are_right_to_the_last_digits",
     logarithms_are_right_to_the_last_digits},
    {"divergences_of_close_numbers_keep_their_digits",
     divergences_of_close_numbers_keep_their_digits},
    {"tiny_divergences_are_right_relative_to_themselves",
     tiny_divergences_are_right_relative_to_themselves},
    {"zeros_count_for_what_they_are", zeros_count_for_what_they_are},
    {NULL, NULL}};
