/** \file
 * Distances of clouds against direct differences, and the random numbers by counter. */
#include "base/memory.h"
#include "linalg/cloud.h"
#include "linalg/kernel.h"
#include "linalg/random.h"
#include "mpi_main.h"

#include <math.h>
#include <stdlib.h>

enum { N = 37, M = 52, D = 11 };

static double coordinate(int cloud, int64_t k, double far) {
  return far * (cloud + 1) + zg_test_random((unsigned long)cloud, (unsigned long)k);
}

static zg_cloud cloud_of(int cloud, int64_t n, double far, double *memory) {
  double points[M * D];
  for (int64_t k = 0; k < n * D; k++)
    points[k] = coordinate(cloud, k, far);
  return zg_cloud_make(memory, n, D, points);
}

static double direct(int64_t i, int64_t j, double far) {
  long double sum = 0;
  for (int64_t k = 0; k < D; k++) {
    long double difference =
        (long double)coordinate(0, i * D + k, far) - coordinate(1, j * D + k, far);
    sum += difference * difference;
  }
  return (double)sum;
}

/* Means far from zero and, relative to the spread, from one another. */
static void distances(void) {
  double *a_memory = ZG_NEW(double, zg_cloud_numbers(N, D));
  double *b_memory = ZG_NEW(double, zg_cloud_numbers(M, D));
  double room[N + M], found[5 * M];
  for (double far = 0; far < 1e7; far = 1e3 * far + 1) {
    zg_cloud a = cloud_of(0, N, far, a_memory), b = cloud_of(1, M, far, b_memory);
    zg_cloud_pair pair = zg_cloud_pair_of(&a, &b, room);
    for (int64_t first = 0; first < N; first += 5) {
      int64_t count = zg_min(5, N - first);
      zg_cloud_distances(&pair, first, count, found);
      for (int64_t k = 0; k < count * M; k++) {
        double expected = direct(first + k / M, k % M, far);
        zg_test_close(found[k], expected, 1e-13 * (1 + far * 1e-2) * expected,
                      "distance");
      }
    }
  }
  free(a_memory);
  free(b_memory);
}

static void distances_of_equal_points_are_zero(void) {
  double *memory = ZG_NEW(double, zg_cloud_numbers(N, D)), room[2 * N], found[N * N];
  zg_cloud a = cloud_of(0, N, 1e4, memory);
  zg_cloud_pair pair = zg_cloud_pair_of(&a, &a, room);
  zg_cloud_distances(&pair, 0, N, found);
  for (int64_t i = 0; i < N; i++)
    CU_ASSERT_EQUAL(found[i * N + i], 0);
  free(memory);
}

static void exponentials(void) {
  double x[29], from[29], sum = 0;
  for (int base = 0; base < 2; base++) {
    sum = 0;
    for (int k = 0; k < 29; k++)
      x[k] = from[k] = k == 28 ? -1e4 : -0.001 * pow(1.5, k);
    double found = zg_exponentials(29, base, x);
    for (int k = 0; k < 29; k++) {
      double expected = base ? expm1(from[k]) : exp(fmax(-700, from[k]));
      zg_test_close(x[k], expected, 0x1p-50 * fabs(expected), "exponential");
      sum += expected;
    }
    zg_test_close(found, sum, 1e-14 * fabs(sum), "sum of exponentials");
  }
}

/* ---- random numbers ---- */

/* The first outputs of SplitMix64 from state 0, as published with it. */
static void bits_are_those_of_splitmix64(void) {
  CU_ASSERT_EQUAL(zg_random_bits(0, 0), UINT64_C(0xe220a8397b1dcdaf));
  CU_ASSERT_EQUAL(zg_random_bits(0, 1), UINT64_C(0x6e789e6aa1b965f4));
  CU_ASSERT_EQUAL(zg_random_bits(0, 2), UINT64_C(0x06c45d188009454f));
  CU_ASSERT(zg_random_bits(1, 0) != zg_random_bits(0, 0));
}

static void normals_have_their_moments(void) {
  enum { COUNT = 200000 };
  double *x = ZG_NEW(double, COUNT), moments[5] = {0};
  zg_random_normals(7, 0, COUNT, x);
  for (int64_t k = 0; k < COUNT; k++)
    for (int p = 1; p <= 4; p++)
      moments[p] += pow(x[k], p) / COUNT;
  zg_test_close(moments[1], 0, 0.01, "mean");
  zg_test_close(moments[2], 1, 0.015, "variance");
  zg_test_close(moments[3], 0, 0.04, "third moment");
  zg_test_close(moments[4], 3, 0.1, "fourth moment");
  free(x);
}

static void any_part_can_be_drawn_by_itself(void) {
  double whole[40], part[7];
  zg_random_normals(3, 1000, 40, whole);
  for (uint64_t first = 0; first < 30; first++) {
    zg_random_normals(3, 1000 + first, 7, part);
    for (uint64_t k = 0; k < 7; k++)
      CU_ASSERT_EQUAL(part[k], whole[first + k]);
  }
}

const zg_test zg_tests[] = {
    {"distances", distances},
    {"distances_of_equal_points_are_zero", distances_of_equal_points_are_zero},
    {"exponentials", exponentials},
    {"bits_are_those_of_splitmix64", bits_are_those_of_splitmix64},
    {"normals_have_their_moments", normals_have_their_moments},
    {"any_part_can_be_drawn_by_itself", any_part_can_be_drawn_by_itself},
    {NULL, NULL}};
