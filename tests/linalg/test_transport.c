/** \file
 * Entropic transport against closed forms, and against plain iterations in long double.
 */
#include "base/memory.h"
#include "linalg/transport.h"
#include "mpi_main.h"

#include <math.h>
#include <stdlib.h>

static double solve(int64_t n, int64_t m, const double *C, double epsilon) {
  double *room = ZG_NEW(double, zg_transport_room(n, m));
  zg_transport found = zg_transport_solve(n, m, C, epsilon, room);
  CU_ASSERT(found.converged && found.error <= ZG_TRANSPORT_ERROR);
  free(room);
  return found.value;
}

/* Two points a side, costs 0 and c: a share s = 1/(1 + exp(-c/e)) stays. */
static void two_points(void) {
  const double c = 1;
  const double cost[] = {0, c, c, 0};
  for (double epsilon = 4; epsilon > 0.01; epsilon /= 3) {
    double s = 1 / (1 + exp(-c / epsilon)), gone = 1 / (1 + exp(c / epsilon));
    double entropy = s * log(2 * s) + gone * log(2 * gone);
    zg_test_close(solve(2, 2, cost, epsilon), gone * c + epsilon * entropy, 1e-14,
                  "two points");
  }
}

/* Everything goes to the only point. */
static void one_point(void) {
  const double cost[] = {1, 2, 6};
  zg_test_close(solve(3, 1, cost, 0.1), 3, 1e-14, "three to one");
  zg_test_close(solve(1, 3, cost, 0.1), 3, 1e-14, "one to three");
}

/* Adding to a row or a column adds its share, whatever the plan is. */
static void potentials(void) {
  enum { N = 9, M = 13 };
  double plain[N * M], shifted[N * M], expected = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < M; j++) {
      plain[i * M + j] = 1 + zg_test_random(1, (unsigned long)(i * M + j));
      shifted[i * M + j] = plain[i * M + j] + 0.3 * i + j * j;
    }
  for (int i = 0; i < N; i++)
    expected += 0.3 * i / N;
  for (int j = 0; j < M; j++)
    expected += (double)(j * j) / M;
  double difference = solve(N, M, shifted, 0.02) - solve(N, M, plain, 0.02);
  zg_test_close(difference, expected, 1e-11, "potentials");
}

static long double soft(int count, const long double *x) {
  long double most = -INFINITY, sum = 0;
  for (int k = 0; k < count; k++)
    most = fmaxl(most, x[k]);
  for (int k = 0; k < count; k++)
    sum += expl(x[k] - most);
  return most + logl(sum / count);
}

enum { N = 12, M = 7 };

static double by_iterations(const double *C, long double e) {
  long double f[N], g[M] = {0}, x[N + M], value = 0;
  for (int round = 0; round < 20000; round++) {
    for (int i = 0; i < N; i++) {
      for (int j = 0; j < M; j++)
        x[j] = (g[j] - C[i * M + j]) / e;
      f[i] = -e * soft(M, x);
    }
    for (int j = 0; j < M; j++) {
      for (int i = 0; i < N; i++)
        x[i] = (f[i] - C[i * M + j]) / e;
      g[j] = -e * soft(N, x);
    }
  }
  for (int i = 0; i < N; i++)
    value += f[i] / N;
  for (int j = 0; j < M; j++)
    value += g[j] / M;
  return (double)value;
}

static void against_plain_iterations(void) {
  double C[N * M];
  for (unsigned long seed = 0; seed < 6; seed++) {
    for (int k = 0; k < N * M; k++)
      C[k] = 1 + zg_test_random(seed, (unsigned long)k);
    zg_test_close(solve(N, M, C, 0.05), by_iterations(C, 0.05L), 1e-12, "iterations");
  }
}

/* Points on a line far apart in two groups of unequal size on either side: mass has to
 * cross a gap of exp(-10^4). */
static void unequal_groups(void) {
  enum { K = 10 };
  double C[K * K];
  for (int i = 0; i < K; i++)
    for (int j = 0; j < K; j++) {
      double x = i + (i < 3 ? 0 : 100), y = j + (j < 7 ? 0.5 : 100.5);
      C[i * K + j] = (x - y) * (x - y);
    }
  double value = solve(K, K, C, 1), exact = 0;
  for (int k = 0; k < K; k++) { /* sorted to sorted is best */
    double x = k + (k < 3 ? 0 : 100), y = k + (k < 7 ? 0.5 : 100.5);
    exact += (x - y) * (x - y) / K;
  }
  CU_ASSERT(value >= exact && value <= exact + log(K));
}

const zg_test zg_tests[] = {{"two_points", two_points},
                            {"one_point", one_point},
                            {"potentials", potentials},
                            {"against_plain_iterations", against_plain_iterations},
                            {"unequal_groups", unequal_groups},
                            {NULL, NULL}};
