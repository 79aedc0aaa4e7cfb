/** \file
 * Quadratic maxima over a ball, against closed forms and the secular equation solved by
 * bisection in long double; the spectrum of gradients against what it stands for. */
#include "linalg/trust.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { MOST = 64 };

/* Sums of n positive terms and a stationary multiplier: a few n eps. */
static const double tolerance = 100 * DBL_EPSILON;

static void check(double value, double expected, const char *what) {
  zg_test_close(value, expected, tolerance * fabs(expected), what);
}

static double number(unsigned long seed, int64_t k) {
  return zg_test_random(seed, (unsigned long)k);
}

static const double radii[] = {1e-6, 1e-3, 0.05, 1, 30, 1e6};
enum { RADII = sizeof radii / sizeof *radii };

static void linear_functions_reach_the_radius_times_the_gradient(void) {
  double lambda[MOST] = {0}, gamma[MOST], squares = 0;
  for (int k = 0; k < MOST; k++) {
    gamma[k] = number(1, k);
    squares += gamma[k] * gamma[k];
  }
  for (int r = 0; r < RADII; r++)
    check(zg_trust_maximum(MOST, lambda, gamma, radii[r]), radii[r] * sqrt(squares),
          "linear maximum");
}

static void isotropic_functions_go_along_the_gradient(void) {
  double lambda[MOST], gamma[MOST];
  for (int r = 0; r < RADII; r++)
    for (double curvature = 1e-12; curvature < 1e13; curvature *= 1e6) {
      double squares = 0;
      for (int k = 0; k < MOST; k++) {
        lambda[k] = curvature;
        gamma[k] = number(2, k);
        squares += gamma[k] * gamma[k];
      }
      check(zg_trust_maximum(MOST, lambda, gamma, radii[r]),
            radii[r] * sqrt(squares) + 0.5 * radii[r] * radii[r] * curvature,
            "isotropic maximum");
    }
}

static void at_a_stationary_point_only_the_largest_curvature_counts(void) {
  double lambda[MOST], gamma[MOST] = {0};
  for (int k = 0; k < MOST; k++)
    lambda[k] = k == 17 ? 3 : 1 + number(3, k);
  for (int r = 0; r < RADII; r++)
    check(zg_trust_maximum(MOST, lambda, gamma, radii[r]), 1.5 * radii[r] * radii[r],
          "curvature alone");
}

/* Without a slope along the steepest direction: y = gamma / (top - lambda) when that is
 * inside of the ball, the rest of the radius along the top; the value in long double.
 */
static void the_hard_case_has_its_closed_form(void) {
  double lambda[MOST], gamma[MOST];
  for (int r = 0; r < RADII; r++) {
    long double inside = 0, value, norm = 0, radius = radii[r];
    lambda[0] = lambda[1] = 5;
    gamma[0] = gamma[1] = 0;
    for (int k = 2; k < MOST; k++) {
      lambda[k] = 2 + 2 * number(4, k);
      gamma[k] = 0.05 * number(5, k) * radii[r];
      long double y = (long double)gamma[k] / (5.0L - (long double)lambda[k]);
      norm += y * y;
      inside += (long double)gamma[k] * y + 0.5L * (long double)lambda[k] * y * y;
    }
    CU_ASSERT(norm < radius * radius);
    value = inside + 2.5L * (radius * radius - norm);
    check(zg_trust_maximum(MOST, lambda, gamma, radii[r]), (double)value, "hard case");
  }
}

static void nearly_hard_cases_are_continuous(void) {
  double lambda[2] = {1, 3}, gamma[2] = {1, 0};
  double hard = zg_trust_maximum(2, lambda, gamma, 2);
  check(hard, 2 * 3 + 0.5 * 1 / 2.0, "hard case of two");
  for (double slope = 1e-300; slope < 1e-15; slope *= 1e20) {
    gamma[1] = slope;
    check(zg_trust_maximum(2, lambda, gamma, 2), hard, "nearly hard case");
  }
}

static long double norm_of(int n, const double *lambda, const double *gamma,
                           long double top, long double t, long double *value) {
  long double norm = 0;
  *value = 0;
  for (int k = 0; k < n; k++) {
    if (gamma[k] == 0) continue;
    long double y = (long double)gamma[k] / (t + (top - (long double)lambda[k]));
    norm += y * y;
    *value += y * ((long double)gamma[k] + 0.5L * (long double)lambda[k] * y);
  }
  return sqrtl(norm);
}

/* Primal value at the multiplier that bisection finds. */
static double by_bisection(int n, const double *lambda, const double *gamma,
                           double radius) {
  long double top = 0, slope = 0, value = 0;
  for (int k = 0; k < n; k++) {
    top = fmaxl(top, (long double)lambda[k]);
    slope += fabsl((long double)gamma[k]);
  }
  long double low = 0, high = slope / (long double)radius;
  for (int step = 0; step < 20000 && high - low > 1e-18L * high; step++) {
    long double middle = low > 0 ? 0.5L * (low + high) : high / 16;
    if (norm_of(n, lambda, gamma, top, middle, &value) > (long double)radius)
      low = middle;
    else
      high = middle;
  }
  norm_of(n, lambda, gamma, top, high, &value);
  return (double)value;
}

static void diagonal_problems_agree_with_bisection(void) {
  double lambda[MOST], gamma[MOST];
  for (unsigned long seed = 0; seed < 40; seed++)
    for (int r = 0; r < RADII; r++) {
      int n = 1 + (int)seed % 9;
      for (int k = 0; k < n; k++) {
        /* clusters, wide spectra, slopes of very different size */
        lambda[k] = seed % 2 ? 1 + 1e-9 * (double)k : pow(10, 4 * number(seed, k));
        gamma[k] = number(seed + 100, k) * pow(10, 3 * number(seed + 200, k));
      }
      double expected = by_bisection(n, lambda, gamma, radii[r]);
      check(zg_trust_maximum(n, lambda, gamma, radii[r]), expected, "maximum");
    }
}

/* No point of the sphere is better. */
static void no_direction_exceeds_the_maximum(void) {
  double lambda[3] = {0.5, 2, 1}, gamma[3] = {1, -0.3, 0.2};
  double maximum = zg_trust_maximum(3, lambda, gamma, 1.5), best = 0;
  for (int64_t s = 0; s < 200000; s++) {
    double y[3], squares = 0, value = 0;
    for (int k = 0; k < 3; k++) {
      y[k] = number(9, 3 * s + k);
      squares += y[k] * y[k];
    }
    for (int k = 0; k < 3; k++) {
      y[k] *= 1.5 / sqrt(squares);
      value += gamma[k] * y[k] + 0.5 * lambda[k] * y[k] * y[k];
    }
    best = fmax(best, value);
  }
  CU_ASSERT(best <= maximum * (1 + tolerance));
  CU_ASSERT(best > 0.999 * maximum);
}

static void units_do_not_matter(void) {
  double lambda[3] = {0.5, 2, 1}, gamma[3] = {1, -0.3, 0.2}, L[3], g[3];
  double expected = zg_trust_maximum(3, lambda, gamma, 1.5);
  for (double unit = 1e-140; unit < 1e150; unit *= 1e20) {
    for (int k = 0; k < 3; k++) {
      L[k] = lambda[k] * unit;
      g[k] = gamma[k] * unit;
    }
    check(zg_trust_maximum(3, L, g, 1.5) / unit, expected, "maximum in other units");
  }
}

static void nothing_gives_nothing(void) {
  double zeros[3] = {0}, ones[3] = {1, 1, 1}, bad[3] = {1, NAN, 1};
  CU_ASSERT_EQUAL(zg_trust_maximum(0, NULL, NULL, 1), 0);
  CU_ASSERT_EQUAL(zg_trust_maximum(3, zeros, zeros, 1), 0);
  CU_ASSERT_EQUAL(zg_trust_maximum(3, ones, ones, 0), 0);
  CU_ASSERT(isnan(zg_trust_maximum(3, ones, bad, 1)));
  CU_ASSERT(isnan(zg_trust_maximum(3, bad, ones, 1)));
}

/* m gradients of p parameters. With p < m the matrix is singular. */
enum { SAMPLES = 12, PARAMETERS = 7 };

static void make_gradients(double G[SAMPLES][PARAMETERS], double M[SAMPLES * SAMPLES]) {
  for (int s = 0; s < SAMPLES; s++)
    for (int k = 0; k < PARAMETERS; k++)
      G[s][k] = 1 + number(21, s * PARAMETERS + k);
  for (int s = 0; s < SAMPLES; s++)
    for (int t = 0; t < SAMPLES; t++) {
      M[s * SAMPLES + t] = 0;
      for (int k = 0; k < PARAMETERS; k++)
        M[s * SAMPLES + t] += G[s][k] * G[t][k];
    }
}

/* g' F^power g with F = G'G/m, by plain loops. */
static double moment(double G[SAMPLES][PARAMETERS], int power) {
  double mean[PARAMETERS] = {0}, v[PARAMETERS], value = 0;
  for (int s = 0; s < SAMPLES; s++)
    for (int k = 0; k < PARAMETERS; k++)
      mean[k] += G[s][k] / SAMPLES;
  for (int k = 0; k < PARAMETERS; k++)
    v[k] = mean[k];
  for (int p = 0; p < power; p++) {
    double next[PARAMETERS] = {0};
    for (int s = 0; s < SAMPLES; s++) {
      double dot = 0;
      for (int k = 0; k < PARAMETERS; k++)
        dot += G[s][k] * v[k];
      for (int k = 0; k < PARAMETERS; k++)
        next[k] += dot * G[s][k] / SAMPLES;
    }
    for (int k = 0; k < PARAMETERS; k++)
      v[k] = next[k];
  }
  for (int k = 0; k < PARAMETERS; k++)
    value += mean[k] * v[k];
  return value;
}

static void the_spectrum_has_the_moments_of_the_gradients(void) {
  double G[SAMPLES][PARAMETERS], M[SAMPLES * SAMPLES], lambda[SAMPLES], gamma[SAMPLES];
  double trace = 0, sum = 0;
  make_gradients(G, M);
  for (int s = 0; s < SAMPLES; s++)
    trace += M[s * SAMPLES + s] / SAMPLES;
  CU_ASSERT(zg_gradient_spectrum(SAMPLES, M, lambda, gamma));
  for (int k = 0; k < SAMPLES; k++) {
    CU_ASSERT(lambda[k] >= (k ? lambda[k - 1] : 0));
    sum += lambda[k];
  }
  check(sum, trace, "trace of the Fisher matrix");
  for (int power = 0; power < 4; power++) {
    double value = 0;
    for (int k = 0; k < SAMPLES; k++)
      value += gamma[k] * gamma[k] * pow(lambda[k], power);
    check(value, moment(G, power), "moment of the mean gradient");
  }
}

static void bad_products_are_refused(void) {
  double M[4] = {1, 0, 0, INFINITY}, lambda[2], gamma[2];
  CU_ASSERT(!zg_gradient_spectrum(2, M, lambda, gamma));
  CU_ASSERT(!zg_gradient_spectrum(40000, NULL, NULL, NULL));
}

const zg_test zg_tests[] = {
    {"linear_functions_reach_the_radius_times_the_gradient",
     linear_functions_reach_the_radius_times_the_gradient},
    {"isotropic_functions_go_along_the_gradient",
     isotropic_functions_go_along_the_gradient},
    {"at_a_stationary_point_only_the_largest_curvature_counts",
     at_a_stationary_point_only_the_largest_curvature_counts},
    {"the_hard_case_has_its_closed_form", the_hard_case_has_its_closed_form},
    {"nearly_hard_cases_are_continuous", nearly_hard_cases_are_continuous},
    {"diagonal_problems_agree_with_bisection", diagonal_problems_agree_with_bisection},
    {"no_direction_exceeds_the_maximum", no_direction_exceeds_the_maximum},
    {"units_do_not_matter", units_do_not_matter},
    {"nothing_gives_nothing", nothing_gives_nothing},
    {"the_spectrum_has_the_moments_of_the_gradients",
     the_spectrum_has_the_moments_of_the_gradients},
    {"bad_products_are_refused", bad_products_are_refused},
    {NULL, NULL}};
