/** \file
 * The Wasserstein distance of the points themselves, from all their squared distances:
 * by the best assignment, or with an entropic term. */
#include "linalg/assignment.h"
#include "linalg/select.h"
#include "linalg/transport.h"
#include "measures/clouds.h"
#include "measures/wasserstein.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

/* ---- exact ---- */

/* Squared distances, the assignment's room, the assignment. */
static int64_t exact_room(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call, (void)b;
  return 8 * (a->n * a->n + 3 * a->n) + zg_assign_room(a->n);
}

/* How long an assignment takes depends on the data; this is a typical figure. */
static double exact_cost(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call, (void)b;
  double n = (double)a->n;
  return n * n * (2 * (double)a->d + n / 4);
}

/* |x - y|^2 of two points, by direct difference. */
static double squared_distance(const zg_cloud *a, int64_t i, const zg_cloud *b,
                               int64_t j) {
  const double *x = a->points + i * a->d, *y = b->points + j * b->d;
  double sum = 0;
  for (int64_t k = 0; k < a->d; k++) {
    double difference = (x[k] - y[k]) + (a->mean[k] - b->mean[k]);
    sum += difference * difference;
  }
  return sum;
}

static void compare_exact(const zg_pair_context *context, zg_comparison *compared,
                          void *room) {
  (void)context;
  zg_cloud a = zg_prepared_cloud(&compared->a), b = zg_prepared_cloud(&compared->b);
  int64_t n = a.n;
  double *cost = room, *sides = cost + n * n, sum = 0;
  int64_t *column_of = (int64_t *)(sides + 2 * n);
  zg_cloud_pair pair = zg_cloud_pair_of(&a, &b, sides);
  zg_cloud_distances(&pair, 0, n, cost);
  zg_assign(n, cost, column_of + n, column_of);
  for (int64_t i = 0; i < n; i++)
    sum += squared_distance(&a, i, &b, column_of[i]);
  compared->terms[0] = sum / (double)n;
}

const zg_pair_form zg_wasserstein_exact = {.arrays = 1,
                                           .data = {ZG_ACTIVATIONS},
                                           .equal_n = true,
                                           .equal_d = true,
                                           .terms = 1,
                                           .bytes = zg_cloud_bytes,
                                           .room = exact_room,
                                           .cost = exact_cost,
                                           .prepare = zg_cloud_prepare,
                                           .compare = compare_exact};

/* ---- sinkhorn ---- */

/* Distances and room of the largest of the three problems. */
static int64_t sinkhorn_room(const zg_call *call, const zg_shape *a,
                             const zg_shape *b) {
  (void)call;
  int64_t n = zg_max(a->n, b->n);
  return 8 * (n * n + 2 * n + zg_transport_room(n, n));
}

/* Some two hundred iterations of each problem, and ten Newton steps. */
static double sinkhorn_cost(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call;
  double n = (double)a->n, m = (double)b->n, d = (double)a->d;
  double entries = n * m + n * n + m * m;
  return entries * (2 * d + 200 * 40) + 10 * (n * m * m + n * n * n + 1.3 * m * m * m);
}

static void form_distances(const zg_cloud *a, const zg_cloud *b, double *sides,
                           double *C) {
  zg_cloud_pair pair = zg_cloud_pair_of(a, b, sides);
  zg_cloud_distances(&pair, 0, a->n, C);
}

static bool all_zero(const double *values, int64_t count) {
  for (int64_t k = 0; k < count; k++)
    if (values[k] > 0) return false;
  return true;
}

/* OT(x,y) - OT(x,x)/2 - OT(y,y)/2, all with the epsilon of x and y. A median of 0 means
 * that most points coincide; unless all do, there is no epsilon then. */
static void compare_sinkhorn(const zg_pair_context *context, zg_comparison *pair,
                             void *memory) {
  zg_cloud clouds[2] = {zg_prepared_cloud(&pair->a), zg_prepared_cloud(&pair->b)};
  static const int sides_of[3][2] = {{0, 1}, {0, 0}, {1, 1}};
  static const double weights[3] = {1, -0.5, -0.5};
  int64_t n = zg_max(clouds[0].n, clouds[1].n);
  double *C = memory, *sides = C + n * n, *room = sides + 2 * n, epsilon = 0;
  for (int k = 0; k < 3; k++) {
    const zg_cloud *a = &clouds[sides_of[k][0]], *b = &clouds[sides_of[k][1]];
    form_distances(a, b, sides, C);
    if (k == 0) {
      memcpy(room, C, (size_t)(a->n * b->n) * sizeof *C);
      epsilon =
          zg_call_value(context->call, "epsilon") * zg_median(0, room, a->n * b->n);
    }
    if (!(epsilon > 0)) {
      if (!all_zero(C, a->n * b->n)) pair->code = ZG_CODE_ZERO_VARIANCE;
      return;
    }
    zg_transport found = zg_transport_solve(a->n, b->n, C, epsilon, room);
    pair->terms[0] += weights[k] * found.value;
    if (!found.converged) pair->code = ZG_CODE_CONVERGENCE;
  }
}

const zg_pair_form zg_wasserstein_sinkhorn = {.arrays = 1,
                                              .data = {ZG_ACTIVATIONS},
                                              .equal_d = true,
                                              .terms = 1,
                                              .bytes = zg_cloud_bytes,
                                              .room = sinkhorn_room,
                                              .cost = sinkhorn_cost,
                                              .prepare = zg_cloud_prepare,
                                              .compare = compare_sinkhorn};
