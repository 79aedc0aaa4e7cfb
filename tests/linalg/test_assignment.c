/** \file
 * Assignments against all permutations, and against their own optimality conditions. */
#include "base/memory.h"
#include "linalg/assignment.h"
#include "mpi_main.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static double total(int64_t n, const double *cost, const int64_t *column_of) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += cost[i * n + column_of[i]];
  return sum;
}

static bool is_permutation(int64_t n, const int64_t *column_of) {
  bool *taken = ZG_NEW0(bool, n), sound = true;
  for (int64_t i = 0; i < n; i++) {
    sound = sound && column_of[i] >= 0 && column_of[i] < n && !taken[column_of[i]];
    if (sound) taken[column_of[i]] = true;
  }
  free(taken);
  return sound;
}

/* The least total of rows from `row` on, over all ways to give them free columns. */
static double least_total(int64_t n, const double *cost, int64_t row, unsigned taken) {
  if (row == n) return 0;
  double least = INFINITY;
  for (int64_t j = 0; j < n; j++)
    if (!(taken >> j & 1))
      least = fmin(least,
                   cost[row * n + j] + least_total(n, cost, row + 1, taken | 1u << j));
  return least;
}

static double assign(int64_t n, const double *cost) {
  void *room = zg_alloc(zg_assign_room(n), 1);
  int64_t *column_of = ZG_NEW(int64_t, n);
  zg_assign(n, cost, room, column_of);
  CU_ASSERT(is_permutation(n, column_of));
  double found = total(n, cost, column_of);
  free(column_of);
  free(room);
  return found;
}

static void against_all_permutations(void) {
  double cost[49];
  for (unsigned long seed = 0; seed < 200; seed++)
    for (int64_t n = 1; n <= 7; n++) {
      for (int64_t k = 0; k < n * n; k++)
        cost[k] = 5 + zg_test_random(seed, (unsigned long)(n * 100 + k));
      double least = least_total(n, cost, 0, 0);
      zg_test_close(assign(n, cost), least, 1e-12 * least, "random costs");
    }
}

/* Few different costs: every step has ties. */
static void ties(void) {
  double cost[49];
  for (unsigned long seed = 0; seed < 200; seed++) {
    for (int64_t k = 0; k < 49; k++)
      cost[k] = floor(3 * fabs(zg_test_random(seed, (unsigned long)k)));
    zg_test_close(assign(7, cost), least_total(7, cost, 0, 0), 0, "ties");
  }
  for (int64_t k = 0; k < 49; k++)
    cost[k] = 1;
  zg_test_close(assign(7, cost), 7, 0, "equal costs");
}

/* cost = (x_i - y_j)^2 of sorted numbers: the identity is best. */
static void sorted_numbers(void) {
  enum { N = 300 };
  double *cost = ZG_NEW(double, N *N), expected = 0;
  for (int64_t i = 0; i < N; i++)
    for (int64_t j = 0; j < N; j++) {
      double difference = (double)(i * i) - (double)(3 * j + 7);
      cost[i * N + j] = difference * difference;
      if (i == j) expected += cost[i * N + j];
    }
  zg_test_close(assign(N, cost), expected, 1e-12 * expected, "sorted numbers");
  free(cost);
}

/* cost = u_i + v_j + slack, without slack on a hidden permutation. */
static void hidden_permutation(void) {
  enum { N = 257 };
  double *cost = ZG_NEW(double, N *N), expected = 0;
  for (int64_t i = 0; i < N; i++)
    for (int64_t j = 0; j < N; j++) {
      bool hidden = j == (i * 100 + 3) % N;
      double slack = fabs(zg_test_random(9, (unsigned long)(i * N + j)));
      cost[i * N + j] =
          (double)(i % 17) + 0.25 * (double)(j % 29) + (hidden ? 0 : slack);
      if (hidden) expected += cost[i * N + j];
    }
  zg_test_close(assign(N, cost), expected, 1e-11 * expected, "hidden permutation");
  free(cost);
}

const zg_test zg_tests[] = {{"against_all_permutations", against_all_permutations},
                            {"ties", ties},
                            {"sorted_numbers", sorted_numbers},
                            {"hidden_permutation", hidden_permutation},
                            {NULL, NULL}};
